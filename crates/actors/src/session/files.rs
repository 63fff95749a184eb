//! The files of an account: what is ordered, what contacts offer, and who takes some.

use std::collections::BTreeMap;

use actix::{Addr, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture};
use tubes_files::Source;
use tubes_protocol::disco::Abilities;
use tubes_protocol::file::{FileError, Withdrawal};
use tubes_protocol::ns;
use tubes_protocol::si::SiError;
use tubes_session::Acquaintance;
use tubes_transport::{Kind, StreamId};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::{Phase, SessionActor};
use crate::complaints::Complaint;
use crate::disregarded::Disregarded;
use crate::failure;
use crate::file::{
    FileActor, FileId, Found, GiveUp, Lost, Receiving, Sending, Taker, Withdrawn, withdrawn,
};
use crate::limits::Limit;
use crate::negotiator::Proposed;
use crate::obituary::Obituary;

/// The files of an account.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: BTreeMap<FileId, File>,
    /// Who is online and takes files. The session bounds it.
    takers: BTreeMap<FullJid, Kind>,
}

/// A file, as the account finds it.
#[derive(Debug)]
struct File {
    addr: Addr<FileActor>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Offered by this resource, over this bytestream.
    In(FullJid, StreamId),
    /// Offered to this contact, or to one resource of it.
    Out(Jid),
}

impl Files {
    fn coming(&self) -> impl Iterator<Item = (&FullJid, &StreamId, &Addr<FileActor>)> {
        self.open.values().filter_map(|file| match &file.way {
            Way::In(from, stream) => Some((from, stream, &file.addr)),
            Way::Out(_) => None,
        })
    }

    /// Who takes a file for this address: anybody, if it is a resource; else one of our own kind,
    /// if there is one.
    fn taker(&self, to: &Jid) -> Option<Taker> {
        let taker = |(jid, kind): (&FullJid, &Kind)| Taker {
            jid: jid.clone(),
            kind: Some(*kind),
        };
        match to.clone().try_into_full() {
            Ok(jid) => {
                let kind = self.takers.get(&jid).copied();
                Some(Taker { jid, kind })
            }
            Err(contact) => {
                let of_contact = || {
                    self.takers
                        .iter()
                        .filter(|(jid, _)| jid.to_bare() == contact)
                };
                let own = of_contact().find(|(_, kind)| **kind == Kind::Ours);
                own.or_else(|| of_contact().next()).map(taker)
            }
        }
    }
}

impl SessionActor {
    /// A resource may be one that takes files from now on, or no more.
    pub(super) fn note_taker(&mut self, resource: &FullJid, abilities: &Abilities) {
        if !abilities.files {
            self.files.takers.remove(resource);
            return;
        }
        let kind = match abilities.ours {
            true => Kind::Ours,
            false => Kind::Other,
        };
        if self.files.takers.insert(resource.clone(), kind).is_some() {
            return;
        }
        if !abilities.tubes {
            self.devices.online(resource.to_bare());
        }
        let contact = Jid::from(resource.to_bare());
        for file in self.files.open.values() {
            if matches!(&file.way, Way::Out(to) if *to == contact) {
                let jid = resource.clone();
                // One to each file there is.
                let kind = Some(kind);
                file.addr.do_send(Found(Taker { jid, kind }));
            }
        }
    }

    /// Nobody waits any more for a decision on what this resource offers.
    pub(super) fn forget_taker(&mut self, resource: &FullJid) {
        self.files.takers.remove(resource);
        for (_, _, addr) in self.files.coming().filter(|(from, ..)| *from == resource) {
            // One to each file there is.
            addr.do_send(crate::file::Unattended(failure::offerer_gone(resource)));
        }
    }

    pub(super) fn file_proposed(
        &mut self,
        proposed: Box<Proposed>,
        sender: Acquaintance,
        ctx: &Context<Self>,
    ) {
        let is_welcome = self.features.iter().any(|own| own == ns::FILE_TRANSFER);
        if !is_welcome {
            return proposed.decline(SiError::BadProfile.to_stanza_error());
        }
        let peer = proposed.proposal.peer.clone();
        if sender == Acquaintance::Stranger || self.stays.contains_key(&peer.to_bare()) {
            if self.env.complaints.is_news(Complaint::StrangersFile, None) {
                tracing::info!(%peer, "a stranger's file is declined");
            }
            self.disregarded(Disregarded::File, &peer);
            return proposed.decline(SiError::Declined.to_stanza_error());
        }
        let receiving = match Receiving::read(proposed) {
            Ok(receiving) => receiving,
            Err((proposed, why)) => {
                self.disregarded(Disregarded::File, &peer);
                return proposed.decline(why.to_stanza_error());
            }
        };
        if let Some(limit) = self.limit_of_files(&peer.to_bare()) {
            self.env.notices.reached(limit, Some(peer.to_bare().into()));
            let condition = DefinedCondition::ResourceConstraint;
            let why =
                StanzaError::new(ErrorType::Wait, condition, "en", "too many files at a time");
            return receiving.refuse(why);
        }
        let way = Way::In(peer, receiving.stream().clone());
        let (file, obituary) = new_file(ctx);
        let addr = FileActor::receive(&self.env, file, receiving, obituary);
        self.files.open.insert(file, File { addr, way });
    }

    /// Of what there are too many for one file more.
    fn limit_of_files(&self, contact: &BareJid) -> Option<Limit> {
        let limits = &self.env.seats.limits;
        let of_contact = self
            .files
            .coming()
            .filter(|(from, ..)| from.to_bare() == *contact);
        if of_contact.count() >= limits.files_per_contact {
            Some(Limit::FilesPerContact)
        } else if self.files.coming().count() >= limits.files {
            Some(Limit::Files)
        } else {
            None
        }
    }

    /// The sender of a file has given it up, or somebody says so in its name.
    pub(super) fn told_withdrawal(&self, said: &Element, from: &FullJid) -> ResponseFuture<()> {
        let withdrawal = Withdrawal::try_from(said).ok();
        let meant = withdrawal.and_then(|Withdrawal { stream, reason }| {
            let (_, _, addr) = self
                .files
                .coming()
                .find(|(peer, id, _)| *peer == from && id.as_str() == stream)?;
            Some(addr.send(Withdrawn(withdrawn(from, reason))))
        });
        Box::pin(async move {
            if let Some(telling) = meant {
                // A file that is gone needs no news.
                let _ = telling.await;
            }
        })
    }

    /// The session is lost for good.
    pub(super) fn lose_files(&self, reason: &str) {
        for file in self.files.open.values() {
            // Once, to each file there is.
            file.addr.do_send(Lost(failure::session(reason)));
        }
    }

    pub(super) fn all_files(&self) -> Vec<Addr<FileActor>> {
        let files = self.files.open.values();
        files.map(|file| file.addr.clone()).collect()
    }
}

/// The name of a new file, and what tells this actor that it is gone.
fn new_file(ctx: &Context<SessionActor>) -> (FileId, Obituary) {
    let file = FileId::new();
    let account = ctx.address();
    // One notice for each file there was, so their number is bounded by that of the files.
    (file, Obituary::new(move || account.do_send(FileGone(file))))
}

/// All at once: each takes up to a few seconds.
pub(super) async fn give_up_all(files: Vec<Addr<FileActor>>) {
    let mut leaving = Vec::new();
    for file in files {
        leaving.extend(file.send(GiveUp).await);
    }
    for gone in leaving {
        // The end of a file is the end of its sender.
        let _ = gone.await;
    }
}

/// A file is no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FileGone(FileId);

impl Handler<FileGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, FileGone(file): FileGone, _: &mut Self::Context) {
        self.files.open.remove(&file);
    }
}

/// Send a file to a contact, or to one resource of it.
#[derive(Message)]
#[rtype(result = "Result<FileId, SendFileError>")]
pub(crate) struct SendFile {
    pub(crate) to: Jid,
    pub(crate) source: Source,
    pub(crate) folder: Vec<String>,
    pub(crate) description: Option<String>,
}

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendFileError {
    /// The account is closed.
    #[error("the account is closed")]
    Closed,
    /// The account sends as many files as it may.
    #[error("the account sends as many files as it may: wait for one of them")]
    Full,
    /// The file's name, or that of its folder, cannot be said.
    #[error("cannot offer this: {0}")]
    Invalid(#[from] FileError),
}

impl Handler<SendFile> for SessionActor {
    type Result = Result<FileId, SendFileError>;

    fn handle(&mut self, order: SendFile, ctx: &mut Self::Context) -> Self::Result {
        let SendFile {
            to,
            source,
            folder,
            description,
        } = order;
        if self.phase != Phase::Live {
            return Err(SendFileError::Closed);
        }
        let going = self.files.open.len() - self.files.coming().count();
        if going >= self.env.seats.limits.files {
            return Err(SendFileError::Full);
        }
        let sending = Sending::new(to.clone(), source, folder, description)?;
        let taker = self.files.taker(&to);
        let (file, obituary) = new_file(ctx);
        let addr = FileActor::send(&self.env, file, sending, taker, obituary);
        let way = Way::Out(to);
        self.files.open.insert(file, File { addr, way });
        Ok(file)
    }
}

/// Find a file.
#[derive(Message)]
#[rtype(result = "Option<Addr<FileActor>>")]
pub(crate) struct FindFile(pub(crate) FileId);

impl Handler<FindFile> for SessionActor {
    type Result = MessageResult<FindFile>;

    fn handle(&mut self, FindFile(file): FindFile, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.files.open.get(&file).map(|file| file.addr.clone()))
    }
}
