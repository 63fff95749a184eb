//! What a server tells the application.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tubes_actors::{Failure, OfferError};
use xmpp_parsers::jid::BareJid;

use crate::stream_tube::{Announced, Change};
use crate::{Audience, ConnectionEnd, StreamTube, TubeConnection};

/// Something that happened to a server's tubes.
///
/// See [`StreamTubeServer`](crate::StreamTubeServer) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A connection ended. Comes once for each that was opened; never without
    /// [`Monitoring`](crate::Monitoring).
    ConnectionClosed {
        /// The connection.
        connection: TubeConnection,
        /// How it ended.
        end: ConnectionEnd,
    },
    /// A connection reached the socket that its tube exports. Its source is where the service sees
    /// it come from. Never comes without [`Monitoring`](crate::Monitoring).
    ConnectionOpened {
        /// The connection.
        connection: TubeConnection,
    },
    /// The application read too slowly, and this many events are lost to it. The present state, and
    /// what follows on it, is to be had from `StreamTubeServer::watch`.
    Missed(u64),
    /// A tube is no more.
    TubeClosed {
        /// The tube, as it was last.
        tube: StreamTube,
        /// Why, unless this side closed it.
        error: Option<Failure>,
    },
    /// A tube that was requested is offered from now on.
    TubeOffered {
        /// What was requested.
        request: RequestId,
        /// The tube.
        tube: StreamTube,
    },
    /// A tube is used for the first time; in a room it is open as soon as it is offered.
    TubeOpened {
        /// The tube.
        tube: StreamTube,
    },
    /// A tube that was requested is not offered.
    TubeRefused {
        /// What was requested.
        request: TubeRequest,
        /// Why not.
        error: ServeError,
    },
    /// A tube is requested, and the server is about to offer it: what is to be said with the offer is
    /// asked next. Followed by one `TubeOffered` or `TubeRefused`.
    TubeRequested {
        /// What is requested.
        request: TubeRequest,
    },
}

impl Announced for ServerEvent {
    fn of(change: Change) -> Option<Self> {
        Some(match change {
            Change::Closed(tube, error) => Self::TubeClosed { tube, error },
            Change::ConnectionClosed(connection, end) => Self::ConnectionClosed { connection, end },
            Change::ConnectionOpened(connection) => Self::ConnectionOpened { connection },
            Change::Listening(..) => return None,
            Change::Opened(tube) => Self::TubeOpened { tube },
        })
    }

    fn missed(count: u64) -> Self {
        Self::Missed(count)
    }
}

/// A request for a tube.
///
/// See [`ParametersGenerator`](crate::ParametersGenerator) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TubeRequest {
    /// Which request it is.
    pub id: RequestId,
    /// The account that is to offer it.
    pub account: BareJid,
    /// Whom it is to be offered to.
    pub audience: Audience,
    /// The service's name.
    pub service: String,
}

/// Which request for a tube it is, as long as the process lives.
///
/// See [`ParametersGenerator`](crate::ParametersGenerator) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

impl RequestId {
    pub(super) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a server does not offer a tube.
///
/// ```
/// use tubes::{Audience, BareJid, ServeError, StreamTubeServer};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = StreamTubeServer::builder().services_for_contacts(["x-chat"]).build();
/// let account: BareJid = "alice@example.org".parse()?;
/// let to_itself = || Audience::Contact(account.clone());
/// let refused = server.offer(&account, to_itself(), "x-chess").await;
/// assert!(matches!(refused, Err(ServeError::NotHandled { .. })));
/// let refused = server.offer(&account, to_itself(), "x-chat").await;
/// assert!(matches!(refused, Err(ServeError::UnknownAccount(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Who asked for it gave up before it was offered.
    #[error("given up before it was offered")]
    Abandoned,
    /// The server was closed.
    #[error("the server is closed: create another one")]
    Closed,
    /// The rules of the server forbid it.
    #[error("{audience} may not use {service}: change the server's rules to allow it")]
    Forbidden {
        /// Whom it was to be offered to.
        audience: Audience,
        /// The service.
        service: String,
    },
    /// The generator of parameters has none for this tube.
    #[error("no parameters for this tube: {0}")]
    Generator(Arc<dyn Error + Send + Sync>),
    /// The server was not created for this service and this kind of audience.
    #[error(
        "the server does not handle {service} for {audience}: name the service when creating it"
    )]
    NotHandled {
        /// Whom it was to be offered to.
        audience: Audience,
        /// The service.
        service: String,
    },
    /// The server has no socket to offer.
    #[error("nothing is exported: export a socket first")]
    NothingExported,
    /// The account does not offer it.
    #[error(transparent)]
    Offer(Arc<OfferError>),
    /// The account is not, or no more, one of the server's.
    #[error("{0} is no account of this server: add it first")]
    UnknownAccount(BareJid),
}
