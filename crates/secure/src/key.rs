//! The keys by which devices know each other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a device proves to have the secret half of: an Ed25519 key (RFC 8032).
///
/// ```
/// use tubes_secure::PublicKey;
///
/// let key = PublicKey::from([7; 32]);
/// assert_eq!(key.to_string().parse(), Ok(key));
/// assert_eq!(PublicKey::of_fingerprint(key.fingerprint().as_str()), Ok(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; LENGTH]);

impl PublicKey {
    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// What people call the key by: all of it, in hexadecimal digits.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The key whose whole name this is.
    ///
    /// # Errors
    ///
    /// It is no such name.
    pub fn of_fingerprint(name: &str) -> Result<Self, BadKey> {
        let digits = name.as_bytes().chunks(2);
        let bytes = digits.map(|two| {
            let two = std::str::from_utf8(two).ok().filter(|two| two.len() == 2)?;
            two.bytes()
                .all(|digit| digit.is_ascii_hexdigit())
                .then_some(())?;
            u8::from_str_radix(two, 16).ok()
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or(BadKey)
    }

    /// The key as TLS carries it (RFC 7250 §3, RFC 8410 §4).
    pub(crate) fn to_spki(self) -> Vec<u8> {
        [SPKI.as_slice(), &self.0].concat()
    }

    /// Reads what [`to_spki`](Self::to_spki) wrote.
    pub(crate) fn of_spki(spki: &[u8]) -> Option<Self> {
        let key = spki.strip_prefix(SPKI.as_slice())?;
        Some(Self(key.try_into().ok()?))
    }
}

impl From<[u8; LENGTH]> for PublicKey {
    fn from(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }
}

/// In base64, as it stands in negotiations and files.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| BadKey)?;
        Ok(Self(bytes.try_into().map_err(|_| BadKey)?))
    }
}

/// It is no key in base64, or no name of one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a key")]
pub struct BadKey;

/// The name of a key.
///
/// ```
/// use tubes_secure::PublicKey;
///
/// let name = PublicKey::from([0xab; 32]).fingerprint();
/// assert_eq!(name.as_str(), "ab".repeat(32));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// This device's key with its secret half. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    public: PublicKey,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// A new one, and its secret half to be kept (PKCS #8, RFC 8410 §7).
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), IdentityError> {
        let secret = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| IdentityError::NoRandomness)?;
        let secret = Zeroizing::new(secret.as_ref().to_vec());
        Ok((Self::from_secret(&secret)?, secret))
    }

    /// The one whose secret half was kept.
    ///
    /// # Errors
    ///
    /// It is no such thing.
    pub fn from_secret(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        // rustls takes a copy for the time of the call; ring's key itself is not wiped.
        let der = PrivatePkcs8KeyDer::from(pkcs8);
        let key = any_eddsa_type(&der).map_err(|_| IdentityError::Unreadable)?;
        let spki = key.public_key().ok_or(IdentityError::Unreadable)?;
        let public = PublicKey::of_spki(&spki).ok_or(IdentityError::Unreadable)?;
        Ok(Self {
            public,
            certified: Arc::new(certified(public, key)),
        })
    }

    /// The half that others may know.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// Without the secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public)
    }
}

/// The key in the place of a certificate (RFC 7250 §3).
fn certified(public: PublicKey, key: Arc<dyn SigningKey>) -> CertifiedKey {
    CertifiedKey::new(vec![CertificateDer::from(public.to_spki())], key)
}

/// Why there is no identity.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// Without randomness there are no keys.
    #[error("the system has no randomness for a key")]
    NoRandomness,
    /// The secret was damaged, or is of another kind.
    #[error("not an Ed25519 key in PKCS #8")]
    Unreadable,
}

/// Bytes in a key.
const LENGTH: usize = 32;

/// What stands before the key where its algorithm is named.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_identity_that_was_kept_is_the_same() {
        let (identity, secret) = Identity::generate().unwrap();
        let again = Identity::from_secret(&secret).unwrap();
        assert_eq!(identity.public(), again.public());
        assert_ne!(identity.public(), Identity::generate().unwrap().0.public());
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = Identity::generate().unwrap().0.public();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(PublicKey::of_spki(&key.to_spki()), Some(key));
        let name = key.fingerprint();
        assert_eq!(PublicKey::of_fingerprint(name.as_str()), Ok(key));
        assert_eq!(name.as_str().len(), 64);
        for no_name in [
            "",
            "00",
            &name.as_str()[1..],
            &name.as_str().replacen('a', "+", 64)[..63],
        ] {
            assert_eq!(PublicKey::of_fingerprint(no_name), Err(BadKey), "{no_name}");
        }
        for text in ["", "AAAA", "!", &format!("{key}AAAA")] {
            assert_eq!(text.parse::<PublicKey>(), Err(BadKey), "{text}");
        }
    }

    #[test]
    fn what_is_shown_of_an_identity_is_no_secret() {
        let (identity, secret) = Identity::generate().unwrap();
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity({})", identity.public()));
        assert!(!shown.contains(&STANDARD.encode(&*secret)));
    }

    #[test]
    fn what_is_no_secret_makes_no_identity() {
        let unreadable = Identity::from_secret(b"secret").unwrap_err();
        assert_eq!(unreadable, IdentityError::Unreadable);
    }
}
