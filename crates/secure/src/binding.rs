//! What ties an encrypted stream to the negotiation that it came from.
//!
//! Both sides put what was said into the exporter of their TLS connection (RFC 8446 §7.5), and
//! each says one half of what comes out. If a server or a proxy has changed, left out, or replayed
//! anything, the halves differ.

use std::fmt;

use ring::digest::{Context, SHA256};
use rustls::ConnectionCommon;
use tubes_transport::Role;

/// What both sides said of a bytestream.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Of these things, of which both sides have the same: what was asked, what was answered,
    /// who asked, who answered.
    pub fn new<'a>(said: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in said {
            // With its length, so that nothing moves from one part into the next.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }

    /// What each side of this connection has to say.
    pub(crate) fn tokens<Data>(
        &self,
        tls: &ConnectionCommon<Data>,
    ) -> Result<Tokens, rustls::Error> {
        let both = tls.export_keying_material([0; 2 * TOKEN], LABEL, Some(&self.0))?;
        let (requester, responder) = both.split_at(TOKEN);
        let token = |half: &[u8]| {
            let mut token = [0; TOKEN];
            token.copy_from_slice(half);
            token
        };
        Ok(Tokens {
            requester: token(requester),
            responder: token(responder),
        })
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(..)")
    }
}

/// What the two sides say first.
pub(crate) struct Tokens {
    requester: [u8; TOKEN],
    responder: [u8; TOKEN],
}

impl Tokens {
    /// What this side says, and what it wants to hear.
    pub(crate) fn of(&self, role: Role) -> ([u8; TOKEN], [u8; TOKEN]) {
        match role {
            Role::Requester => (self.requester, self.responder),
            Role::Responder => (self.responder, self.requester),
        }
    }
}

/// Bytes that each side says first.
pub(crate) const TOKEN: usize = 32;

/// RFC 8446 §7.5 wants one of one's own.
const LABEL: &[u8] = b"EXPORTER-tubes-negotiation-0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_from_one_part_to_the_next() {
        let of = |parts: &[&[u8]]| Binding::new(parts.iter().copied());
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"ab", b"c", b""]));
    }
}
