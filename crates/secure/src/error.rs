//! Why a bytestream was not encrypted, or is not any more.

use std::io;

use thiserror::Error;

use crate::Distrust;
use crate::trust::StoreError;

/// Why a bytestream could not be encrypted.
///
/// ```
/// use tubes_secure::{Distrust, SecureError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let why = SecureError::from(Distrust::Left("hall@rooms.example.org/guest".parse()?));
/// assert!(matches!(why, SecureError::Distrust(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecureError {
    /// The bytestream broke.
    #[error("the connection broke while it was being encrypted: {0}")]
    Io(#[source] io::Error),
    /// The peer did not answer.
    #[error("timed out while the connection was being encrypted")]
    TimedOut,
    /// The peer's key is not trusted, or that cannot be told.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// It is not who it has to be, or not about what was negotiated.
    #[error("{0}: somebody may be in between")]
    Untrusted(String),
}

impl SecureError {
    /// Tells a peer that is not the right one from a connection that is not there.
    pub(crate) fn of(why: io::Error) -> Self {
        let why = Broken::unwrap(why);
        if is_untrusted(&why) {
            return Self::Untrusted(why.to_string());
        }
        match why.get_ref().and_then(|why| why.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                Self::Untrusted("the peer has another key than it said".to_owned())
            }
            Some(rustls::Error::AlertReceived(_)) => {
                Self::Untrusted("the peer does not take this side for the right one".to_owned())
            }
            Some(other) => Self::Untrusted(other.to_string()),
            None => Self::Io(why),
        }
    }
}

impl From<StoreError> for SecureError {
    fn from(why: StoreError) -> Self {
        Distrust::Store(why).into()
    }
}

/// What was heard is not what the peer said.
#[derive(Debug, Error)]
pub(crate) enum Tampering {
    /// The peer has negotiated something else than this side.
    #[error("what was negotiated was changed on the way")]
    Changed,
    /// The bytestream ended, and the peer did not say so.
    #[error("the connection was cut short on the way")]
    Truncated,
    /// What came was not encrypted by the peer.
    #[error("what was sent was changed on the way: {0}")]
    Garbled(#[source] rustls::Error),
}

impl From<Tampering> for io::Error {
    fn from(what: Tampering) -> Self {
        Self::new(io::ErrorKind::InvalidData, what)
    }
}

/// Whether a bytestream broke because somebody in between interfered.
pub fn is_untrusted(why: &io::Error) -> bool {
    why.get_ref().is_some_and(|why| why.is::<Tampering>())
}

/// An error of the bytestream below, on its way through TLS, which would make something of it.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct Broken(io::Error);

impl Broken {
    pub(crate) fn wrap(why: io::Error) -> io::Error {
        io::Error::other(Self(why))
    }

    fn unwrap(why: io::Error) -> io::Error {
        match why.downcast::<Self>() {
            Ok(Self(why)) => why,
            Err(why) => why,
        }
    }
}

/// What an error of TLS means to who reads or writes.
pub(crate) fn translate(why: io::Error) -> io::Error {
    if why.get_ref().is_some_and(|why| why.is::<Broken>()) {
        return Broken::unwrap(why);
    }
    if why.kind() == io::ErrorKind::UnexpectedEof {
        return Tampering::Truncated.into();
    }
    match why
        .get_ref()
        .and_then(|why| why.downcast_ref::<rustls::Error>())
    {
        // The peer breaks off in words.
        Some(rustls::Error::AlertReceived(_)) => io::ErrorKind::ConnectionReset.into(),
        Some(broken) => Tampering::Garbled(broken.clone()).into(),
        None => why,
    }
}
