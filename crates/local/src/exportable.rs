//! What can be exported, and where it is reached.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net as unix;
use std::sync::Arc;

use crate::{Address, Command, Export};

/// Something that listens, or where something does.
pub trait Exportable {
    /// What peers get to.
    ///
    /// ```
    /// use std::net::TcpListener;
    ///
    /// use tubes_local::{Address, Command, Export, Exportable};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let here = Address::from(listener.local_addr()?);
    /// assert_eq!(listener.to_export()?, Export::Address(here));
    /// let command = Command::new("cat");
    /// assert_eq!(command.to_export()?, Export::Command(command.clone()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It cannot be reached from this machine, or not more than once.
    fn to_export(&self) -> Result<Export, ExportError>;
}

impl Exportable for Export {
    fn to_export(&self) -> Result<Self, ExportError> {
        if let Some(address) = self.address() {
            address.to_export()?;
        }
        Ok(self.clone())
    }
}

impl Exportable for Command {
    fn to_export(&self) -> Result<Export, ExportError> {
        Ok(self.clone().into())
    }
}

impl Exportable for Address {
    fn to_export(&self) -> Result<Export, ExportError> {
        match self {
            Self::Tcp { port: 0, .. } => Err(ExportError::NoPort),
            Self::Unix(path) if path.as_os_str().is_empty() => Err(ExportError::Unnamed),
            Self::Stdio => Err(ExportError::Stdio),
            _ => Ok(self.clone().into()),
        }
    }
}

impl Exportable for SocketAddr {
    fn to_export(&self) -> Result<Export, ExportError> {
        Address::from(*self).on_this_machine().to_export()
    }
}

impl Exportable for std::net::TcpListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        Export::of(self)
    }
}

impl Exportable for tokio::net::TcpListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        Export::of(self)
    }
}

impl Exportable for unix::SocketAddr {
    fn to_export(&self) -> Result<Export, ExportError> {
        if let Some(path) = self.as_pathname() {
            return Address::Unix(path.into()).to_export();
        }
        let name = abstract_name(self).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or(ExportError::Unnamed)?;
        Ok(Address::Abstract(name.to_owned()).into())
    }
}

impl Exportable for unix::UnixListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        Export::of(self)
    }
}

impl Exportable for tokio::net::UnixListener {
    fn to_export(&self) -> Result<Export, ExportError> {
        Export::of(self)
    }
}

/// Why a socket cannot be exported.
///
/// ```
/// use tubes_local::{Address, ExportError, Exportable};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let anywhere: Address = "127.0.0.1:0".parse()?;
/// assert!(matches!(anywhere.to_export(), Err(ExportError::NoPort)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The system does not say where the socket is.
    #[error("the address of the socket is unknown: {0}")]
    Io(#[from] Arc<io::Error>),
    /// Nothing listens at port 0.
    #[error("nothing is reached at port 0: name the port that the service listens at")]
    NoPort,
    /// It is a socket of another kind.
    #[error("the socket is neither one of TCP nor a Unix socket of streams: make one of these")]
    OtherKind,
    /// Nobody has called listen(2) on it.
    #[error("the socket does not listen: nobody can connect to it")]
    Silent,
    /// Standard input and output are one connection, and a server serves many.
    #[error("standard input and output are one connection only: name a socket")]
    Stdio,
    /// A Unix socket without a name, or with one that is no text.
    #[error("the Unix socket has no name that could be written: bind it to a path")]
    Unnamed,
}

impl From<io::Error> for ExportError {
    fn from(why: io::Error) -> Self {
        Self::Io(Arc::new(why))
    }
}

/// The name in the abstract namespace, which only Linux has.
#[cfg(target_os = "linux")]
fn abstract_name(address: &unix::SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &unix::SocketAddr) -> Option<&[u8]> {
    None
}
