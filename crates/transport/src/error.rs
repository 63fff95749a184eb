//! What can fail, one enum an operation.

use std::io;

use xmpp_parsers::stanza_error::StanzaError;

use crate::foreign;

/// The other end of something is no longer there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Gone {
    /// Whoever held the other end let it go.
    #[error("closed by this side")]
    Closed,
    /// More arrived than could be held.
    #[error("the peer sent more than this side could take")]
    Overflow,
    /// The peer is no longer reachable.
    #[error("the peer went offline")]
    Peer,
    /// The session with the own server was lost.
    #[error("the connection to the XMPP server was lost")]
    Session,
}

/// Why a question has no good answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The session or the peer went away before the answer.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The other side answered with an error.
    #[error("refused: {}", condition(.0))]
    Refused(Box<StanzaError>),
    /// No answer within the time that fits the question.
    #[error("no answer in time")]
    TimedOut,
}

/// Why one attempt of one transport did not open a bytestream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The transport knows several ways, and all that were tried failed; in the order tried.
    #[error("{}", list(.0))]
    Exhausted(Vec<Tried>),
    /// The session or the peer is gone.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// A local resource failed.
    #[error("local failure: {0}")]
    Io(#[from] io::Error),
    /// The peer broke the transport's protocol.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The peer refused this transport.
    #[error("refused by the peer: {}", condition(.0))]
    Refused(Box<StanzaError>),
    /// A deadline passed.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
    /// No way to the peer was found.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

impl ConnectError {
    /// Whether another transport may succeed where this one failed.
    pub fn may_fall_back(&self) -> bool {
        !matches!(self, Self::Gone(_))
    }

    /// What to remember of this failure: one entry for each way that was tried, and `transport`
    /// for a transport that has only one.
    pub fn into_tried(self, transport: &'static str) -> Vec<Tried> {
        match self {
            Self::Exhausted(tried) => tried,
            reason => vec![Tried { transport, reason }],
        }
    }
}

/// A way that was tried and failed.
#[derive(Debug)]
pub struct Tried {
    /// The transport's namespace, or the label of one of its ways.
    pub transport: &'static str,
    /// Why.
    pub reason: ConnectError,
}

impl From<AskError> for ConnectError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Gone(gone) => Self::Gone(gone),
            AskError::Refused(why) => Self::Refused(why),
            AskError::TimedOut => Self::TimedOut("waiting for the peer's answer"),
        }
    }
}

/// Why no bytestream came of a whole negotiation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Every transport failed; in the order tried.
    #[error("no transport worked: {}", list(.0))]
    Exhausted(Vec<Tried>),
    /// The session or the peer is gone.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The peer broke the signalling's protocol.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The peer declined the bytestream.
    #[error("declined by the peer: {}", condition(.0))]
    Refused(Box<StanzaError>),
    /// A deadline passed.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
}

impl From<AskError> for OpenError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Gone(gone) => Self::Gone(gone),
            AskError::Refused(why) => Self::Refused(why),
            AskError::TimedOut => Self::TimedOut("waiting for the peer's answer"),
        }
    }
}

/// A stanza error in a line: its condition, and the peer's own words where it gave some.
fn condition(error: &StanzaError) -> String {
    let name = xmpp_parsers::minidom::Element::from(error.clone())
        .children()
        .find(|child| !child.is("text", xmpp_parsers::ns::XMPP_STANZAS))
        .map_or_else(
            || "undefined-condition".to_owned(),
            |child| child.name().to_owned(),
        );
    match error.texts.values().next() {
        Some(text) => format!("{name} ({})", foreign::said(text)),
        None => name,
    }
}

fn list(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "the peers have none in common".to_owned();
    }
    let reasons: Vec<_> = tried
        .iter()
        .map(|Tried { transport, reason }| format!("{transport}: {reason}"))
        .collect();
    reasons.join("; ")
}
