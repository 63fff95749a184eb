//! Stream tubes as telepathy-gabble speaks them.
//!
//! ```text
//!   offerer                                          joiner
//!      │ ── message: <tube type='stream' …/> ──────────► │
//!      │ ◄── a Stream Initiation with <stream tube/>, ── │  one for each connection
//!      │ ─── answered with <tube/> ────────────────────► │
//!      │ ◄── message: <close tube id/>, either way ────► │
//! ```

mod absence;
mod element;
mod error;
mod joiner;
mod offerer;
mod parameters;

pub(crate) use self::element::SERVICE;
pub use self::element::{Setting, StreamFor, TubeClose, TubeNumber, TubeOffer};
pub use self::error::TubeError;
pub use self::joiner::Joiner;
pub use self::offerer::{Announce, Offerer, Whose};
pub use self::parameters::{ParameterError, Parameters, Value};

/// Why a tube is no more, other than by this side's will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed it.
    ByPeer,
    /// Every resource of the peer that was offered it declined.
    Declined,
    /// Whoever offered it in a room has left that, and the tube with it.
    Left,
    /// The peer went offline and did not return.
    PeerGone,
}

/// Why a tube takes no connection.
///
/// ```
/// use tubes_protocol::tube::Refusal;
///
/// assert_eq!(Refusal::PeerAway.to_string(), "the offerer of the tube is offline");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is closed.
    #[error("the tube is closed")]
    Closed,
    /// It was not accepted yet.
    #[error("the tube was not accepted")]
    NotAccepted,
    /// Whoever asks was never offered it.
    #[error("the tube was not offered to this resource")]
    NotOffered,
    /// The offerer is offline.
    #[error("the offerer of the tube is offline")]
    PeerAway,
}
