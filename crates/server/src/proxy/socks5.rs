//! What a proxy reads and says of SOCKS5 (RFC 1928), as XEP-0065 §5.3.2 narrows it.
//!
//! ```text
//!   05 n methods ──►  ◄── 05 00      05 01 00 03 28 hash 00 00 ──►  ◄── 05 00 00 03 28 hash 00 00
//! ```

use sha1::{Digest, Sha1};
use xmpp_parsers::jid::Jid;

/// What a bytestream is called at the proxy: a SHA-1 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hash(String);

impl Hash {
    /// The hash of a bytestream (XEP-0065 §5.3.2).
    pub(super) fn of(sid: &str, requester: &Jid, target: &Jid) -> Self {
        let digest = Sha1::digest(format!("{sid}{requester}{target}"));
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads what follows the [head](check_head) of a request: the hash and a port, which is 0.
    pub(super) fn read(rest: [u8; REST]) -> Result<Self, Refusal> {
        let Some((hash, [0, 0])) = rest.split_last_chunk() else {
            return Err(Refusal::Unreachable);
        };
        match str::from_utf8(hash) {
            Ok(hash) if hash.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                Ok(Self(hash.to_owned()))
            }
            _ => Err(Refusal::Unreachable),
        }
    }

    /// The answer that grants a request: the address in it is the one that was asked for.
    pub(super) fn granted(&self) -> Vec<u8> {
        [&[5, 0, 0, 3, 40], self.0.as_bytes(), &[0, 0]].concat()
    }
}

/// Why a client is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the address is no domain of forty characters")]
    AddressType,
    #[error("the command is not CONNECT")]
    Command,
    #[error("this is not SOCKS5, or not without authentication")]
    Method,
    #[error("the bytestream has two connections already")]
    NotAllowed,
    #[error("the address is no hash with port 0")]
    Unreachable,
}

impl Refusal {
    /// What the client is told (RFC 1928 §3, §6).
    pub(super) fn answer(self) -> Vec<u8> {
        let code = match self {
            Self::Method => return vec![5, 0xff],
            Self::NotAllowed => 2,
            Self::Unreachable => 4,
            Self::Command => 7,
            Self::AddressType => 8,
        };
        vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

/// Checks the methods that a client offers: one of them has to be none.
pub(super) fn check_methods(version: u8, methods: &[u8]) -> Result<(), Refusal> {
    match version {
        5 if methods.contains(&0) => Ok(()),
        _ => Err(Refusal::Method),
    }
}

/// Checks a request up to the length of its address. Nothing but a CONNECT to a domain of forty
/// characters goes on (XEP-0065 §5.3.2).
pub(super) fn check_head(head: [u8; HEAD]) -> Result<(), Refusal> {
    match head {
        [5, 1, _, 3, 40] => Ok(()),
        [5, 1, ..] => Err(Refusal::AddressType),
        _ => Err(Refusal::Command),
    }
}

/// The answer to methods that will do.
pub(super) const NO_AUTHENTICATION: [u8; 2] = [5, 0];

/// Version, command, a reserved byte, type and length of the address.
pub(super) const HEAD: usize = 5;

/// The address and the port.
pub(super) const REST: usize = 40 + 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn rest(hash: &str, port: u16) -> [u8; REST] {
        [hash.as_bytes(), &port.to_be_bytes()]
            .concat()
            .try_into()
            .unwrap()
    }

    #[test]
    fn names_a_bytestream_by_sid_requester_and_target() {
        let jid = |jid: &str| jid.parse::<Jid>().unwrap();
        let (requester, target) = (jid("Alice@tubes.test/a"), jid("fernand@tubes.test/F"));
        let hash = Hash::of("vxf9n471bn46", &requester, &target);
        let expected = "c4bb5153b6b1ee6ad7583bf55758f88eefefedf4";
        assert_eq!(hash, Hash(expected.to_owned()));
        assert_ne!(hash, Hash::of("vxf9n471bn46", &target, &requester));
    }

    #[test]
    fn grants_with_the_address_that_was_asked_for() {
        let hash = Hash::read(rest(HASH, 0)).unwrap();
        let expected = [b"\x05\x00\x00\x03\x28", HASH.as_bytes(), b"\x00\x00"].concat();
        assert_eq!(hash.granted(), expected);
    }

    #[test]
    fn takes_only_hashes_and_port_zero() {
        let unreachable = Err(Refusal::Unreachable);
        assert_eq!(Hash::read(rest(HASH, 1)), unreachable);
        let name = "a-domain-of-forty-characters.example.com";
        assert_eq!(Hash::read(rest(name, 0)), unreachable);
        assert_eq!(Hash::read([0xff; REST]), unreachable);
    }

    #[test]
    fn insists_on_no_authentication() {
        assert_eq!(check_methods(5, &[2, 0]), Ok(()));
        for (version, methods) in [(5, [1, 2].as_slice()), (5, &[]), (4, &[0])] {
            assert_eq!(check_methods(version, methods), Err(Refusal::Method));
        }
    }

    #[test]
    fn refuses_whatever_is_no_connect_to_a_domain() {
        assert_eq!(check_head([5, 1, 0, 3, 40]), Ok(()));
        for (head, refusal) in [
            ([5, 2, 0, 3, 40], Refusal::Command),
            ([5, 3, 0, 3, 40], Refusal::Command),
            ([4, 1, 0, 3, 40], Refusal::Command),
            ([5, 1, 0, 1, 127], Refusal::AddressType),
            ([5, 1, 0, 3, 39], Refusal::AddressType),
        ] {
            assert_eq!(check_head(head), Err(refusal));
        }
    }

    #[test]
    fn says_why_in_the_words_of_socks() {
        assert_eq!(Refusal::Method.answer(), [5, 0xff]);
        assert_eq!(Refusal::NotAllowed.answer(), [5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
}
