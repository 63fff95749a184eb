//! Lets local programs in.

use std::future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tracing::{debug, warn};

use crate::access::Gate;
use crate::bind;
use crate::path::{self, SocketFile};
use crate::{Access, Address, BindError, Permissions, Socket, Source};

/// A listening socket that programs connect to.
///
/// Stops listening when dropped, and then removes its file, if that is still its own.
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::UnixStream;
/// use tubes_local::{Access, Address, Listener, Permissions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("desktop");
/// let permissions = Permissions::default().with_mode("0666".parse()?);
/// let address = Address::unix(&path)?;
/// let listener = Listener::bind_with_permissions(&address, Access::Localhost, permissions).await?;
///
/// let mut program = UnixStream::connect(&path).await?;
/// let (mut socket, source) = listener.accept().await?;
/// assert!(source.uid().is_some(), "the kernel says whose program it is");
/// program.write_all(b"hello").await?;
/// let mut heard = [0; 5];
/// socket.read_exact(&mut heard).await?;
/// assert_eq!(&heard, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: Address,
    access: Access,
    /// Programs that were cut off.
    denied: AtomicU64,
}

impl Listener {
    /// Listens at the address.
    ///
    /// A host name is listened at on all addresses it stands for. A Unix socket's file has mode
    /// 0600 from the start; a stale one is replaced. Must be called within a tokio runtime.
    /// Cancel safe.
    pub async fn bind(address: &Address, access: Access) -> Result<Self, BindError> {
        Self::bind_with_permissions(address, access, Permissions::default()).await
    }

    /// Likewise; a Unix socket's file is shared with other users, whom [`Access::Localhost`] lets
    /// in then. They cannot connect before it has its mode and its group.
    pub async fn bind_with_permissions(
        address: &Address,
        access: Access,
        permissions: Permissions,
    ) -> Result<Self, BindError> {
        check(access, address)?;
        if !permissions.fits(address) {
            let address = address.clone();
            return Err(BindError::NoFile { address });
        }
        let (kind, address) = match address {
            Address::Tcp { host, port } => {
                let (listeners, port) = bind::listen_tcp(host, *port).await?;
                let host = host.clone();
                (Kind::Tcp(listeners), Address::Tcp { host, port })
            }
            Address::Unix(path) => {
                let path = if path.as_os_str().is_empty() {
                    path::fresh(std::env::var_os("XDG_RUNTIME_DIR"))?
                } else {
                    path.clone()
                };
                let (listener, file) = path::listen(path, permissions).await?;
                let address = Address::Unix(file.path().to_owned());
                let kind = Kind::Unix {
                    listener,
                    gate: Gate::File,
                    _file: Some(file),
                };
                (kind, address)
            }
            Address::Abstract(name) => {
                let listener = bind::listen_abstract(name)?;
                (
                    Kind::unix_without_file(listener, Gate::Open),
                    address.clone(),
                )
            }
            Address::Stdio => (Kind::Stdio(AtomicBool::new(false)), Address::Stdio),
        };
        debug!(%address, %access, "listening");
        Ok(Self {
            kind,
            address,
            access,
            denied: AtomicU64::new(0),
        })
    }

    /// Lets programs in at a socket that listens already: one of `std`, or a descriptor that
    /// was inherited; one of tokio by its `into_std`.
    ///
    /// It keeps the backlog and the permissions that it has: with [`Access::Localhost`], those whom
    /// a Unix socket's file lets in may connect. The file is not removed at the end: it is whose
    /// who made it. Must be called within a tokio runtime.
    pub fn of(listener: impl Into<OwnedFd>, access: Access) -> Result<Self, BindError> {
        let listener = listener.into();
        let unfit = |why| BindError::Given(io::Error::new(io::ErrorKind::InvalidInput, why));
        let address = Address::named_by(listener.as_fd()).map_err(unfit)?;
        check(access, &address)?;
        let kind = Kind::given(listener, &address).map_err(BindError::Given)?;
        debug!(%address, %access, "listening at a socket that was handed over");
        Ok(Self {
            kind,
            address,
            access,
            denied: AtomicU64::new(0),
        })
    }

    /// Where it listens: with the port that the kernel chose, or the path that was made up.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether programs of other machines may reach it, and get in.
    pub fn is_open_to_others(&self) -> bool {
        let Kind::Tcp(listeners) = &self.kind else {
            return false;
        };
        let mut addrs = listeners.iter().map(TcpListener::local_addr);
        self.access == Access::Localhost
            && addrs.any(|addr| !addr.is_ok_and(|addr| addr.ip().to_canonical().is_loopback()))
    }

    /// Waits for the next program that may come in.
    ///
    /// The last descriptors of the process are not given to programs: while only those are
    /// left this fails with [`AcceptError::Exhausted`], whether or not somebody waits.
    /// One that may not is cut off; of the first, the second, the fourth and so on a warning is logged.
    /// Standard input and output are yielded
    /// once, after which this waits for ever. Cancel safe; of several tasks that wait, only the
    /// last is sure to be woken.
    pub async fn accept(&self) -> Result<(Socket, Source), AcceptError> {
        loop {
            // At each try: whoever waited since better times must not take the reserve.
            let accepting = future::poll_fn(|cx| {
                tubes_tcp::spare_descriptor()?;
                self.poll_accept(cx)
            });
            let (socket, gate) = accepting.await?;
            let source = socket.source().clone();
            if self.access.permits(gate, &source) {
                return Ok((socket, source));
            }
            self.deny(&source);
            socket.abort();
        }
    }

    /// Says so, but no neighbour fills the log by trying again and again.
    fn deny(&self, source: &Source) {
        let (address, access) = (&self.address, self.access);
        let denied = self.denied.fetch_add(1, Ordering::Relaxed) + 1;
        if denied.is_power_of_two() {
            warn!(%address, %source, %access, denied, "access denied");
        } else {
            debug!(%address, %source, %access, denied, "access denied");
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<(Socket, Gate), AcceptError>> {
        match &self.kind {
            Kind::Tcp(listeners) => {
                for listener in listeners {
                    if let Poll::Ready(accepted) = poll_tcp(listener, cx) {
                        return Poll::Ready(accepted);
                    }
                }
                Poll::Pending
            }
            Kind::Unix { listener, gate, .. } => poll_unix(listener, *gate, cx),
            Kind::Stdio(taken) if taken.swap(true, Ordering::Relaxed) => Poll::Pending,
            Kind::Stdio(_) => Poll::Ready(match Socket::stdio() {
                Ok(socket) => Ok((socket, Gate::Open)),
                Err(why) => Err(AcceptError::from(why)),
            }),
        }
    }
}

/// Why a program could not be let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No descriptors or memory are left. The program goes on waiting in the backlog: try again
    /// when a connection has ended.
    #[error("too many open connections: {0}")]
    Exhausted(io::Error),
    /// The listening socket is of no use any more.
    #[error("cannot accept connections: {0}")]
    Io(io::Error),
}

impl AcceptError {
    /// Whether it may work again later, so that the caller is to pause instead of giving up.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Exhausted(_))
    }
}

impl From<io::Error> for AcceptError {
    fn from(why: io::Error) -> Self {
        match Errno::from_io_error(&why) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                Self::Exhausted(why)
            }
            _ => Self::Io(why),
        }
    }
}

impl From<AcceptError> for io::Error {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Exhausted(why) | AcceptError::Io(why) => why,
        }
    }
}

#[derive(Debug)]
enum Kind {
    /// One for each address that the host name stands for.
    Tcp(Vec<TcpListener>),
    Unix {
        listener: UnixListener,
        gate: Gate,
        /// None for an abstract socket, and where somebody else made it.
        _file: Option<SocketFile>,
    },
    /// Whether it was yielded.
    Stdio(AtomicBool),
}

impl Kind {
    /// What listens at this address already.
    fn given(listener: OwnedFd, address: &Address) -> io::Result<Self> {
        let gate = match address {
            Address::Tcp { .. } => {
                let listener = std::net::TcpListener::from(listener);
                listener.set_nonblocking(true)?;
                return Ok(Self::Tcp(vec![TcpListener::from_std(listener)?]));
            }
            Address::Unix(_) => Gate::File,
            Address::Abstract(_) | Address::Stdio => Gate::Open,
        };
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        Ok(Self::unix_without_file(listener, gate))
    }

    fn unix_without_file(listener: UnixListener, gate: Gate) -> Self {
        Self::Unix {
            listener,
            gate,
            _file: None,
        }
    }
}

fn check(access: Access, address: &Address) -> Result<(), BindError> {
    if access.fits(address) {
        return Ok(());
    }
    let address = address.clone();
    Err(BindError::Access { address, access })
}

fn poll_tcp(
    listener: &TcpListener,
    cx: &mut Context<'_>,
) -> Poll<Result<(Socket, Gate), AcceptError>> {
    loop {
        match ready!(listener.poll_accept(cx)) {
            Ok((stream, source)) => {
                // Small messages are to leave at once; who writes many small ones is no worse
                // off than without a tube.
                if let Err(why) = stream.set_nodelay(true) {
                    debug!(%source, %why, "cannot set TCP_NODELAY");
                }
                let gate = match listener.local_addr() {
                    Ok(addr) if addr.ip().to_canonical().is_loopback() => Gate::Loopback,
                    _ => Gate::Open,
                };
                return Poll::Ready(Ok((Socket::tcp(stream, Source::Tcp(source)), gate)));
            }
            Err(why) if is_of_one_connection(&why) => debug!(%why, "gone before it came in"),
            Err(why) => return Poll::Ready(Err(why.into())),
        }
    }
}

fn poll_unix(
    listener: &UnixListener,
    gate: Gate,
    cx: &mut Context<'_>,
) -> Poll<Result<(Socket, Gate), AcceptError>> {
    loop {
        match ready!(listener.poll_accept(cx)) {
            Ok((stream, _unnamed)) => return Poll::Ready(Ok((Socket::from(stream), gate))),
            Err(why) if is_of_one_connection(&why) => debug!(%why, "gone before it came in"),
            Err(why) => return Poll::Ready(Err(why.into())),
        }
    }
}

/// Whether the error is that of the connection that would have been next (accept(2), "Error
/// handling"), and says nothing of the listening socket.
fn is_of_one_connection(why: &io::Error) -> bool {
    let Some(errno) = Errno::from_io_error(why) else {
        return false;
    };
    [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::PERM,
        Errno::PROTO,
        Errno::TIMEDOUT,
    ]
    .contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_may_pass() {
        for errno in [Errno::MFILE, Errno::NFILE] {
            assert!(AcceptError::from(io::Error::from(errno)).may_pass());
        }
        assert!(!AcceptError::from(io::Error::from(Errno::BADF)).may_pass());
    }
}
