//! Where a local service is.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::{SocketAddrUnix, SocketType, sockopt};

use crate::ExportError;

/// The address of a local service, or the one that programs are to find a tube at.
///
/// Written `tcp:HOST:PORT`, or for short `HOST:PORT`; `unix:PATH`, `abstract:NAME` (Linux), and
/// `-` for standard input and output. What [`Display`](fmt::Display) writes parses back to the
/// same address, if a path is valid UTF-8.
///
/// ```
/// use tubes_local::Address;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let web: Address = "localhost:8000".parse()?;
/// assert_eq!(web.to_string(), "tcp:localhost:8000");
/// let desktop: Address = "unix:/run/user/1000/desktop".parse()?;
/// assert_eq!(desktop, Address::unix("/run/user/1000/desktop")?);
/// let listener = std::net::TcpListener::bind("0.0.0.0:0")?;
/// let port = listener.local_addr()?.port();
/// assert_eq!(Address::of(&listener)?, format!("127.0.0.1:{port}").parse()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A host name, or an IPv4 or IPv6 address (without brackets).
        host: String,
        /// The port; 0 when listening: any free one.
        port: u16,
    },
    /// A Unix socket in the file system; an empty path when listening: a fresh one in
    /// `$XDG_RUNTIME_DIR/tubes`.
    Unix(PathBuf),
    /// A Unix socket in Linux' abstract namespace, without the leading NUL.
    Abstract(String),
    /// Standard input and output.
    Stdio,
}

impl Address {
    /// A Unix socket at this path, which is checked for length and NUL bytes.
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, AddressError> {
        let path = path.into();
        check_path(&path)?;
        Ok(Self::Unix(path))
    }
}

impl Address {
    /// Where this socket listens: what to dial from this machine.
    ///
    /// One that listens at all addresses (`0.0.0.0`, `::`) is dialled at a loopback address.
    ///
    /// # Errors
    ///
    /// It does not listen, or is no stream socket of TCP or of a Unix socket with a name.
    pub fn of(listener: impl AsFd) -> Result<Self, ExportError> {
        Self::named_by(listener.as_fd()).map(Self::on_this_machine)
    }

    /// What to dial of a socket that listens here.
    pub(crate) fn on_this_machine(self) -> Self {
        match self {
            Self::Tcp { host, port } => Self::Tcp {
                host: match host.as_str() {
                    "0.0.0.0" => Ipv4Addr::LOCALHOST.to_string(),
                    "::" => Ipv6Addr::LOCALHOST.to_string(),
                    _ => host,
                },
                port,
            },
            other => other,
        }
    }

    /// Where this socket listens, as the kernel has it.
    pub(crate) fn named_by(listener: BorrowedFd<'_>) -> Result<Self, ExportError> {
        if !sockopt::socket_acceptconn(listener).map_err(io::Error::from)? {
            return Err(ExportError::Silent);
        }
        if sockopt::socket_type(listener).map_err(io::Error::from)? != SocketType::STREAM {
            return Err(ExportError::OtherKind);
        }
        let name = rustix::net::getsockname(listener).map_err(io::Error::from)?;
        if let Ok(addr) = SocketAddr::try_from(name.clone()) {
            return Ok(addr.into());
        }
        let name = SocketAddrUnix::try_from(name).map_err(|_| ExportError::OtherKind)?;
        if let Some(path) = name.path_bytes().filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(OsStr::from_bytes(path).into()));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(Ok(name)) = name.abstract_name().map(std::str::from_utf8) {
            return Ok(Self::Abstract(name.to_owned()));
        }
        Err(ExportError::Unnamed)
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp {
            host: addr.ip().to_string(),
            port: addr.port(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "-" {
            return Ok(Self::Stdio);
        }
        match text.split_once(':') {
            Some(("tcp", rest)) => tcp(rest),
            Some(("unix", path)) => Self::unix(path),
            Some(("abstract", name)) => abstract_name(name),
            _ if text.starts_with(['/', '.', '~']) => Err(AddressError::Bare(text.to_owned())),
            _ => tcp(text),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "abstract:{name}"),
            Self::Stdio => f.write_str("-"),
        }
    }
}

/// Why a text is no address.
///
/// ```
/// use tubes_local::{Address, AddressError};
///
/// let wrong = "localhost".parse::<Address>();
/// assert_eq!(wrong, Err(AddressError::NoPort("localhost".to_owned())));
/// let wrong = "/run/desktop".parse::<Address>();
/// assert_eq!(wrong, Err(AddressError::Bare("/run/desktop".to_owned())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A path or name without its scheme.
    #[error("`{0}` looks like a path: write `unix:{0}`")]
    Bare(String),
    /// An IPv6 address without brackets, or something else in them.
    #[error("`{0}`: an IPv6 address is written in brackets, such as `[::1]:8080`")]
    Brackets(String),
    /// A host that no name server would know.
    #[error("`{0}` is no host name: write `HOST:PORT`, such as `localhost:8080`")]
    Host(String),
    /// A name or path with a NUL byte in it.
    #[error("the name of a socket cannot contain a NUL byte")]
    Nul,
    /// An abstract socket without a name.
    #[error("the name is missing: write `abstract:NAME`")]
    NoName,
    /// A host without a port.
    #[error("`{0}` has no port: write `HOST:PORT`, such as `localhost:8080`")]
    NoPort(String),
    /// A port that is no number from 0 to 65535.
    #[error("`{0}` is no port: a port is a number from 0 to 65535")]
    Port(String),
    /// A path or name that does not fit into a socket address.
    #[error("`{name}` has {length} bytes, and the name of a Unix socket at most {limit}")]
    TooLong {
        /// What is too long.
        name: String,
        /// How long it is, in bytes.
        length: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
}

/// Checks that the path fits into a socket address.
pub(crate) fn check_path(path: &Path) -> Result<(), AddressError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        return Err(AddressError::Nul);
    }
    check_length(&path.to_string_lossy(), bytes.len())
}

fn check_length(name: &str, length: usize) -> Result<(), AddressError> {
    if length <= SUN_PATH {
        return Ok(());
    }
    Err(AddressError::TooLong {
        name: name.to_owned(),
        length,
        limit: SUN_PATH,
    })
}

fn abstract_name(name: &str) -> Result<Address, AddressError> {
    if name.is_empty() {
        return Err(AddressError::NoName);
    }
    if name.contains('\0') {
        return Err(AddressError::Nul);
    }
    check_length(name, name.len())?;
    Ok(Address::Abstract(name.to_owned()))
}

fn tcp(text: &str) -> Result<Address, AddressError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let brackets = || AddressError::Brackets(text.to_owned());
            let (host, rest) = rest.split_once(']').ok_or_else(brackets)?;
            // A zone (RFC 4007 §11) is for the resolver to know.
            let literal = host.split_once('%').map_or(host, |(literal, _)| literal);
            literal.parse::<Ipv6Addr>().map_err(|_| brackets())?;
            let port = rest.strip_prefix(':');
            (host, port)
        }
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(AddressError::Brackets(text.to_owned()));
            }
            Some((host, port)) => (check_host(host)?, Some(port)),
            None => (text, None),
        },
    };
    let port = port.ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
    Ok(Address::Tcp {
        host: host.to_owned(),
        port: parse_port(port)?,
    })
}

fn check_host(host: &str) -> Result<&str, AddressError> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || host.len() > HOST || !host.chars().all(fits) {
        return Err(AddressError::Host(host.to_owned()));
    }
    Ok(host)
}

/// Parses digits only: `u16::from_str` would take a sign, too.
pub(crate) fn parse_port(text: &str) -> Result<u16, AddressError> {
    let wrong = || AddressError::Port(text.to_owned());
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// Longest name of a Unix socket: `sun_path` without the NUL at its end (unix(7)).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const SUN_PATH: usize = 107;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const SUN_PATH: usize = 103;

/// Longest host name (RFC 1035 §2.3.4).
const HOST: usize = 255;
