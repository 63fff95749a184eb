//! The SOCKS5 handshake (RFC 1928) as XEP-0065 §5.3.2 narrows it down: both roles, without I/O.
//!
//! ```text
//!   client                              server
//!     │ ── 05 01 00 ──────────────────────► │  no authentication
//!     │ ◄── 05 00 ───────────────────────── │
//!     │ ── 05 01 00 03 28 <40 digits> 00 00 ► │  CONNECT to a hash
//!     │ ◄── 05 00 00 03 28 <40 digits> 00 00 ─ │
//! ```
//!
//! What follows belongs to the bytestream. So neither side ever asks for more bytes than the
//! handshake has: [`Step::Exchange`] says exactly how many.

use crate::Destination;
use crate::destination::DIGITS;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Write this, then read exactly so many bytes and come back with them.
    Exchange {
        /// To be written; may be empty.
        say: Vec<u8>,
        /// To be read; at least 1.
        hear: usize,
    },
    /// The handshake is done.
    Done(T),
}

/// The side that has connected.
#[derive(Clone, Debug)]
pub struct Client {
    destination: Destination,
    phase: ClientPhase,
}

#[derive(Clone, Copy, Debug)]
enum ClientPhase {
    Greeting,
    Method,
    Reply,
    NameLength,
    Address,
}

impl Client {
    /// Asks for this destination.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            phase: ClientPhase::Greeting,
        }
    }

    /// Takes the bytes that the last step asked for; none at first.
    ///
    /// Servers differ in the address of their reply, which means nothing: Pidgin's says anything,
    /// that of an old ejabberd has none at all.
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`].
    pub fn step(&mut self, heard: &[u8]) -> Result<Step<()>, HandshakeError> {
        use ClientPhase::{Address, Greeting, Method, NameLength, Reply};
        let (next, say, hear) = match (self.phase, heard) {
            (Greeting, []) => (Method, vec![VERSION, 1, NO_AUTHENTICATION], 2),
            (Method, [VERSION, NO_AUTHENTICATION]) => (Reply, self.request(), 4),
            (Method, [VERSION, _]) => return Err(HandshakeError::Authentication),
            (Reply, [VERSION, SUCCEEDED, _, kind]) => match *kind {
                NOTHING => (Address, Vec::new(), PORT),
                IPV4 => (Address, Vec::new(), 4 + PORT),
                NAME => (NameLength, Vec::new(), 1),
                IPV6 => (Address, Vec::new(), 16 + PORT),
                _ => return Err(HandshakeError::Malformed),
            },
            (Reply, [VERSION, reply, _, _]) => return Err(HandshakeError::Refused(*reply)),
            (NameLength, [length]) => (Address, Vec::new(), usize::from(*length) + PORT),
            (Address, [_, ..]) => return Ok(Step::Done(())),
            _ => return Err(HandshakeError::Malformed),
        };
        self.phase = next;
        Ok(Step::Exchange { say, hear })
    }

    fn request(&self) -> Vec<u8> {
        let mut request = vec![VERSION, CONNECT, 0];
        push_address(&mut request, self.destination);
        request
    }
}

/// The side that was connected to.
#[derive(Clone, Debug, Default)]
pub struct Server {
    phase: ServerPhase,
}

#[derive(Clone, Copy, Debug, Default)]
enum ServerPhase {
    #[default]
    Waiting,
    Greeting,
    Methods,
    Request,
    Address,
}

impl Server {
    /// Takes the bytes that the last step asked for; none at first. It is done when it knows what
    /// the client wants; the answer is [`granted`] or [`REFUSED`].
    ///
    /// # Errors
    ///
    /// See [`HandshakeError`].
    pub fn step(&mut self, heard: &[u8]) -> Result<Step<Destination>, HandshakeError> {
        use ServerPhase::{Address, Greeting, Methods, Request, Waiting};
        let (next, say, hear) = match (self.phase, heard) {
            (Waiting, []) => (Greeting, Vec::new(), 2),
            (Greeting, [VERSION, count]) if *count > 0 => {
                (Methods, Vec::new(), usize::from(*count))
            }
            (Methods, methods) if methods.contains(&NO_AUTHENTICATION) => {
                (Request, vec![VERSION, NO_AUTHENTICATION], 5)
            }
            (Methods, _) => return Err(HandshakeError::Authentication),
            (Request, [VERSION, CONNECT, _, NAME, length]) if usize::from(*length) == DIGITS => {
                (Address, Vec::new(), DIGITS + PORT)
            }
            (Address, [digits @ .., _, _]) => {
                let destination = Destination::parse(digits);
                return destination.map(Step::Done).ok_or(HandshakeError::Malformed);
            }
            _ => return Err(HandshakeError::Malformed),
        };
        self.phase = next;
        Ok(Step::Exchange { say, hear })
    }
}

/// The answer to a client that is expected.
pub fn granted(destination: Destination) -> Vec<u8> {
    let mut reply = vec![VERSION, SUCCEEDED, 0];
    push_address(&mut reply, destination);
    reply
}

/// The answer to a client that is not expected: connection not allowed.
pub const REFUSED: [u8; 10] = [VERSION, 2, 0, IPV4, 0, 0, 0, 0, 0, 0];

/// Why a handshake comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// One side insists on authentication.
    #[error("wants authentication")]
    Authentication,
    /// That is no SOCKS5, or none that XEP-0065 knows.
    #[error("does not speak SOCKS5")]
    Malformed,
    /// The server does not know the stream, or does not want it.
    #[error("refused with code {0}")]
    Refused(u8),
}

fn push_address(message: &mut Vec<u8>, destination: Destination) {
    // One byte says how long the name is, and it is 40 bytes long.
    message.extend([NAME, DIGITS as u8]);
    message.extend(destination.to_string().into_bytes());
    message.extend([0; PORT]);
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;

/// The kinds of addresses (RFC 1928 §5), and that of an ejabberd which has none.
const NOTHING: u8 = 0;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Bytes of a port.
const PORT: usize = 2;
