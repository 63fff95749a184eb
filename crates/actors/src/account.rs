//! The handle by which an application gives orders to an account's actors.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;
use tokio::sync::oneshot;
use tubes_files::{Destination, Source};
use tubes_local::{Access, Address, Export, Listener, Socket};
use tubes_protocol::tube::{Parameters, TubeNumber, TubeOffer};
use tubes_secure::{Guard, StoreError, publication};
use tubes_session::{Contact, Login, LoginError, Session, Subscribe};
use tubes_transport::{Gone, Signalling, Stanzas};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::announcer::{Announcer, Events, ListeningPost};
use crate::bytestream::Waiting;
use crate::control::{self, Crew};
use crate::event::{Audience, TubeId};
use crate::file::{AcceptFile, AcceptFileError, FileActor, FileId, GiveUp};
use crate::limits::{self, Limits};
use crate::session::{
    Consent, Enter, EnterError, Find, FindFile, LatestLogin, Leave, LeaveRoom, LookUp, Offer,
    RenameInRoom, SendFile, SendFileError, SessionActor, ShareError, ShareSession, SharedSession,
    Welcome,
};
use crate::state::State;
use crate::tube::{Accept, AcceptAt, AcceptError, Attach, Close, TubeActor};

/// A running account. Cheap to clone; when the last clone is dropped the account is closed.
#[derive(Clone, Debug)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    actor: Addr<SessionActor>,
    listening_post: ListeningPost,
    stanzas: Stanzas,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// What an account is started with.
#[derive(Debug)]
pub struct Start {
    /// Who logs in.
    pub credentials: tubes_session::Account,
    /// The first asks; all answer.
    pub signallings: Vec<Arc<dyn Signalling>>,
    /// Services for which offers are welcome.
    pub services: Vec<String>,
    /// What the application can do beside its services, to be told in disco#info: tubes, files, more.
    pub features: Vec<String>,
    /// How much to take on.
    pub limits: Limits,
    /// Whom to trust with what.
    pub guard: Guard,
}

/// Why an account did not start.
///
/// ```
/// use tubes_actors::StartError;
/// use tubes_session::LoginErrorKind;
///
/// /// Whether it is the password that the user should look at.
/// fn is_about_the_account(why: &StartError) -> bool {
///     matches!(why, StartError::Login(why) if why.kind() == LoginErrorKind::NotAuthorised)
/// }
///
/// assert!(!is_about_the_account(&StartError::Homeless));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The control thread could not be started.
    #[error("cannot start a thread: {0}")]
    Io(#[from] io::Error),
    /// The login failed.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// There is no place for keys.
    #[error("there is no home directory to keep keys in: name a folder for them")]
    Homeless,
    /// The keys of this device or of contacts cannot be read.
    #[error(transparent)]
    Keys(#[from] StoreError),
}

/// Why a service could not be offered.
///
/// ```
/// use tubes_actors::OfferError;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let why = OfferError::NotInRoom("hall@rooms.example.org".parse()?);
/// assert!(why.to_string().ends_with("enter the room first"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The account is closed.
    #[error("the account is closed")]
    Closed,
    /// The account has as many tubes as it may.
    #[error("the account has as many tubes as it may")]
    Full,
    /// In a room the parameters of all offers go into one presence.
    #[error("the parameters are too long to be offered in {0}: at most 1,024 bytes as XML")]
    TooLong(BareJid),
    /// The room has to be entered first.
    #[error("this account is not in {0}: enter the room first")]
    NotInRoom(BareJid),
    /// The service's name or the parameters cannot be offered.
    #[error("cannot offer this: {0}")]
    Invalid(#[from] tubes_protocol::tube::TubeError),
}

impl Account {
    /// Logs in and starts the actors. Must be called within a tokio runtime: all sockets of the
    /// account's tubes will belong to it.
    pub async fn start(start: Start) -> Result<(Self, Events), StartError> {
        let Start {
            credentials,
            signallings,
            services,
            features: others,
            limits,
            guard,
        } = start;
        let mut features: Vec<_> = signallings
            .iter()
            .flat_map(|signalling| signalling.features())
            .collect();
        features.extend(others);
        if guard.is_public() {
            features.push(publication::NOTIFY.to_owned());
        }
        let announced = services
            .iter()
            .map(|service| tubes_protocol::disco::service_feature(service));
        let announced = features.iter().cloned().chain(announced).collect();
        let (session, reports) = Session::start(credentials, announced).await?;
        let (announcer, events) = Announcer::new();
        let listening_post = announcer.listening_post();
        let jid = session.jid().clone();
        let stanzas = session.stanzas().clone();
        let crew = Crew {
            session,
            reports,
            announcer,
            signallings,
            features,
            services,
            limits,
            guard,
            jid,
        };
        let running = control::start(crew).await?;
        let ended = Mutex::new(Some(running.ended));
        Ok((
            Self(Arc::new(Inner {
                actor: running.account,
                listening_post,
                stanzas,
                ended,
            })),
            events,
        ))
    }

    /// The present state, and a further listener that hears everything after it: no event is in
    /// both, and none in neither.
    pub fn watch(&self) -> (State, Events) {
        self.0.listening_post.watch()
    }

    /// Deals with a contact from now on: its offers are heard, its presence is followed.
    pub async fn consent(&self, contact: BareJid, subscribe: Subscribe) {
        // An account that is closed deals with nobody.
        let _ = self.0.actor.send(Consent { contact, subscribe }).await;
    }

    /// What is known of a contact at this moment.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`] when the account is closed or lost.
    pub async fn contact(&self, jid: BareJid) -> Result<Contact, Gone> {
        let answer = self.0.actor.send(LookUp(jid)).await;
        answer.map_err(|_| Gone::Session)?
    }

    /// The latest login.
    ///
    /// # Errors
    ///
    /// [`Gone::Session`] when the account is closed or lost.
    pub async fn login(&self) -> Result<Login, Gone> {
        let answer = self.0.actor.send(LatestLogin).await;
        answer.map_err(|_| Gone::Session)?
    }

    /// The way to say things of one's own over the account's session.
    pub fn stanzas(&self) -> &Stanzas {
        &self.0.stanzas
    }

    /// Uses the account's session for things of the application's own, beside the tubes.
    pub async fn share_session(&self) -> Result<SharedSession, ShareError> {
        let shared = self.0.actor.send(ShareSession).await;
        shared.map_err(|_| Gone::Session)?
    }

    /// Says in disco#info that offers of these services are welcome.
    pub async fn welcome(&self, services: Vec<String>) {
        let _ = self.0.actor.send(Welcome(services)).await;
    }

    /// Comes into a room, by this name if nobody has it; returns the name there. A room that does not
    /// exist is made. From here on the account comes back by itself when the room, or the link, was
    /// lost.
    pub async fn enter(
        &self,
        wanted: FullJid,
        password: Option<String>,
    ) -> Result<FullJid, EnterError> {
        let entered = self.0.actor.send(Enter { wanted, password }).await;
        entered.map_err(|_| EnterError::Closed)?
    }

    /// Goes by another name in a room from now on, if nobody has it.
    pub async fn rename_in_room(&self, to: FullJid) {
        // An account that is closed is in no room.
        let _ = self.0.actor.send(RenameInRoom(to)).await;
    }

    /// Closes all tubes in a room, and leaves it.
    pub async fn leave_room(&self, room: BareJid) {
        // An account that is closed is in no room.
        let _ = self.0.actor.send(LeaveRoom(room)).await;
    }

    /// Offers what is exported to a contact: to every resource of it that does tubes,
    /// now and later; or to all who are in a room.
    pub async fn offer(
        &self,
        audience: Audience,
        service: String,
        export: Export,
        parameters: Parameters,
    ) -> Result<TubeId, OfferError> {
        // Whatever is wrong with it is better known now than when the peer comes online.
        TubeOffer::new(
            TubeNumber::from_random(0),
            service.clone(),
            parameters.clone(),
        )?;
        let offer = Offer {
            audience,
            service,
            export,
            parameters,
        };
        let sent = self.0.actor.send(offer).await;
        sent.map_err(|_| OfferError::Closed)?
    }

    /// Accepts a tube and lets programs connect at `address`; returns the actual address.
    pub async fn accept(
        &self,
        tube: TubeId,
        address: Address,
        access: Access,
    ) -> Result<Address, AcceptError> {
        let tube = self.find(tube).await.ok_or(AcceptError::Gone)?;
        tube.send(Accept { address, access })
            .await
            .map_err(|_| AcceptError::Gone)?
    }

    /// Accepts a tube and lets programs in at a socket that listens already, in the runtime that
    /// the account was started in; returns its address.
    pub async fn accept_at(
        &self,
        tube: TubeId,
        listener: Listener,
    ) -> Result<Address, AcceptError> {
        let tube = self.find(tube).await.ok_or(AcceptError::Gone)?;
        tube.send(AcceptAt(listener))
            .await
            .map_err(|_| AcceptError::Gone)?
    }

    /// Uses a tube that was offered for one connection over a socket in hand.
    pub async fn attach(&self, tube: TubeId, socket: Socket) -> Result<(), AcceptError> {
        let tube = self.find(tube).await.ok_or(AcceptError::Gone)?;
        tube.send(Attach(Waiting::new(socket)))
            .await
            .map_err(|_| AcceptError::Gone)?
    }

    /// Closes a tube, or declines an offer. Connections finish what they were given, within a
    /// few seconds; returns when the tube is gone.
    pub async fn close(&self, tube: TubeId) {
        let Some(tube) = self.find(tube).await else {
            return;
        };
        if let Ok(closed) = tube
            .send(Close {
                error: None,
                wind_down: limits::WIND_DOWN,
            })
            .await
        {
            // The end of the tube is the end of the sender.
            let _ = closed.await;
        }
    }

    /// Closes all tubes, logs out and ends the actors, within about five seconds.
    pub async fn leave(&self) {
        // An account that left already has left.
        let _ = self.0.actor.send(Leave).await;
        let ended = self
            .0
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ended) = ended {
            let _ = ended.await;
        }
    }

    /// Sends a file to a contact, as soon as a program of it is online that takes files; or to one
    /// resource, at once.
    pub async fn send_file(
        &self,
        to: Jid,
        source: Source,
        folder: Vec<String>,
        description: Option<String>,
    ) -> Result<FileId, SendFileError> {
        let order = SendFile {
            to,
            source,
            folder,
            description,
        };
        let sent = self.0.actor.send(order).await;
        sent.map_err(|_| SendFileError::Closed)?
    }

    /// Receives a file that was offered, there.
    pub async fn accept_file(
        &self,
        file: FileId,
        there: Destination,
    ) -> Result<(), AcceptFileError> {
        let file = self.find_file(file).await.ok_or(AcceptFileError::Gone)?;
        let accepted = file.send(AcceptFile(there)).await;
        accepted.map_err(|_| AcceptFileError::Gone)?
    }

    /// Declines a file, or gives it up; returns when it is gone.
    pub async fn give_up_file(&self, file: FileId) {
        let Some(file) = self.find_file(file).await else {
            return;
        };
        if let Ok(gone) = file.send(GiveUp).await {
            // The end of the file is the end of the sender.
            let _ = gone.await;
        }
    }

    async fn find_file(&self, file: FileId) -> Option<Addr<FileActor>> {
        self.0.actor.send(FindFile(file)).await.ok().flatten()
    }

    async fn find(&self, tube: TubeId) -> Option<Addr<TubeActor>> {
        self.0.actor.send(Find(tube)).await.ok().flatten()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.actor.do_send(Leave);
    }
}
