//! Reaches a local service.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpStream, UnixSocket, UnixStream};
use tokio::time::{self, Instant};

use crate::{Address, Command, Socket, Source};

/// Connects to the service at the address, within ten seconds.
///
/// Of a host name all addresses are tried, one after the other. The socket's
/// [`source`](Socket::source) is what the service sees of us. The last descriptors of the
/// process are not used for this. Cancel safe.
pub async fn dial(address: &Address) -> Result<Socket, DialError> {
    let deadline = Instant::now() + PATIENCE;
    tubes_tcp::spare_descriptor().map_err(|why| DialError::io(address, why))?;
    match address {
        Address::Tcp { host, port } => dial_tcp(address, host, *port, deadline).await,
        Address::Unix(path) if path.as_os_str().is_empty() => Err(DialError::NoPath),
        Address::Unix(path) => {
            let path = path.as_os_str().to_owned();
            within(address, deadline, dial_unix(path)).await
        }
        Address::Abstract(name) => {
            let name = format!("\0{name}").into();
            within(address, deadline, dial_unix(name)).await
        }
        Address::Stdio => Socket::stdio().map_err(|why| DialError::io(address, why)),
    }
}

/// Why a service could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// A command could not be started.
    #[error("cannot run `{command}`: {why}{}", advice(why))]
    Command {
        /// The command.
        command: Command,
        /// What the system said.
        why: io::Error,
    },
    /// No descriptors are left for a connection more.
    #[error(
        "cannot reach {address}: {why}: wait until other connections have ended, or raise the \
         limit on open files (`ulimit -n`)"
    )]
    Exhausted {
        /// The service.
        address: Address,
        /// What the system said.
        why: io::Error,
    },
    /// The system said no.
    #[error("cannot reach {address}: {why}")]
    Io {
        /// The service.
        address: Address,
        /// What the system said.
        why: io::Error,
    },
    /// An empty path has a meaning only when listening.
    #[error("the path of the service's socket is missing: write `unix:PATH`")]
    NoPath,
    /// Nothing listens there.
    #[error("cannot reach {address}: {}: is the service running?", plain(why))]
    Refused {
        /// The service.
        address: Address,
        /// What the system said.
        why: io::Error,
    },
    /// The service did not let us in for ten seconds.
    #[error("cannot reach {address}: no answer within {} seconds", PATIENCE.as_secs())]
    TimedOut {
        /// The service.
        address: Address,
    },
    /// The host name stands for no address.
    #[error("cannot reach {address}: unknown host: {why}")]
    Unresolved {
        /// The service.
        address: Address,
        /// What the resolver said.
        why: io::Error,
    },
}

impl DialError {
    /// Whether it may work once the service runs, or has time, or other connections have ended.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Exhausted { .. } | Self::Refused { .. } | Self::TimedOut { .. }
        )
    }

    pub(crate) fn io(address: &Address, why: io::Error) -> Self {
        let address = address.clone();
        if let Some(Errno::MFILE | Errno::NFILE) = Errno::from_io_error(&why) {
            return Self::Exhausted { address, why };
        }
        match why.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                Self::Refused { address, why }
            }
            io::ErrorKind::TimedOut => Self::TimedOut { address },
            _ => Self::Io { address, why },
        }
    }

    pub(crate) fn command(command: &Command, why: io::Error) -> Self {
        let command = command.clone();
        Self::Command { command, why }
    }
}

async fn dial_tcp(
    address: &Address,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Socket, DialError> {
    let lookup = time::timeout_at(deadline, tokio::net::lookup_host((host, port)));
    let found = match lookup.await {
        Ok(Ok(found)) => found.take(ADDRESSES).collect::<Vec<_>>(),
        Ok(Err(why)) => {
            let address = address.clone();
            return Err(DialError::Unresolved { address, why });
        }
        Err(_) => return Err(DialError::io(address, io::ErrorKind::TimedOut.into())),
    };
    let mut error = DialError::io(address, io::ErrorKind::AddrNotAvailable.into());
    let mut left = u32::try_from(found.len()).unwrap_or(u32::MAX);
    for addr in found {
        // An address that swallows everything must leave time for the others.
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let connect = async {
            // Others may have taken what was left while the name was looked up.
            tubes_tcp::spare_descriptor()?;
            let stream = TcpStream::connect(addr).await?;
            let own = stream.local_addr()?;
            if own == addr {
                // Where nothing listens on a port out of the range that the kernel gives us
                // ports from, a socket may meet itself (RFC 9293 §3.5, simultaneous open).
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            stream.set_nodelay(true)?;
            Ok(Socket::tcp(stream, Source::Tcp(own)))
        };
        match within(address, Instant::now() + share, connect).await {
            Ok(socket) => return Ok(socket),
            Err(why) => error = why,
        }
    }
    Err(error)
}

async fn dial_unix(path: std::ffi::OsString) -> io::Result<Socket> {
    loop {
        match connect_unix(&path).await {
            // The service's backlog is full; there is nothing that could be waited for.
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => time::sleep(RETRY).await,
            done => return Ok(Socket::unix(done?, Source::own())),
        }
    }
}

async fn connect_unix(path: &std::ffi::OsStr) -> io::Result<UnixStream> {
    UnixSocket::new_stream()?.connect(path).await
}

async fn within(
    address: &Address,
    deadline: Instant,
    connect: impl Future<Output = io::Result<Socket>>,
) -> Result<Socket, DialError> {
    match time::timeout_at(deadline, connect).await {
        Ok(done) => done.map_err(|why| DialError::io(address, why)),
        Err(_) => Err(DialError::io(address, io::ErrorKind::TimedOut.into())),
    }
}

fn plain(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound => "no such socket",
        _ => "connection refused",
    }
}

fn advice(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound => "; write its whole path, or see whether it is in PATH",
        io::ErrorKind::PermissionDenied => "; is it executable?",
        _ => "",
    }
}

/// What a service on this machine, or a near one, may take to let us in.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How soon a service with a full backlog is asked again.
const RETRY: Duration = Duration::from_millis(20);

/// Addresses of one name that are tried.
const ADDRESSES: usize = 16;
