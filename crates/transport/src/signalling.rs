//! How both sides agree on a transport.

use std::fmt;

use async_trait::async_trait;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::StanzaError;

use crate::{Ask, Bytestream, Kind, OpenError, Patience, Stanzas, StreamId, Tried};

/// How both sides agree on a transport: Stream Initiation today; Jingle plugs in here.
///
/// A signalling owns its ladder of transports and walks it: after an attempt that
/// [may fall back](crate::ConnectError::may_fall_back) comes the next rung.
#[async_trait]
pub trait Signalling: fmt::Debug + Send + Sync + 'static {
    /// What disco#info says of it: its own features and those of its transports.
    fn features(&self) -> Vec<String>;

    /// Lets the transports look around for an account that has logged in to a new session. See
    /// [`Transport::explore`](crate::Transport::explore).
    async fn explore(&self, _account: FullJid, _stanzas: Stanzas) {}

    /// Reads a question: a proposal of this signalling's, or handed back.
    fn read(&self, ask: Ask) -> Reading;

    /// Asks the peer for a bytestream. Dropping the future gives it up.
    async fn open(&self, request: Request) -> Result<Opened, OpenError>;

    /// Accepts a proposal; `request` says what the answer carries. Dropping the future gives
    /// it up.
    async fn accept(&self, proposal: Proposal, request: Request) -> Result<Opened, OpenError>;

    /// Declines a proposal.
    fn decline(&self, proposal: Proposal, why: StanzaError) {
        proposal.ask.refuse(why);
    }
}

/// What became of a question that a signalling has read.
#[derive(Debug)]
pub enum Reading {
    /// It belonged to this signalling and was answered: it was malformed, or needed no more.
    Answered,
    /// It is not of this signalling.
    Foreign(Ask),
    /// The peer proposes a bytestream.
    Proposal(Box<Proposal>),
}

/// A bytestream to ask for, or the terms on which one is accepted.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its identifier.
    pub stream: StreamId,
    /// This side's address in the negotiation.
    pub local: FullJid,
    /// The peer's.
    pub peer: FullJid,
    /// The account's own full JID; differs from `local` in a room.
    pub account: FullJid,
    /// What the bytestream is for, as opposed to how it is carried: the profile's element.
    pub purpose: Element,
    /// Further elements for the peer; those it does not know it ignores.
    pub extensions: Vec<Element>,
    /// How long the peer may take to answer, where this side asks.
    pub patience: Patience,
    /// The way to the session.
    pub stanzas: Stanzas,
}

/// A bytestream that the peer asks for.
#[derive(Debug)]
pub struct Proposal {
    /// Its identifier, drawn by the peer.
    pub stream: StreamId,
    /// Who asks.
    pub peer: FullJid,
    /// What the peer is.
    pub kind: Kind,
    /// What the bytestream is for.
    pub purpose: Element,
    /// Further elements of the peer's.
    pub extensions: Vec<Element>,
    /// The transports the peer offers, best first.
    pub transports: Vec<String>,
    /// Whether the peer can fall back from one to the next.
    pub multiple: bool,
    /// The question to answer.
    pub ask: Ask,
}

/// An open bytestream and how it came to be.
#[derive(Debug)]
pub struct Opened {
    /// The bytestream; its label names the transport that carries it.
    pub stream: Bytestream,
    /// What the peer is.
    pub kind: Kind,
    /// Further elements that the peer's answer carried; empty at the responder.
    pub extensions: Vec<Element>,
    /// What the profile said in the peer's answer; nothing at the responder.
    pub purpose: Option<Element>,
    /// What failed before, in the order tried.
    pub attempts: Vec<Tried>,
    /// What both sides said of it, and who they are: the same bytes at both, unless somebody on
    /// the way has changed it.
    pub transcript: Vec<u8>,
}
