//! What the application learns.

mod failure;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tubes_local::Address;
use tubes_protocol::tube::Parameters;
use tubes_secure::{Fingerprint, Protection};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

pub use self::failure::{Failure, FailureKind, Remedy};

use crate::disregarded::Disregarded;
use crate::file::{Delivered, FileId, Particulars, Progress};
use crate::limits::Limit;
use crate::traffic::Traffic;

/// Something that happened to an account, its tubes, or their connections.
///
/// ```
/// use tubes_actors::{Event, Limit};
///
/// /// What a list of news says of it.
/// fn news(event: &Event) -> Option<String> {
///     match event {
///         Event::ConnectionOpened { peer, transport, .. } => Some(format!("{peer}: {transport}")),
///         Event::LimitReached { limit, .. } => Some(format!("no more {limit}")),
///         Event::TubeClosed { error: Some(why), .. } => Some(why.to_string()),
///         _ => None,
///     }
/// }
///
/// let event = Event::LimitReached { limit: Limit::ConnectionsPerTube, peer: None };
/// assert_eq!(news(&event).as_deref(), Some("no more connections of one tube at a time"));
/// assert_eq!(news(&Event::Missed(7)), None);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A program's connection through a tube ended. Comes exactly once for each connection,
    /// also for those that never opened.
    ConnectionClosed {
        /// The tube.
        tube: TubeId,
        /// Which of the tube's connections, counted from 1.
        connection: u64,
        /// Bytes that the local program sent.
        sent: u64,
        /// Bytes that the local program was given.
        received: u64,
        /// Why it did not end well, if so.
        error: Option<Failure>,
    },
    /// A connection through a tube is being negotiated, for a program or for the peer's.
    ConnectionOpening {
        /// The tube.
        tube: TubeId,
        /// Which of the tube's connections, counted from 1.
        connection: u64,
        /// Who is at the other end.
        peer: FullJid,
        /// What it carries, from now on and to its end.
        traffic: Traffic,
    },
    /// A program's connection reached the service.
    ConnectionOpened {
        /// The tube.
        tube: TubeId,
        /// Which of the tube's connections, counted from 1.
        connection: u64,
        /// Who is at the other end.
        peer: FullJid,
        /// What carries it: `ibb`, …
        transport: &'static str,
        /// What was tried before, and why it failed.
        fell_back_from: Vec<(String, String)>,
        /// How long it took, from the program's connect on.
        setup: Duration,
        /// The address of our connection to the service, by which the service knows it.
        source: Option<String>,
        /// Whether somebody on the way can read or change it.
        protection: Protection,
    },
    /// Somebody said something, or asked for it, and nothing follows: it was passed over, or refused. Comes at
    /// most once a minute for each of these and peer, and where many do it, not for each of them.
    Disregarded {
        /// What.
        what: Disregarded,
        /// Who: a contact or a stranger without the resource, somebody in a room by the name there.
        peer: Jid,
    },
    /// A file was sent. Comes exactly once for each, or [`FileFailed`](Self::FileFailed) does.
    FileDone {
        /// The file.
        file: FileId,
        /// Where it is, and how sure that is.
        delivered: Delivered,
    },
    /// A file was not sent, or not to its end.
    FileFailed {
        /// The file.
        file: FileId,
        /// Bytes that were carried; a sender cannot know whether the last of them arrived.
        carried: u64,
        /// Why; nothing, if this side gave it up.
        error: Option<Failure>,
    },
    /// A file is offered: to this account, or by it.
    FileOffered {
        /// The file.
        file: FileId,
        /// The other side: who offers, or whom it is offered to as soon as it is online.
        peer: Jid,
        /// Which way it goes.
        direction: Direction,
        /// What it is.
        particulars: Particulars,
        /// How far it has come, from now on and to its end.
        progress: Progress,
    },
    /// The bytes of a file begin to flow.
    FileStarted {
        /// The file.
        file: FileId,
        /// Who is at the other end.
        peer: FullJid,
        /// What carries it: `ibb`, …
        transport: &'static str,
        /// What was tried before, and why it failed.
        fell_back_from: Vec<(String, String)>,
        /// How many bytes the receiver had already.
        offset: u64,
        /// Whether somebody on the way can read or change it.
        protection: Protection,
    },
    /// Somebody wanted more than there may be, and was told to wait, or is not heard. Comes at most once a
    /// minute for each limit and peer, and where many go beyond one, not for each of them.
    LimitReached {
        /// Of what there was no more.
        limit: Limit,
        /// Who wanted it; the room, of [`Limit::Occupants`]. Nobody, if it was a program of this side, or a stranger
        /// without a name ([`Limit::Handshakes`]), or if it is the server's list that is too long
        /// ([`Limit::Roster`]).
        peer: Option<Jid>,
    },
    /// Whoever is at the other end of a connection goes by another name in the room.
    ConnectionRenamed {
        /// The tube.
        tube: TubeId,
        /// Which of the tube's connections, counted from 1.
        connection: u64,
        /// The present name.
        peer: FullJid,
    },
    /// A joined tube has its local address.
    Listening {
        /// The tube.
        tube: TubeId,
        /// Where programs connect.
        address: Address,
    },
    /// The application read too slowly, and this many events are lost to it. The present state,
    /// and what follows on it, is to be had from `Tubes::watch`.
    Missed(u64),
    /// The link to the server is down.
    Offline {
        /// Why.
        reason: String,
        /// The wait before the next try; none: it was given up.
        retry_in: Option<Duration>,
    },
    /// The link to the server is up.
    Online {
        /// The address of this client.
        jid: FullJid,
        /// The server: host and port.
        server: String,
        /// The TLS protocol, if any.
        tls: Option<&'static str>,
        /// Whether the former session goes on.
        resumed: bool,
    },
    /// Somebody is in a room that this account is in, or the room says something else of whose occupant
    /// that is.
    OccupantCame {
        /// The room, and the name there: another one may have it the next moment.
        occupant: FullJid,
        /// Whose occupant it is, where the room lets that be seen.
        real: Option<FullJid>,
    },
    /// Somebody is in a room no more, or goes by another name there.
    OccupantLeft {
        /// The room, and the former name.
        occupant: FullJid,
    },
    /// A contact's resource that does tubes came online.
    PeerOnline {
        /// The resource.
        peer: FullJid,
    },
    /// A contact's resource went offline.
    PeerOffline {
        /// The resource.
        peer: FullJid,
    },
    /// This account is in a room, or goes by another name there.
    RoomEntered {
        /// The room, and the name there.
        own: FullJid,
    },
    /// This account is in a room no more, and does not come back by itself.
    RoomLeft {
        /// The room.
        room: BareJid,
        /// Why, unless this side left.
        error: Option<Failure>,
    },
    /// A room is not there at the moment. It is entered again as soon as possible.
    RoomLost {
        /// The room.
        room: BareJid,
    },
    /// The server, or the way to it, takes so little from this account that people should know.
    /// Comes once, until it has recovered.
    Throttled {
        /// What it takes, about.
        bytes_per_second: u64,
    },
    /// It was decided whether a contact's device is trusted, for other reasons than that it has been
    /// before.
    TrustDecided {
        /// Whose device: a contact, or somebody in a room.
        contact: Jid,
        /// The device's key, if it has one.
        key: Option<Fingerprint>,
        /// What was decided.
        decision: Decision,
    },
    /// A tube is no more.
    TubeClosed {
        /// The tube.
        tube: TubeId,
        /// Its number on the wire.
        number: u32,
        /// Why, unless this side closed it.
        error: Option<Failure>,
    },
    /// This account exports a service to a contact, and offers it to each of its resources that
    /// does tubes, as it comes online; or to all who are in a room.
    TubeExported {
        /// The tube.
        tube: TubeId,
        /// Its number on the wire.
        number: u32,
        /// To whom.
        audience: Audience,
        /// The service's name.
        service: String,
        /// What the service's clients have to know.
        parameters: Parameters,
        /// Where the service is; none if a command is run for each connection.
        address: Option<Address>,
    },
    /// A tube is offered: to this account, or by it to a resource of the contact, or in a room.
    TubeOffered {
        /// The tube.
        tube: TubeId,
        /// Its number on the wire.
        number: u32,
        /// The other side: who offers, or whom it is offered to; of an own offer in a room, this
        /// account's name there. Who offers in a room may change its name: then this comes again.
        peer: FullJid,
        /// To whom: a contact, or a room.
        audience: Audience,
        /// The service's name.
        service: String,
        /// Which way the offer went.
        direction: Direction,
        /// What the service's clients have to know.
        parameters: Parameters,
    },
    /// A tube is in use: accepted, or first connected to; or it is offered in a room, where nobody is asked.
    TubeOpened {
        /// The tube.
        tube: TubeId,
    },
}

/// What was decided on a contact's device.
///
/// ```
/// use tubes_actors::Decision;
///
/// fn is_alarming(decision: &Decision) -> bool {
///     matches!(decision, Decision::Plain | Decision::Refused(_))
/// }
///
/// assert!(!is_alarming(&Decision::Pinned));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It is the first of the contact, and trusted from now on.
    Pinned,
    /// It does not encrypt, and is allowed not to.
    Plain,
    /// It is not trusted, and there is no connection; why.
    Refused(String),
}

/// A tube, for as long as the process lives. (The number on the wire is unique only together
/// with the peer.)
///
/// See [`State`](crate::State), which has the tubes by it, for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TubeId(pub(crate) u64);

impl TubeId {
    /// One that no other tube of the process has, whatever the account.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Display for TubeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a tube is for.
///
/// ```
/// use tubes_actors::Audience;
/// use xmpp_parsers::jid::BareJid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// assert_eq!(Audience::from(fernand.clone()), Audience::Contact(fernand));
/// let room = Audience::Room("hall@rooms.example.org".parse()?);
/// assert_eq!(room.jid().domain().as_str(), "rooms.example.org");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// A contact, with all of its resources.
    Contact(BareJid),
    /// All who are in a room (XEP-0045).
    Room(BareJid),
}

impl Audience {
    /// The address of the contact, or of the room.
    pub fn jid(&self) -> &BareJid {
        match self {
            Self::Contact(jid) | Self::Room(jid) => jid,
        }
    }
}

impl From<BareJid> for Audience {
    fn from(contact: BareJid) -> Self {
        Self::Contact(contact)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jid().fmt(f)
    }
}

/// Which way an offer went.
///
/// See [`Tube`](crate::state::Tube) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The contact offers.
    In,
    /// This account offers.
    Out,
}
