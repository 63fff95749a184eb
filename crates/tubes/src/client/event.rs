//! What a client tells the application.

use std::sync::Arc;

use tubes_actors::{AcceptError, Failure};
use tubes_local::Address;
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::FullJid;

use crate::stream_tube::{Announced, Change};
use crate::{ConnectionEnd, StreamTube, TubeConnection};

/// Something that happened to a client's tubes.
///
/// See [`StreamTubeClient`](crate::StreamTubeClient) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A connection ended. Comes once for each that was opened; never without
    /// [`Monitoring`](crate::Monitoring).
    ConnectionClosed {
        /// The connection.
        connection: TubeConnection,
        /// How it ended.
        end: ConnectionEnd,
    },
    /// A connection reached the service of whoever offered the tube. Never comes without
    /// [`Monitoring`](crate::Monitoring).
    ConnectionOpened {
        /// The connection.
        connection: TubeConnection,
    },
    /// The application read too slowly, and this many events are lost to it. The present state, and
    /// what follows on it, is to be had from `StreamTubeClient::watch`.
    Missed(u64),
    /// A tube is accepted: programs connect from now on where it says, or the application does.
    TubeAccepted {
        /// The tube.
        tube: StreamTube,
        /// Where programs connect, if they do.
        address: Option<Address>,
    },
    /// A tube is no more.
    TubeClosed {
        /// The tube, as it was last.
        tube: StreamTube,
        /// Why, unless this side closed or declined it.
        error: Option<Failure>,
    },
    /// A tube is not wanted, and is about to be closed.
    TubeDeclined {
        /// The tube.
        tube: StreamTube,
        /// Why, as the policy has it.
        reason: String,
    },
    /// A tube is wanted and could not be accepted. It is about to be closed, unless it is already, or
    /// somebody else has accepted it.
    TubeFailed {
        /// The tube.
        tube: StreamTube,
        /// Why not.
        error: Arc<AcceptError>,
    },
    /// A tube for one of the client's services is offered; whether it is wanted is asked next.
    TubeOffered {
        /// The offer.
        invitation: Invitation,
    },
}

impl Announced for ClientEvent {
    fn of(change: Change) -> Option<Self> {
        Some(match change {
            Change::Closed(tube, error) => Self::TubeClosed { tube, error },
            Change::ConnectionClosed(connection, end) => Self::ConnectionClosed { connection, end },
            Change::ConnectionOpened(connection) => Self::ConnectionOpened { connection },
            Change::Listening(tube, address) => {
                let address = Some(address);
                Self::TubeAccepted { tube, address }
            }
            Change::Opened(_) => return None,
        })
    }

    fn missed(count: u64) -> Self {
        Self::Missed(count)
    }
}

/// A tube that is offered to one of the client's accounts.
///
/// See [`Policy`](crate::Policy) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invitation {
    /// The tube.
    pub tube: StreamTube,
    /// Who offers it.
    pub offerer: FullJid,
    /// What its programs have to know.
    pub parameters: Parameters,
}

/// Why a client has no connection through a tube.
///
/// ```
/// use tubes::{AcceptError, ConnectError};
///
/// /// Whether it is worth another try.
/// fn may_try_again(why: &ConnectError) -> bool {
///     matches!(why, ConnectError::Undecided | ConnectError::Accept(AcceptError::Busy))
/// }
///
/// assert!(may_try_again(&ConnectError::Undecided));
/// assert!(!may_try_again(&ConnectError::Unknown));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The tube does not take it.
    #[error("cannot connect through the tube: {0}")]
    Accept(#[from] AcceptError),
    /// A socket could not be made.
    #[error("cannot make a socket: {0}")]
    Io(#[from] std::io::Error),
    /// It is not decided yet whether the tube is wanted.
    #[error("the tube is not accepted yet: wait for the event that says so")]
    Undecided,
    /// The client has no such tube.
    #[error("the client has no such tube: it is closed, or another's")]
    Unknown,
}
