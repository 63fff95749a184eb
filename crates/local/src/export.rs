//! What peers get to.

use std::io;
use std::os::fd::AsFd;

use tokio::io::AsyncWriteExt;
use tokio::time::{self, Instant};

use crate::{Address, Command, DialError, ExportError, Socket, dial, header};

/// What each connection of a peer's program leads to.
///
/// ```
/// use tubes_local::{Address, Command, Export};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let address: Address = "127.0.0.1:8000".parse()?;
/// let told_who_connects = Export::from(address.clone()).with_proxy_header();
/// assert_eq!(told_who_connects.address(), Some(&address));
/// assert_eq!(Export::from(Command::shell("uptime")).address(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Export {
    /// The service that listens at this address.
    Address(Address),
    /// A command, started for each connection.
    Command(Command),
    /// The service that listens at this address, which is told first who connects: by a header of
    /// the PROXY protocol, version 2.
    Proxied(Address),
}

impl Export {
    /// The service that listens at this socket, which may be one of this process.
    ///
    /// # Errors
    ///
    /// As [`Address::of`].
    pub fn of(listener: impl AsFd) -> Result<Self, ExportError> {
        Address::of(listener).map(Self::Address)
    }

    /// With a header that says who connects, in front of what the peer's program says. A command
    /// gets none: it is told by its environment.
    pub fn with_proxy_header(self) -> Self {
        match self {
            Self::Address(address) | Self::Proxied(address) => Self::Proxied(address),
            Self::Command(_) => self,
        }
    }

    /// Where the service is, unless it is a command.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Address(address) | Self::Proxied(address) => Some(address),
            Self::Command(_) => None,
        }
    }

    /// Whether it takes one connection in all: standard input and output are there once.
    pub fn is_for_one(&self) -> bool {
        self.address() == Some(&Address::Stdio)
    }

    /// Opens a connection for this caller, within ten seconds.
    ///
    /// A command is started, and seen off by a task of its own when the socket is gone. Cancel
    /// safe.
    pub async fn open(&self, caller: &Caller) -> Result<Socket, DialError> {
        match self {
            Self::Address(address) => dial(address).await,
            Self::Command(command) => command.run(caller),
            Self::Proxied(address) => proxied(address, caller).await,
        }
    }
}

impl From<Address> for Export {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl From<Command> for Export {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

/// Who connects, to what. A service that is told hears both as they are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The peer whose program it is.
    pub peer: String,
    /// What the peer knows the service by.
    pub service: String,
}

async fn proxied(address: &Address, caller: &Caller) -> Result<Socket, DialError> {
    let deadline = Instant::now() + dial::PATIENCE;
    let mut socket = dial(address).await?;
    let saying = async {
        let header = header::before(&socket, caller)?;
        socket.write_all(&header).await?;
        socket.flush().await
    };
    let said = time::timeout_at(deadline, saying).await;
    match said.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(()) => Ok(socket),
        Err(why) => {
            socket.abort();
            Err(DialError::io(address, why))
        }
    }
}
