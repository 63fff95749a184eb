//! Which programs may use a listening socket.

use std::fmt;
use std::str::FromStr;

use crate::addr::parse_port;
use crate::{Address, Source};

/// Which programs a [`Listener`](crate::Listener) lets in.
///
/// Telepathy's access control of stream tubes, somewhat stricter: its `Localhost` opened Unix
/// sockets to every user of the machine.
///
/// ```
/// use tubes_local::{Access, Address};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socket: Address = "unix:/run/user/1000/desktop".parse()?;
/// assert!(Access::Credentials.fits(&socket));
/// assert!(!"port:4711".parse::<Access>()?.fits(&socket));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Programs on this machine: over TCP, those that come from a loopback address if the
    /// listener is bound to one, otherwise whatever reaches it; over a Unix socket, those of
    /// this user and of root (its file has mode 0600; abstract sockets have none, so there the
    /// user is asked of the kernel), and of those whom the file's mode lets in where it is
    /// [shared](crate::Permissions).
    #[default]
    Localhost,
    /// TCP only: the program whose own port on a loopback address is this one.
    Port(u16),
    /// Unix sockets only: programs of this user, whatever the file's mode. The kernel vouches for the user who connected
    /// (`SO_PEERCRED`), so the program need not send Telepathy's one byte with
    /// `SCM_CREDENTIALS`, which existing programs do not do.
    Credentials,
}

impl Access {
    /// Whether this kind of check can be made at that kind of address.
    pub fn fits(self, address: &Address) -> bool {
        match self {
            Self::Localhost => true,
            Self::Port(_) => matches!(address, Address::Tcp { .. }),
            Self::Credentials => matches!(address, Address::Unix(_) | Address::Abstract(_)),
        }
    }

    pub(crate) fn permits(self, gate: Gate, source: &Source) -> bool {
        let own = rustix::process::geteuid().as_raw();
        match (self, source) {
            (Self::Localhost, Source::Tcp(addr)) => {
                gate != Gate::Loopback || addr.ip().to_canonical().is_loopback()
            }
            (Self::Localhost, Source::Unix { uid, .. }) => {
                gate == Gate::File || uid.is_some_and(|uid| uid == own || uid == ROOT)
            }
            (Self::Localhost, Source::Stdio) => true,
            (Self::Port(port), Source::Tcp(addr)) => {
                addr.port() == port && addr.ip().to_canonical().is_loopback()
            }
            (Self::Credentials, Source::Unix { uid, .. }) => *uid == Some(own),
            (Self::Port(_) | Self::Credentials, _) => false,
        }
    }
}

impl FromStr for Access {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        match text.split_once(':') {
            None if text == "localhost" => Ok(Self::Localhost),
            None if text == "credentials" => Ok(Self::Credentials),
            Some(("port", port)) => match parse_port(port) {
                Ok(0) | Err(_) => Err(AccessError::Port(port.to_owned())),
                Ok(port) => Ok(Self::Port(port)),
            },
            _ => Err(AccessError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Port(port) => write!(f, "port:{port}"),
            Self::Credentials => f.write_str("credentials"),
        }
    }
}

/// Why a text names no kind of access.
///
/// ```
/// use tubes_local::{Access, AccessError};
///
/// assert_eq!("port:0".parse::<Access>(), Err(AccessError::Port("0".to_owned())));
/// assert!(matches!("everybody".parse::<Access>(), Err(AccessError::Unknown(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Not a port that a program could have.
    #[error("`{0}` is no program's port: write `port:N` with a number from 1 to 65535")]
    Port(String),
    /// None of the three.
    #[error("`{0}` is no kind of access: write `localhost`, `port:N` or `credentials`")]
    Unknown(String),
}

/// What already stands between a program and the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The permissions of a file.
    File,
    /// A loopback address: what comes from elsewhere was forged or forwarded.
    Loopback,
    /// Nothing.
    Open,
}

/// The user whom no permission of a file keeps out.
const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Source {
        match text.parse() {
            Ok(addr) => Source::Tcp(addr),
            Err(_) => Source::Stdio,
        }
    }

    fn user(uid: Option<u32>) -> Source {
        Source::Unix { uid, pid: None }
    }

    fn own() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn a_loopback_listener_takes_loopback_sources_only() {
        for (source, expected) in [
            ("127.0.0.1:9", true),
            ("127.9.9.9:9", true),
            ("[::1]:9", true),
            ("[::ffff:127.0.0.1]:9", true),
            ("192.0.2.1:9", false),
            ("[2001:db8::1]:9", false),
        ] {
            let permitted = Access::Localhost.permits(Gate::Loopback, &tcp(source));
            assert_eq!(permitted, expected, "{source}");
            assert!(Access::Localhost.permits(Gate::Open, &tcp(source)));
        }
    }

    #[test]
    fn a_port_is_that_of_a_loopback_source_wherever_the_listener_is() {
        for gate in [Gate::Loopback, Gate::Open] {
            assert!(Access::Port(9).permits(gate, &tcp("127.0.0.1:9")));
            assert!(!Access::Port(9).permits(gate, &tcp("127.0.0.1:10")));
            assert!(!Access::Port(9).permits(gate, &tcp("192.0.2.1:9")));
        }
    }

    #[test]
    fn credentials_are_those_of_this_very_user() {
        assert!(Access::Credentials.permits(Gate::File, &user(Some(own()))));
        assert!(!Access::Credentials.permits(Gate::File, &user(Some(own() + 1))));
        assert!(!Access::Credentials.permits(Gate::File, &user(None)));
        assert!(!Access::Credentials.permits(Gate::Open, &tcp("127.0.0.1:9")));
    }

    #[test]
    fn an_abstract_socket_is_as_closed_as_a_file_would_be() {
        assert!(Access::Localhost.permits(Gate::Open, &user(Some(own()))));
        assert!(Access::Localhost.permits(Gate::Open, &user(Some(ROOT))));
        assert!(!Access::Localhost.permits(Gate::Open, &user(Some(own() + 1))));
        assert!(!Access::Localhost.permits(Gate::Open, &user(None)));
    }
}
