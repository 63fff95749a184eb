//! What tells that all bytes of a file are right.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};
use ring::digest::{Context, SHA256};
use thiserror::Error;

/// A checksum of a whole file.
///
/// It is shown as hexadecimal digits in lower case, as it is said on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checksum {
    /// By MD5: finds what went wrong by accident, and nothing else.
    Md5([u8; 16]),
    /// By SHA-256.
    Sha256([u8; 32]),
}

/// How a checksum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// What XEP-0096 knows.
    Md5,
    /// What is to be relied on.
    Sha256,
}

/// Makes a checksum while bytes pass.
#[derive(Clone)]
pub struct Hasher(State);

/// Why a text is no checksum.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no checksum: 32 or 64 hexadecimal digits are")]
pub struct ChecksumError(String);

#[derive(Clone)]
enum State {
    Md5(Md5),
    Sha256(Context),
}

impl Checksum {
    /// How it was made.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Md5(_) => Algorithm::Md5,
            Self::Sha256(_) => Algorithm::Sha256,
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

impl Hasher {
    /// One that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Sha256 => State::Sha256(Context::new(&SHA256)),
        })
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }

    /// What is being made.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Md5(_) => Algorithm::Md5,
            State::Sha256(_) => Algorithm::Sha256,
        }
    }

    /// The checksum of what was seen so far.
    pub fn checksum(&self) -> Checksum {
        match self.0.clone() {
            State::Md5(state) => Checksum::Md5(state.finalize().into()),
            State::Sha256(state) => {
                let mut bytes = [0; 32];
                // The digest has as many bytes.
                for (to, from) in bytes.iter_mut().zip(state.finish().as_ref()) {
                    *to = *from;
                }
                Checksum::Sha256(bytes)
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hasher({:?})", self.algorithm())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    /// Reads hexadecimal digits, in either case; their number tells the algorithm.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let bytes: Vec<_> = digits
            .unwrap_or_default()
            .chunks_exact(2)
            .filter_map(|pair| {
                u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).ok()
            })
            .collect();
        let wrong = || ChecksumError(text.chars().take(QUOTED).collect());
        match text.len() {
            32 => bytes.try_into().map(Self::Md5).map_err(|_| wrong()),
            64 => bytes.try_into().map(Self::Sha256).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// No more of a wrong one is repeated: it may be of any length.
const QUOTED: usize = 80;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use super::*;

    #[test]
    fn known_answers_are_given_in_one_piece_and_in_several() {
        for (algorithm, answer) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (
                Algorithm::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"a");
            let early = hasher.checksum();
            hasher.update(b"bc");
            assert_eq!(hasher.checksum().to_string(), answer);
            assert_ne!(hasher.checksum(), early);
            assert_eq!(answer.to_uppercase().parse(), Ok(hasher.checksum()));
            assert_eq!(hasher.checksum().algorithm(), algorithm);
        }
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        let long = "a".repeat(63);
        let sign = format!("+{}", "a".repeat(31));
        for text in ["", "abc", &long, &sign, &"é".repeat(16), &"x".repeat(64)] {
            assert!(text.parse::<Checksum>().is_err(), "{text}");
        }
    }
}
