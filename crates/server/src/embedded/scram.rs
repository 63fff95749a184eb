//! The server's half of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! ```text
//!   First::read ──► challenge ──► Challenge::finish ──► the server's signature
//! ```
//!
//! The `sasl` crate's own server half insists on a flag that its client half never sends, and
//! knows neither SASLprep nor escaped names; only its hash functions are used here.

use std::{fmt, str, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sasl::common::{
    Password,
    scram::{ScramProvider, Sha1, Sha256},
};

/// What the server knows of an account's password; the keys are derived at the first login.
pub(super) struct Secret {
    password: String,
    salt: [u8; 16],
    sha1: OnceLock<Option<Keys>>,
    sha256: OnceLock<Option<Keys>>,
}

impl Secret {
    /// Keeps a password that RFC 4013 has prepared.
    pub(super) fn new(password: &str) -> Self {
        Self {
            password: password.to_owned(),
            salt: rand::random(),
            sha1: OnceLock::new(),
            sha256: OnceLock::new(),
        }
    }

    /// Compares with what a client sent in clear (RFC 4616).
    pub(super) fn is(&self, password: &str) -> bool {
        stringprep::saslprep(password).is_ok_and(|prepared| prepared == self.password)
    }

    fn keys(&self, hash: Hash) -> Option<&Keys> {
        match hash {
            Hash::Sha1 => self.sha1.get_or_init(|| self.derive::<Sha1>()).as_ref(),
            Hash::Sha256 => self.sha256.get_or_init(|| self.derive::<Sha256>()).as_ref(),
        }
    }

    fn derive<H: ScramProvider>(&self) -> Option<Keys> {
        let password = Password::Plain(self.password.clone());
        let salted = H::derive(&password, &self.salt, ITERATIONS).ok()?;
        Some(Keys {
            stored: H::hash(&H::hmac(b"Client Key", &salted).ok()?),
            server: H::hmac(b"Server Key", &salted).ok()?,
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

struct Keys {
    stored: Vec<u8>,
    server: Vec<u8>,
}

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::hash(data),
            Self::Sha256 => Sha256::hash(data),
        }
    }

    fn hmac(self, data: &[u8], key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Sha1 => Sha1::hmac(data, key).ok(),
            Self::Sha256 => Sha256::hmac(data, key).ok(),
        }
    }
}

/// The client's first message, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct First {
    /// The name the client wants to log in by, unescaped.
    pub(super) name: String,
    header: String,
    nonce: String,
    bare: String,
}

impl First {
    /// Reads `n,,n=name,r=nonce`; `None` if it is something else or asks for channel binding.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let message = str::from_utf8(message).ok()?;
        let mut parts = message.splitn(3, ',');
        let (flag, authorisation, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // No mechanism with -PLUS is offered, so a client that could do it says `y` (RFC 5802 §6).
        if !matches!(flag, "n" | "y") {
            return None;
        }
        let mut fields = bare.split(',');
        let name = unescape(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        if !(authorisation.is_empty() || unescape(authorisation.strip_prefix("a=")?)? == name) {
            return None;
        }
        (!name.is_empty() && !nonce.is_empty()).then(|| Self {
            name,
            header: format!("{flag},{authorisation},"),
            nonce: nonce.to_owned(),
            bare: bare.to_owned(),
        })
    }

    /// What to send back, and what to expect then. `nonce` is the server's part of it.
    pub(super) fn challenge(self, hash: Hash, secret: &Secret, nonce: &str) -> (String, Challenge) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = BASE64.encode(secret.salt);
        let message = format!("r={nonce},s={salt},i={ITERATIONS}");
        let challenge = Challenge {
            hash,
            expected: format!("c={},r={nonce}", BASE64.encode(&self.header)),
            so_far: format!("{},{message}", self.bare),
        };
        (message, challenge)
    }
}

/// What the server waits for after its challenge.
#[derive(Debug)]
pub(super) struct Challenge {
    hash: Hash,
    expected: String,
    so_far: String,
}

impl Challenge {
    /// Verifies the client's proof. The server's signature comes back, `None` if the proof is wrong.
    pub(super) fn finish(self, message: &[u8], secret: &Secret) -> Option<String> {
        let (bare, proof) = str::from_utf8(message).ok()?.rsplit_once(",p=")?;
        if bare != self.expected {
            return None;
        }
        let keys = secret.keys(self.hash)?;
        let auth_message = format!("{},{bare}", self.so_far);
        let signature = self.hash.hmac(auth_message.as_bytes(), &keys.stored)?;
        let mut key = BASE64.decode(proof).ok()?;
        if key.len() != signature.len() {
            return None;
        }
        key.iter_mut().zip(&signature).for_each(|(a, b)| *a ^= b);
        if self.hash.digest(&key) != keys.stored {
            return None;
        }
        let signature = self.hash.hmac(auth_message.as_bytes(), &keys.server)?;
        Some(format!("v={}", BASE64.encode(signature)))
    }
}

/// Undoes `=2C` and `=3D`, the only escapes there are (RFC 5802 §5.1).
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("2C") {
            plain.push(',');
            plain.push_str(rest);
        } else {
            plain.push('=');
            plain.push_str(part.strip_prefix("3D")?);
        }
    }
    Some(plain)
}

/// The least that RFC 7677 §4 allows: nothing here is worth more.
const ITERATIONS: u32 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use sasl::{
        client::{Mechanism, mechanisms::Scram},
        common::ChannelBinding,
    };

    use super::*;

    #[test]
    fn unescapes_commas_and_equals_signs_only() {
        assert_eq!(unescape("a=2Cb=3Dc").unwrap(), "a,b=c");
        assert_eq!(unescape("a=b"), None);
        assert_eq!(unescape("a="), None);
    }

    #[test]
    fn refuses_a_client_that_insists_on_channel_binding() {
        assert_eq!(First::read(b"p=tls-exporter,,n=alice,r=x"), None);
        assert!(First::read(b"y,,n=alice,r=x").is_some());
    }

    #[test]
    fn refuses_to_act_for_somebody_else() {
        assert_eq!(First::read(b"n,a=fernand,n=alice,r=x"), None);
        assert!(First::read(b"n,a=alice,n=alice,r=x").is_some());
    }

    /// What a client answers to a challenge: RFC 5802 §3, with the client's own half of `sasl`.
    fn answer<H: ScramProvider>(name: &str, password: &str, corrupt: bool) -> Option<String> {
        let hash = if H::name() == "SHA-1" {
            Hash::Sha1
        } else {
            Hash::Sha256
        };
        let secret = Secret::new("pencil");
        let mut client = Scram::<H>::new(name, password, ChannelBinding::None).unwrap();
        let first = First::read(&client.initial()).unwrap();
        let (message, challenge) = first.challenge(hash, &secret, "our-nonce");
        let mut response = client.response(message.as_bytes()).unwrap();
        if corrupt {
            response = String::from_utf8(response)
                .unwrap()
                .replace("our", "out")
                .into_bytes();
        }
        let signature = challenge.finish(&response, &secret)?;
        client.success(signature.as_bytes()).unwrap();
        Some(signature)
    }

    #[test]
    fn agrees_with_a_client_on_both_signatures() {
        assert!(answer::<Sha1>("alice", "pencil", false).is_some());
        assert!(answer::<Sha256>("alice", "pencil", false).is_some());
    }

    #[test]
    fn refuses_another_password() {
        assert_eq!(answer::<Sha1>("alice", "pencils", false), None);
        assert_eq!(answer::<Sha256>("alice", "pencils", false), None);
    }

    #[test]
    fn refuses_a_proof_for_another_nonce() {
        assert_eq!(answer::<Sha256>("alice", "pencil", true), None);
    }

    #[test]
    fn refuses_a_proof_of_another_length() {
        let secret = Secret::new("pencil");
        let first = First::read(b"n,,n=alice,r=x").unwrap();
        let (_, challenge) = first.challenge(Hash::Sha1, &secret, "y");
        assert_eq!(challenge.finish(b"c=biws,r=xy,p=AAAA", &secret), None);
    }
}
