//! Takes an address to listen at.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tracing::debug;

use crate::{Access, Address, AddressError, Group, User};

/// Listens at every address that the host stands for, all with the same port.
///
/// Cancel safe.
pub(crate) async fn listen_tcp(
    host: &str,
    port: u16,
) -> Result<(Vec<TcpListener>, u16), BindError> {
    take_tcp(host, port, listen_all).await
}

/// Takes a port at every address that the host stands for. Nobody listens there yet.
///
/// Cancel safe.
pub(crate) async fn bind_tcp(host: &str, port: u16) -> Result<(Vec<TcpSocket>, u16), BindError> {
    take_tcp(host, port, bind_all).await
}

async fn take_tcp<T>(
    host: &str,
    port: u16,
    take: impl Fn(&[SocketAddr]) -> io::Result<T>,
) -> Result<T, BindError> {
    let address = || Address::Tcp {
        host: host.to_owned(),
        port,
    };
    let unresolved = |why| BindError::Unresolved {
        address: address(),
        why,
    };
    let mut addrs = Vec::new();
    for addr in tokio::net::lookup_host((host, port))
        .await
        .map_err(unresolved)?
        .take(ADDRESSES)
    {
        // A resolver may name the same address once per kind of socket.
        if !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match take(&addrs) {
            // Some other program has, of one address, the port that was free at another.
            Err(why) if why.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            done => return done.map_err(|why| BindError::io(&address(), why)),
        }
    }
}

fn listen_all(addrs: &[SocketAddr]) -> io::Result<(Vec<TcpListener>, u16)> {
    let (sockets, port) = bind_all(addrs)?;
    let listeners = sockets.into_iter().map(|socket| socket.listen(BACKLOG));
    Ok((listeners.collect::<io::Result<_>>()?, port))
}

fn bind_all(addrs: &[SocketAddr]) -> io::Result<(Vec<TcpSocket>, u16)> {
    let mut sockets = Vec::new();
    let mut chosen = None;
    let mut failure = None;
    for addr in addrs {
        let mut addr = *addr;
        if let Some(port) = chosen {
            addr.set_port(port);
        }
        match bind_at(addr) {
            Ok(socket) => {
                chosen = Some(socket.local_addr()?.port());
                sockets.push(socket);
            }
            // Half a name would send some programs to the other listener.
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => return Err(why),
            // A machine without IPv6 may still have it in its hosts file.
            Err(why) => {
                debug!(%addr, %why, "cannot listen here");
                failure = Some(why);
            }
        }
    }
    match (chosen, failure) {
        (Some(port), _) => Ok((sockets, port)),
        (None, Some(why)) => Err(why),
        (None, None) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn bind_at(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of an earlier run that still linger must not keep us from the port.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

pub(crate) fn listen_abstract(name: &str) -> Result<UnixListener, BindError> {
    let address = || Address::Abstract(name.to_owned());
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        let why = io::Error::new(io::ErrorKind::Unsupported, "only Linux has such sockets");
        return Err(BindError::io(&address(), why));
    }
    let listen = || {
        let socket = UnixSocket::new_stream()?;
        socket.bind(format!("\0{name}"))?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|why| BindError::io(&address(), why))
}

/// Why nothing listens at an address.
///
/// ```
/// use tubes_local::{Access, BindError, Listener};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let first = Listener::bind(&"127.0.0.1:0".parse()?, Access::Localhost).await?;
/// let second = Listener::bind(first.address(), Access::Localhost).await;
/// assert!(second.is_err_and(|why| why.is_in_use()));
/// let nobody = Listener::bind(&"127.0.0.1:0".parse()?, Access::Credentials).await;
/// assert!(matches!(nobody, Err(BindError::Access { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// That kind of access control does not exist there.
    #[error(
        "cannot listen on {address}: access `{access}` needs {}",
        needed(access)
    )]
    Access {
        /// Where to listen.
        address: Address,
        /// What does not fit.
        access: Access,
    },
    /// The socket that was handed over cannot be listened at.
    #[error("cannot listen on the socket that was handed over: {0}")]
    Given(io::Error),
    /// The socket's file cannot be given to that group.
    #[error(
        "cannot listen on {address}: its file cannot be given to group {group}: {why}; choose a \
         group that you are a member of"
    )]
    Group {
        /// Where to listen.
        address: Address,
        /// The group.
        group: Group,
        /// What the system said.
        why: io::Error,
    },
    /// Another program listens there.
    #[error(
        "cannot listen on {address}: in use by another program; stop that or choose another {}",
        noun(address)
    )]
    InUse {
        /// Where to listen.
        address: Address,
    },
    /// The socket's file cannot be given to that user.
    #[error(
        "cannot listen on {address}: its file cannot be given to user {owner}: {why}; only root may \
         do that"
    )]
    Owner {
        /// Where to listen.
        address: Address,
        /// The user.
        owner: User,
        /// What the system said.
        why: io::Error,
    },
    /// The system said no.
    #[error("cannot listen on {address}: {why}{}", advice(address, why))]
    Io {
        /// Where to listen.
        address: Address,
        /// What the system said.
        why: io::Error,
    },
    /// The path is short enough to connect to, but not to be made safely.
    #[error(
        "cannot listen on {address}: its folder's path is {over} bytes too long for a private \
         folder in it; choose a shorter one, such as one in $XDG_RUNTIME_DIR"
    )]
    NoRoom {
        /// Where to listen.
        address: Address,
        /// By how many bytes it is too long.
        over: usize,
    },
    /// There is no folder to make up a path in.
    #[error("XDG_RUNTIME_DIR is not set, so that a path is needed: write `unix:PATH`")]
    NoRuntimeFolder,
    /// Something that is not a socket is there, and stays there.
    #[error("cannot listen on unix:{}: a file that is no socket is there", path.display())]
    NotASocket {
        /// Where it is.
        path: PathBuf,
    },
    /// Other users could get at what is in the folder.
    #[error(
        "{} is no folder that only you can enter: remove it, or do `chmod 700`",
        folder.display()
    )]
    NotPrivate {
        /// Where it is.
        folder: PathBuf,
    },
    /// The path can be no socket's.
    #[error("cannot listen on {address}: {why}")]
    Path {
        /// Where to listen.
        address: Address,
        /// What is wrong with it.
        why: AddressError,
    },
    /// There is no file to be shared with other users.
    #[error(
        "cannot share {address} with other users: a mode, owner or group is for the file of a Unix \
         socket, write `unix:PATH` with a path in a folder that they can enter"
    )]
    NoFile {
        /// Where to listen.
        address: Address,
    },
    /// The host name stands for no address.
    #[error("cannot listen on {address}: unknown host: {why}")]
    Unresolved {
        /// Where to listen.
        address: Address,
        /// What the resolver said.
        why: io::Error,
    },
}

impl BindError {
    /// Whether another address of the same kind may do.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }

    pub(crate) fn io(address: &Address, why: io::Error) -> Self {
        let address = address.clone();
        match why.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            _ => Self::Io { address, why },
        }
    }
}

fn needed(access: &Access) -> &'static str {
    match access {
        Access::Credentials => "a Unix socket",
        Access::Localhost | Access::Port(_) => "a TCP address",
    }
}

fn noun(address: &Address) -> &'static str {
    match address {
        Address::Tcp { .. } => "port, or port 0 for any free one",
        Address::Unix(_) => "path",
        Address::Abstract(_) | Address::Stdio => "name",
    }
}

fn advice(address: &Address, why: &io::Error) -> &'static str {
    match (address, why.kind()) {
        (Address::Tcp { port: 1..1024, .. }, io::ErrorKind::PermissionDenied) => {
            "; ports below 1024 are for privileged programs, choose another"
        }
        (Address::Tcp { .. }, io::ErrorKind::AddrNotAvailable) => {
            "; this machine does not have that address"
        }
        (Address::Unix(_), io::ErrorKind::NotFound) => "; the socket's folder does not exist",
        _ => "",
    }
}

/// Programs wait here while the tube is full, and all that start at once. The kernel cuts it
/// to `net.core.somaxconn`; with the usual 128, programs were reset.
pub(crate) const BACKLOG: u32 = 4096;

/// Addresses of one name that are listened at.
const ADDRESSES: usize = 16;

/// Ports that the kernel may choose before one is free at every address of a name.
const TRIES: u32 = 16;
