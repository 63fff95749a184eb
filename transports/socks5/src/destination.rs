//! The name under which both sides meet: DST.ADDR (XEP-0065 §5.3.2).

use std::fmt;

use sha1::{Digest, Sha1};
use tubes_transport::StreamId;
use xmpp_parsers::jid::FullJid;

/// What a SOCKS5 client asks to be connected to: not an address, but the hash of a stream's
/// identifier and both sides' addresses. Who does not know all three cannot find the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination([u8; 20]);

impl Destination {
    /// The destination of a stream that `requester` asked `responder` for.
    pub fn new(stream: &StreamId, requester: &FullJid, responder: &FullJid) -> Self {
        let mut hash = Sha1::new();
        hash.update(stream.as_str());
        hash.update(requester.as_str());
        hash.update(responder.as_str());
        Self(hash.finalize().into())
    }

    /// Reads the 40 hexadecimal digits, in either case.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; DIGITS] = digits.try_into().ok()?;
        let mut hash = [0; 20];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            if pair.starts_with('+') {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Destination {
    /// 40 hexadecimal digits, in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The length of a destination on the wire.
pub(crate) const DIGITS: usize = 40;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use super::*;

    #[test]
    fn is_the_hash_of_the_stream_and_both_sides() {
        let stream = StreamId::from("vxf9n471bn46");
        let requester = FullJid::new("requester@example.com/foo").unwrap();
        let target = FullJid::new("target@example.org/bar").unwrap();
        let destination = Destination::new(&stream, &requester, &target);
        // printf %s 'vxf9n471bn46requester@example.com/footarget@example.org/bar' | sha1sum
        let digits = destination.to_string();
        assert_eq!(digits, HASH);
        assert_eq!(Destination::parse(digits.as_bytes()), Some(destination));
        let upper = digits.to_uppercase();
        assert_eq!(Destination::parse(upper.as_bytes()), Some(destination));
        assert_ne!(Destination::new(&stream, &target, &requester), destination);
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in ["", "00", &"g".repeat(40), &"0".repeat(41), &"+0".repeat(20)] {
            assert_eq!(Destination::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    const HASH: &str = "98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff";
}
