//! The contract between signalling and the transports that carry bytestreams.
//!
//! ```text
//!   Signalling ──► Transport ──► Attempt ──────► Bytestream
//!   agrees which   gathers,      talks over      AsyncRead + AsyncWrite,
//!   one to use     silently      its Wire        spliced to a local socket
//!                                   │
//!                              Stanzas ⇄ the session (Outbox, Switchboard)
//! ```
//!
//! - [`Transport`] and [`Attempt`]: a way to carry bytes, and one try of it (this file)
//! - [`Signalling`]: how both sides agree on a transport (`signalling.rs`)
//! - [`Wire`]: one bytestream's share of the XMPP session (`wire.rs`)
//! - [`Stanzas`]: what may be said over the session (`stanzas.rs`)
//! - [`Ask`]: a question of the peer's, to be answered once (`ask.rs`)
//! - [`Outbox`] and [`Switchboard`]: the session's end of all that (`outbox.rs`, `switchboard.rs`), and what comes
//!   too late for a stream (`over.rs`)
//! - [`Share`]: how much of what a peer sends may wait (`budget.rs`); [`Excess`]: that there was no
//!   more of something (`excess.rs`)
//! - [`Bytestream`]: what comes out (`bytestream.rs`)
//! - [`foreign`]: what peers chose, in sentences for people
//!
//! Deliberately absent: actors, JID look-up, byte counting, listening for strangers, and
//! fallback inside a transport. Falling back belongs to the signalling.

mod ask;
mod budget;
mod bytestream;
mod error;
mod excess;
pub mod foreign;
mod outbox;
mod over;
mod quota;
mod signalling;
mod stanzas;
mod switchboard;
mod wire;

pub use self::ask::{Answered, Ask, Tell};
pub use self::budget::{Overdrawn, Share};
pub use self::bytestream::{Bytestream, Io};
pub use self::error::{AskError, ConnectError, Gone, OpenError, Tried};
pub use self::excess::{Bound, Excess};
pub use self::outbox::{Lane, Outbox};
pub use self::signalling::{Opened, Proposal, Reading, Request, Signalling};
pub use self::stanzas::{Answer, Outbound, Patience, Question, Stanzas};
pub use self::switchboard::Switchboard;
pub use self::wire::{Inbound, Voice, Wire};

/// What the contract is written in, in the version that it uses: so a transport needs no
/// dependency of its own on them, which might be of another version.
pub use async_trait::async_trait;
/// Addresses, elements and stanza errors, in the version that the contract uses.
pub use xmpp_parsers;

use std::fmt;

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

/// A way to carry bytestreams. One value serves every bytestream of the process.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// The namespace by which both sides call this transport; also its disco#info feature.
    fn namespace(&self) -> &'static str;

    /// Looks around for what bytestreams of an account will need later, such as proxies.
    ///
    /// Called when the account has logged in to a new session; runs beside everything else, and
    /// is dropped at the next login. Nothing waits for it, and most transports need nothing.
    async fn explore(&self, _account: FullJid, _stanzas: Stanzas) {}

    /// Gathers what this side brings: sockets, candidates, sizes.
    ///
    /// Nothing is said to the peer yet. Dropping the future frees what was gathered.
    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError>;
}

/// One try of one transport for one bytestream.
#[async_trait]
pub trait Attempt: Send {
    /// What the peer has to know before anything is said: Jingle puts it into `<transport/>`.
    /// Stream Initiation has no place for it.
    fn description(&self) -> Option<Element> {
        None
    }

    /// Runs until the bytestream is open or this transport has failed.
    ///
    /// After an error the wire is as usable as before, for the next attempt. A transport that
    /// needs the wire beyond this call keeps it with [`Wire::take`]. Dropping the future gives
    /// the attempt up and frees its sockets.
    async fn connect(
        self: Box<Self>,
        remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError>;
}

/// What a transport is told of the bytestream it is to carry.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which side this is.
    pub role: Role,
    /// The identifier that both sides know the bytestream by.
    pub stream: StreamId,
    /// This side's address in the negotiation: the account's full JID or, in a room, the
    /// occupant's.
    pub local: FullJid,
    /// The peer's address in the negotiation.
    pub peer: FullJid,
    /// The account's own full JID. In a room it differs from [`local`](Self::local), and is what
    /// servers outside the room, such as a proxy, see.
    pub account: FullJid,
    /// What the peer is known to be.
    pub kind: Kind,
    /// What the peer described of its side, where the signalling has a place for it.
    pub offer: Option<Element>,
    /// For stanzas beside the wire, such as questions to a proxy.
    pub stanzas: Stanzas,
}

/// The two sides of a bytestream. On the wire XEP-0095 calls them initiator and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asked for the bytestream.
    Requester,
    /// Was asked for it.
    Responder,
}

/// Whether the peer understands what this project adds to the XEPs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The peer announced `<kind xmlns='urn:x-tubes:0'/>`.
    Ours,
    /// A Gabble, or anybody else: plain XEP behaviour.
    #[default]
    Other,
}

/// The identifier of a bytestream, drawn by the requester; `sid` or `id` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(String);

impl StreamId {
    /// The identifier as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StreamId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for StreamId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
