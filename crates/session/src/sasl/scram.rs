//! SCRAM, the client's side (RFC 5802, RFC 7677): what is said, and what must be believed.
//!
//! ```text
//!   Scram ── first ──> server ── handle_challenge ──> Challenged ── prove ──> Proof
//!                                                   (takes long)       │
//!                                  server's signature ── verify ───────┘
//! ```

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};

use super::{Gs2, Hash};

/// A login that has not been answered.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: Hash,
    gs2: Gs2,
    nonce: String,
    bare: String,
}

impl Scram {
    /// Begins a login. The nonce is random, printable and without commas.
    pub(crate) fn new(hash: Hash, gs2: Gs2, name: &str, nonce: String) -> Self {
        // RFC 5802 §5.1: a comma would end the name.
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        Self {
            hash,
            gs2,
            nonce,
            bare,
        }
    }

    /// The client's first message.
    pub(crate) fn first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2.header(), self.bare).into_bytes()
    }

    /// Reads the server's first message.
    pub(crate) fn handle_challenge(self, challenge: &[u8]) -> Result<Challenged, ScramError> {
        let text = str::from_utf8(challenge).map_err(|_| ScramError::Malformed)?;
        let mut attributes = text.split(',').map(|attribute| attribute.split_once('='));
        let mut next = |name| match attributes.next() {
            Some(Some((key, value))) if key == name => Ok(value),
            // RFC 5802 §5.1: an extension that must be understood.
            Some(Some(("m", _))) => Err(ScramError::Extension),
            _ => Err(ScramError::Malformed),
        };
        let (nonce, salt, iterations) = (next("r")?, next("s")?, next("i")?);
        // RFC 5802 §5.1: a nonce that does not begin with ours belongs to another login.
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Nonce);
        }
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed)?;
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| ScramError::Malformed)?;
        if salt.is_empty() {
            return Err(ScramError::Malformed);
        }
        if iterations.get() > MOST_ITERATIONS {
            return Err(ScramError::Iterations(iterations.get()));
        }
        if iterations.get() < FEWEST_ITERATIONS {
            tracing::warn!(%iterations, "the server protects passwords badly");
        }
        let unproven = format!("c={},r={nonce}", BASE64.encode(self.gs2.data()));
        let message = format!("{},{text},{unproven}", self.bare);
        Ok(Challenged {
            hash: self.hash,
            salt,
            iterations,
            unproven,
            message,
        })
    }
}

/// A login whose server has said how the password is salted.
pub(crate) struct Challenged {
    hash: Hash,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    unproven: String,
    message: String,
}

impl Challenged {
    /// The client's final message. Takes long, as the server's iterations demand: call it where
    /// blocking is allowed. The password is prepared already.
    pub(crate) fn prove(&self, password: &str) -> (Vec<u8>, Proof) {
        let (derivation, mac, hash) = self.hash.algorithms();
        let mut salted = vec![0; hash.output_len()];
        let secret = password.as_bytes();
        pbkdf2::derive(derivation, self.iterations, &self.salt, secret, &mut salted);

        let salted = hmac::Key::new(mac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash, client_key.as_ref());
        let stored_key = hmac::Key::new(mac, stored_key.as_ref());
        let signature = hmac::sign(&stored_key, self.message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();

        let server_key = hmac::sign(&salted, b"Server Key");
        let last = format!("{},p={}", self.unproven, BASE64.encode(proof));
        let proof = Proof {
            server_key: hmac::Key::new(mac, server_key.as_ref()),
            message: self.message.clone(),
        };
        (last.into_bytes(), proof)
    }
}

/// What the server has to sign to show that it knows the password, too.
#[derive(Debug)]
pub(crate) struct Proof {
    server_key: hmac::Key,
    message: String,
}

impl Proof {
    /// Checks the server's final message.
    pub(crate) fn verify(&self, last: &[u8]) -> Result<(), ScramError> {
        let text = str::from_utf8(last).map_err(|_| ScramError::Malformed)?;
        let signature = text
            .split(',')
            .next()
            .and_then(|attribute| attribute.strip_prefix("v="))
            .ok_or(ScramError::Unproven)?;
        let signature = BASE64.decode(signature).map_err(|_| ScramError::Unproven)?;
        hmac::verify(&self.server_key, self.message.as_bytes(), &signature)
            .map_err(|_| ScramError::Unproven)
    }
}

/// Why a server is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("it demands an extension of SCRAM that nobody knows")]
    Extension,
    #[error("it demands {0} iterations, and {MOST_ITERATIONS} at most are done")]
    Iterations(u32),
    #[error("its SCRAM message is malformed")]
    Malformed,
    #[error("its SCRAM message belongs to another login")]
    Nonce,
    #[error("its signature is wrong")]
    Unproven,
}

/// RFC 7677 §4: servers should demand no fewer.
const FEWEST_ITERATIONS: u32 = 4096;

/// Some ten seconds of one core; real servers demand up to a million.
const MOST_ITERATIONS: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const CHALLENGE: &[u8] =
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";

    fn scram() -> Scram {
        Scram::new(
            Hash::Sha1,
            Gs2::No,
            "user",
            "fyko+d2lbbFgONRv9qkxdawL".into(),
        )
    }

    fn refusal(challenge: &[u8]) -> ScramError {
        scram().handle_challenge(challenge).err().unwrap()
    }

    #[test]
    fn logs_in_as_rfc_5802_section_5_does() {
        let scram = scram();
        assert_eq!(scram.first(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let (last, proof) = scram.handle_challenge(CHALLENGE).unwrap().prove("pencil");
        assert_eq!(
            str::from_utf8(&last).unwrap(),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        proof.verify(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap();
    }

    #[test]
    fn logs_in_as_rfc_7677_section_3_does() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let scram = Scram::new(Hash::Sha256, Gs2::No, "user", nonce);
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let challenged = scram.handle_challenge(challenge.as_bytes()).unwrap();
        let (last, proof) = challenged.prove("pencil");
        assert_eq!(
            str::from_utf8(&last).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proof
            .verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
    }

    #[test]
    fn believes_no_other_signature() {
        let (_, proof) = scram().handle_challenge(CHALLENGE).unwrap().prove("pencil");
        for last in [
            "",
            "v=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKR=",
            "v=AAAA",
            "e=other-error",
            "x=1,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ] {
            let error = proof.verify(last.as_bytes()).unwrap_err();
            assert_eq!(error, ScramError::Unproven, "{last}");
        }
    }

    #[test]
    fn escapes_the_name() {
        let scram = Scram::new(Hash::Sha1, Gs2::Unoffered, "a=b,c", "nonce".into());
        assert_eq!(scram.first(), b"y,,n=a=3Db=2Cc,r=nonce");
    }

    #[test]
    fn refuses_the_nonce_of_another_login() {
        assert_eq!(refusal(b"r=other,s=QSXC,i=4096"), ScramError::Nonce);
        let ours = b"r=fyko+d2lbbFgONRv9qkxdawL,s=QSXC,i=4096";
        assert_eq!(refusal(ours), ScramError::Nonce);
    }

    #[test]
    fn refuses_to_work_for_ever() {
        let challenge = b"r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXC,i=4294967295";
        assert_eq!(refusal(challenge), ScramError::Iterations(u32::MAX));
    }

    #[test]
    fn refuses_an_extension_that_must_be_understood() {
        let challenge = b"m=new,r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXC,i=4096";
        assert_eq!(refusal(challenge), ScramError::Extension);
    }

    #[test]
    fn refuses_what_is_malformed() {
        for challenge in [
            &b""[..],
            b"r",
            b"r=fyko+d2lbbFgONRv9qkxdawL3",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXC",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,s=,i=4096",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,s=!,i=4096",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXC,i=0",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,s=QSXC,i=-1",
            b"r=fyko+d2lbbFgONRv9qkxdawL3,i=4096,s=QSXC",
            b"r=\xff",
        ] {
            assert_eq!(refusal(challenge), ScramError::Malformed);
        }
    }
}
