//! Why a bytestream, or half of it, broke.

use std::io;

use tubes_transport::Gone;

/// Why a half of a bytestream broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer broke the stream off.
    Aborted,
    /// The stream is closed; what was not sent before is lost.
    Closed,
    /// The session or the peer went away.
    Gone(Gone),
    /// The peer refused what this side sent.
    Refused,
    /// The peer neither spoke nor answered.
    TimedOut,
    /// The peer broke the protocol.
    Violated(&'static str),
}

impl Fault {
    /// What a program that reads is told.
    pub fn read_error(&self) -> io::Error {
        let kind = match self {
            Self::Aborted | Self::Closed | Self::Refused => io::ErrorKind::ConnectionReset,
            Self::Gone(_) => io::ErrorKind::ConnectionAborted,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Violated(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self.words())
    }

    /// What a program that writes is told.
    pub fn write_error(&self) -> io::Error {
        match self {
            Self::Aborted | Self::Closed | Self::Refused => {
                io::Error::new(io::ErrorKind::BrokenPipe, self.words())
            }
            Self::Gone(_) | Self::TimedOut | Self::Violated(_) => self.read_error(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Aborted => "the peer broke the bytestream off".to_owned(),
            Self::Closed => "the bytestream is closed".to_owned(),
            Self::Gone(gone) => gone.to_string(),
            Self::Refused => "the peer refused the data".to_owned(),
            Self::TimedOut => "the peer fell silent".to_owned(),
            Self::Violated(how) => format!("the peer broke the protocol: {how}"),
        }
    }
}
