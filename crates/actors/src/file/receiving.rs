//! The task that receives a file.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tubes_courier::{ReceiveError, Wanted};
use tubes_files::{Algorithm, Checksum, Destination, Offered, Stop, Version};
use tubes_protocol::file::{Contents, FileAnswer, FileError, FileOffer, Range, Reason};
use tubes_secure::Protection;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::StanzaError;

use super::claims::{Claim, Turn};
use super::end::{Concluded, Fate};
use super::hearsay::Hearsay;
use super::passage::Passage;
use super::site::{Begun, Refusal, Sender, Site};
use super::{Delivered, FileId, Particulars, Progress, trouble};
use crate::env::Env;
use crate::event::{Direction, Event, Failure, FailureKind};
use crate::negotiator::Proposed;
use crate::opening::{Secured, Vetted};

/// A file that a contact offers.
pub(crate) struct Receiving {
    proposed: Box<Proposed>,
    proposal: Proposal,
}

/// What is said of it.
#[derive(Clone, Debug)]
struct Proposal {
    offer: FileOffer,
    contents: Option<Contents>,
}

impl Receiving {
    /// Reads what is proposed, if it is a file.
    pub(crate) fn read(proposed: Box<Proposed>) -> Result<Self, (Box<Proposed>, FileError)> {
        let read = || {
            Ok(Proposal {
                offer: FileOffer::try_from(&proposed.proposal.purpose)?,
                contents: Contents::read(&proposed.proposal.extensions)?,
            })
        };
        match read() {
            Ok(proposal) => Ok(Self { proposed, proposal }),
            Err(why) => Err((proposed, why)),
        }
    }

    /// Who offers it.
    pub(crate) fn peer(&self) -> &FullJid {
        &self.proposed.proposal.peer
    }

    /// The identifier of its bytestream.
    pub(crate) fn stream(&self) -> &tubes_transport::StreamId {
        &self.proposed.proposal.stream
    }

    /// Says no, in these words.
    pub(crate) fn refuse(self, why: StanzaError) {
        self.proposed.decline(why);
    }

    fn decline(self, reason: Reason) {
        self.refuse(reason.to_stanza_error());
    }

    pub(super) fn announce(&self, env: &Env, file: FileId, progress: &Progress) {
        let Proposal { offer, contents } = &self.proposal;
        env.announcer.announce(Event::FileOffered {
            file,
            peer: self.peer().clone().into(),
            direction: Direction::In,
            particulars: Particulars::of(offer, contents.as_ref()),
            progress: progress.clone(),
        });
    }

    pub(super) async fn run(
        self,
        env: Env,
        file: FileId,
        progress: Progress,
        accepted: oneshot::Receiver<Destination>,
        stop: Stop,
        hearsay: Hearsay,
    ) -> Concluded {
        let passage = Passage {
            env,
            file,
            progress,
            stop,
        };
        let taking = Taking {
            peer: self.peer().clone(),
            proposal: self.proposal.clone(),
            passage,
            hearsay,
        };
        let received = Box::pin(taking.receive(self, accepted)).await;
        received.unwrap_or_else(Concluded::from)
    }
}

/// A file that is being received.
struct Taking {
    passage: Passage,
    peer: FullJid,
    proposal: Proposal,
    hearsay: Hearsay,
}

impl Taking {
    async fn receive(
        self,
        receiving: Receiving,
        accepted: oneshot::Receiver<Destination>,
    ) -> Result<Concluded, Fate> {
        let (receiving, _) = self.vet(receiving).await?;
        let stop = &self.passage.stop;
        let accepted = tokio::select! {
            () = stop.ordered() => None,
            accepted = accepted => accepted.ok(),
        };
        let Some(there) = accepted else {
            receiving.decline(Reason::Cancelled);
            return Err(Fate::GivenUp);
        };
        // A person may have decided otherwise meanwhile.
        let (receiving, vetted) = self.vet(receiving).await?;
        let offered = match self.offered() {
            Ok(offered) => offered,
            Err(why) => {
                receiving.decline(Reason::Io);
                return Err(why.into());
            }
        };
        let site = Site::new(there, offered, self.sender());
        let offset = match site.look().await {
            Ok(offset) => offset,
            // Nobody is told what is there before having proven who it is.
            Err(_) if vetted.has_to_prove_itself() => 0,
            Err(Refusal { reason, failure }) => {
                receiving.decline(reason);
                return Err(failure.into());
            }
        };
        let secured = self.agree(receiving, vetted, offset).await?;
        if let Protection::Encrypted { .. } = secured.protection {
            self.hearsay.keep();
        }
        let (path, size) = site.subject();
        let claims = &self.passage.env.claims;
        let claim = claims.claim(self.peer.clone(), path, size);
        tokio::select! {
            () = self.superseded(&claim) => Err(trouble::superseded(&self.peer).into()),
            received = self.take(secured, &site, offset, claim.turn()) => received,
        }
    }

    /// Waits until the same file is received anew before this one is in its place: then it will not be.
    async fn superseded(&self, claim: &Claim) {
        claim.superseded().await;
        if !self.passage.stop.order() {
            // What comes of it is known in a moment.
            future::pending().await
        }
    }

    async fn vet(&self, receiving: Receiving) -> Result<(Receiving, Vetted), Fate> {
        let opening = self.passage.opening(&self.peer);
        let said = &receiving.proposed.proposal.extensions;
        match opening.vet(said).await {
            Ok(vetted) => Ok((receiving, vetted)),
            Err(vetoed) => {
                if let Some(why) = vetoed.for_peer() {
                    receiving.proposed.decline(why);
                }
                Err(Failure::from(vetoed).into())
            }
        }
    }

    /// What the sender can do.
    fn sender(&self) -> Sender {
        match (&self.proposal.contents, self.proposal.offer.ranged) {
            (Some(_), true) => Sender::Comparing,
            (None, true) => Sender::Resuming,
            (_, false) => Sender::Simple,
        }
    }

    /// What is asked of the file system.
    fn offered(&self) -> Result<Offered, Failure> {
        let Proposal { offer, contents } = &self.proposal;
        // As the application was told that it will be.
        let path = Particulars::of(offer, contents.as_ref()).path();
        let sum = contents.as_ref().and_then(|contents| contents.sha256);
        let sum = sum.map(|sum| Checksum::Sha256(sum.0));
        let sum = sum.or_else(|| offer.md5.map(|sum| Checksum::Md5(sum.0)));
        let date = offer.date.map(|date| Version::Modified(date.time()));
        let algorithm = match contents {
            Some(_) => Some(Algorithm::Sha256),
            None => offer.md5.map(|_| Algorithm::Md5),
        };
        Ok(Offered {
            sender: self.peer.to_bare().to_string(),
            path: path.map_err(|why| trouble::path(&why))?,
            size: offer.size,
            modified: offer.date.map(|date| date.time()),
            version: sum.map(Version::Checksum).or(date),
            algorithm,
        })
    }

    /// Says yes, from this byte on.
    async fn agree(
        &self,
        receiving: Receiving,
        vetted: Vetted,
        offset: u64,
    ) -> Result<Secured, Fate> {
        let range = Range {
            offset,
            length: None,
        };
        let stream = receiving.stream().clone();
        let answer = FileAnswer { range }.into();
        let request = self
            .passage
            .request(stream, self.peer.clone(), answer, Vec::new());
        let opening = self.passage.opening(&self.peer);
        tokio::select! {
            () = self.passage.stop.ordered() => Err(Fate::GivenUp),
            secured = opening.answer(*receiving.proposed, vetted, request) => Ok(secured?),
        }
    }

    /// Receives it from who has proven who it is, where that is asked.
    async fn take(
        &self,
        secured: Secured,
        site: &Site,
        offset: u64,
        turn: Arc<Turn>,
    ) -> Result<Concluded, Fate> {
        let begun = match site.begin(offset).await {
            Ok(begun) => begun,
            Err(Refusal { reason, failure }) => {
                tubes_courier::refuse(self.passage.errand(secured), reason).await;
                return Err(failure.into());
            }
        };
        self.passage.announce(&self.peer, &secured, offset);
        let errand = self.passage.errand(secured);
        let received = match begun {
            Begun::Part(partial) => tubes_courier::receive(errand, *partial, self.wanted()).await,
            Begun::Whole(existing) => tubes_courier::compare(errand, existing, turn).await,
        };
        match received {
            Ok(settled) => Ok(Concluded::delivered(settled, |received| Delivered {
                path: Some(received.path),
                sha256: received.sum.map(|sum| sum.to_string()),
                certainty: received.certainty,
            })),
            Err(ReceiveError::Stopped) => Err(Fate::GivenUp),
            Err(why) => Err(self.explained(&why).await.into()),
        }
    }

    /// Why it was not received, in the sender's words if it has some.
    async fn explained(&self, why: &ReceiveError) -> Failure {
        let failure = trouble::receive(&self.peer, why);
        if let ReceiveError::CutShort | ReceiveError::Broken(_) = why
            && self.proposal.contents.is_some()
            // Whoever meddled with the bytes can say anything.
            && failure.kind != FailureKind::Untrusted
            // The message may take longer than the end. Of bytes that anybody can read, it ends this task.
            && let Ok(said) = timeout(EXPLANATION, self.hearsay.kept()).await
        {
            return said;
        }
        failure
    }

    fn wanted(&self) -> Wanted {
        let contents = self.proposal.contents.as_ref();
        Wanted {
            sha256: contents.and_then(|contents| contents.sha256),
            md5: self.proposal.offer.md5,
        }
    }
}

/// For a message that is on its way through servers.
const EXPLANATION: Duration = Duration::from_secs(3);
