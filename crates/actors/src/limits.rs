//! How much of everything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tubes_session::Bound;

/// How much an account takes on, from its contacts and for its own programs.
///
/// The defaults protect a small machine and are out of the way of everything else. Bytes need no
/// setting: what a connection holds back for a slow reader is bounded by half a mebibyte for each
/// direction, what all connections of a contact hold in-band by 32 MiB, and those of all by 128 MiB.
///
/// The connections in all are counted together for accounts that are given clones of one value:
/// a process that has many accounts bounds what they take together.
///
/// ```
/// use tubes_actors::Limits;
///
/// let limits = Limits::new().with_connections(64).with_connections_per_contact(8);
/// // Each account is given a clone.
/// let (one, other) = (limits.clone(), limits);
/// # drop((one, other));
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) connections_per_contact: usize,
    pub(crate) connections_per_tube: usize,
    pub(crate) negotiations: usize,
    pub(crate) negotiations_per_contact: usize,
    pub(crate) invitations: usize,
    pub(crate) invitations_per_contact: usize,
    pub(crate) offers: usize,
    pub(crate) files: usize,
    pub(crate) files_per_contact: usize,
    pub(crate) rooms: usize,
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            connections_per_contact: CONNECTIONS_PER_CONTACT,
            connections_per_tube: CONNECTIONS_PER_TUBE,
            negotiations: ANSWERED,
            negotiations_per_contact: ANSWERED_PER_CONTACT,
            invitations: INVITATIONS,
            invitations_per_contact: INVITATIONS_PER_CONTACT,
            offers: OFFERS,
            files: FILES,
            files_per_contact: FILES_PER_CONTACT,
            rooms: ROOMS,
        }
    }

    /// Connections at a time of all tubes of all accounts that share this value. Programs beyond wait
    /// in the backlog of their listener; contacts beyond are told to wait.
    pub fn with_connections(mut self, most: usize) -> Self {
        self.connections = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// Connections at a time that one contact, or one occupant of a room, may have to the services that
    /// an account offers, over all tubes. Where a room shows whose occupant somebody is, that one counts.
    pub fn with_connections_per_contact(mut self, most: usize) -> Self {
        self.connections_per_contact = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Connections of one tube at a time.
    pub fn with_connections_per_tube(mut self, most: usize) -> Self {
        self.connections_per_tube = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Connections at a time that contacts have asked for and that are being negotiated.
    pub fn with_negotiations(mut self, most: usize) -> Self {
        self.negotiations = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// The same of one contact, or of one occupant of a room.
    pub fn with_negotiations_per_contact(mut self, most: usize) -> Self {
        self.negotiations_per_contact = most.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Tubes that all contacts together may have offered at a time; in rooms as many again, where
    /// more are seen as soon as others are gone.
    pub fn with_invitations(mut self, most: usize) -> Self {
        self.invitations = most;
        self
    }

    /// Tubes that one contact may have offered at a time.
    pub fn with_invitations_per_contact(mut self, most: usize) -> Self {
        self.invitations_per_contact = most;
        self
    }

    /// Tubes that an account offers at a time. Counted apart, so that contacts cannot use them up.
    pub fn with_offers(mut self, most: usize) -> Self {
        self.offers = most;
        self
    }

    /// Files at a time that all contacts together offer or send; and as many again that this account does.
    pub fn with_files(mut self, most: usize) -> Self {
        self.files = most;
        self
    }

    /// Files at a time that one contact offers or sends. Those beyond are declined for the moment.
    pub fn with_files_per_contact(mut self, most: usize) -> Self {
        self.files_per_contact = most;
        self
    }

    /// Rooms that an account is in at a time.
    pub fn with_rooms(mut self, most: usize) -> Self {
        self.rooms = most;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Of what there was no more.
///
/// See [`Event`](crate::Event::LimitReached) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Answers that wait, of one contact or in all: what it asks beyond is refused.
    Answers,
    /// What is remembered of what programs of contacts can do: they are asked again.
    Capabilities,
    /// Connections, of all tubes of all accounts that share their [`Limits`].
    Connections,
    /// Connections of one contact.
    ConnectionsPerContact,
    /// Connections of one tube.
    ConnectionsPerTube,
    /// Files that contacts offer or send.
    Files,
    /// Files that one contact offers or sends.
    FilesPerContact,
    /// Direct connections that have not said yet what they are for: the oldest had to go.
    Handshakes,
    /// Tubes that contacts have offered.
    Invitations,
    /// Tubes that one contact has offered.
    InvitationsPerContact,
    /// Tubes that one occupant of a room offers.
    InvitationsPerOccupant,
    /// Tubes that are offered in rooms.
    InvitationsInRooms,
    /// Connections that are being negotiated, in all or with one contact.
    Negotiations,
    /// People in a room: those beyond are not seen.
    Occupants,
    /// Programs of one contact that are online at a time: those beyond are not seen.
    Resources,
    /// Contacts in the roster: those beyond are taken for strangers, unless the application deals with them. Of
    /// nobody, if the server's list was too long to be read as a whole at login.
    Roster,
    /// Bytes that wait to be read, of one contact or in all: connections that bring more are broken off.
    Unread,
}

impl Limit {
    /// Of what a session had no more.
    pub(crate) fn of_session(bound: Bound) -> Option<Self> {
        Some(match bound {
            Bound::Capabilities => Self::Capabilities,
            Bound::Carried(tubes_transport::Bound::Answers) => Self::Answers,
            Bound::Carried(tubes_transport::Bound::Handshakes) => Self::Handshakes,
            Bound::Carried(tubes_transport::Bound::Unread) => Self::Unread,
            Bound::Resources => Self::Resources,
            Bound::Roster => Self::Roster,
            _ => return None,
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers that wait",
            Self::Capabilities => "capabilities of contacts",
            Self::Connections => "connections at a time",
            Self::ConnectionsPerContact => "connections of one contact at a time",
            Self::ConnectionsPerTube => "connections of one tube at a time",
            Self::Files => "files that contacts send",
            Self::FilesPerContact => "files that one contact sends",
            Self::Handshakes => "connections that have not said what they want",
            Self::Invitations => "tubes that are offered by contacts",
            Self::InvitationsPerContact => "tubes that are offered by one contact",
            Self::InvitationsPerOccupant => "tubes that are offered by one occupant of a room",
            Self::InvitationsInRooms => "tubes that are offered in rooms",
            Self::Negotiations => "connections that are being negotiated",
            Self::Occupants => "people in a room",
            Self::Resources => "programs of one contact",
            Self::Roster => "contacts in the roster",
            Self::Unread => "bytes that wait to be read",
        })
    }
}

/// Connections in all: far beyond what programs make, and memory that a small machine has.
const CONNECTIONS: usize = 8192;

/// Connections of one contact: a few tubes in full use.
const CONNECTIONS_PER_CONTACT: usize = 2048;

/// Connections of one tube: a busy web site.
const CONNECTIONS_PER_TUBE: usize = 1024;

/// Negotiations pending at a time that we asked one contact for. They are counted apart from those
/// that it asked for: otherwise a contact could keep us from asking.
pub(crate) const ASKED_PER_CONTACT: usize = 64;

/// Negotiations pending at a time that one contact asked for. More than we ask for: through a
/// proxy the side that asked is done first, and asks for the next before this side is done, too.
const ANSWERED_PER_CONTACT: usize = 256;

/// Negotiations pending at a time that we asked for, in all.
pub(crate) const ASKED: usize = 1024;

/// Negotiations pending at a time that others asked for, in all.
const ANSWERED: usize = 4096;

/// Tubes that one contact offers.
const INVITATIONS_PER_CONTACT: usize = 64;

/// Tubes that all contacts together offer.
const INVITATIONS: usize = 1024;

/// Tubes that an account offers.
const OFFERS: usize = 1024;

/// Files that one contact sends at a time: a folder's, a few at once. Each holds two descriptors.
const FILES_PER_CONTACT: usize = 32;

/// Files that all contacts together send at a time.
const FILES: usize = 256;

/// Tubes that an account offers in one room: others look at so many of one occupant.
pub(crate) const OFFERS_PER_ROOM: usize = 32;

/// Bytes in the parameters of a tube that is offered in a room: those of all offers there go into one
/// presence, and servers end a stream with a stanza that is too large for them.
pub(crate) const PARAMETERS_IN_ROOM: usize = 1024;

/// Rooms of an account.
const ROOMS: usize = 64;

/// Time for connections to finish what they were given when their tube closes.
pub(crate) const WIND_DOWN: Duration = Duration::from_secs(10);

/// The same when the account leaves.
pub(crate) const WIND_DOWN_LEAVING: Duration = Duration::from_millis(2500);

/// Time for all tubes to close when the account leaves; logging out takes up to one and a half
/// seconds more, and five is what an interrupted program has.
pub(crate) const LEAVE: Duration = Duration::from_millis(3600);
