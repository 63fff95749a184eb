//! What only the two sides of a stream know, so that they find each other and nobody else.

use std::fmt;

use tubes_transport::Kind;
use xmpp_parsers::minidom::Element;

/// The first bytes that the requester says over a connection, between two of our own kind. The
/// responder waits for them: whoever else answers at an address, or knows the stream's hash, is not
/// taken for the peer; and both sides know that the connection is in use.
///
/// It travels through the servers, and through a proxy: it is no encryption.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; LENGTH]);

impl Secret {
    /// A fresh one for our own kind; others would not understand it.
    pub(crate) fn for_kind(kind: Kind) -> Option<Self> {
        (kind == Kind::Ours).then(|| Self(rand::random()))
    }

    /// Of these bytes.
    pub fn new(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are said.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The element in a query.
    pub(crate) fn to_element(self) -> Element {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Element::builder("secret", OURS).append(digits).build()
    }

    /// The secret in a query, if there is one that can be read.
    pub(crate) fn read(query: &Element) -> Option<Self> {
        let digits = query.get_child("secret", OURS)?.text();
        let digits: [u8; 2 * LENGTH] = digits.into_bytes().try_into().ok()?;
        let mut bytes = [0; LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The namespace of what this project adds.
const OURS: &str = "urn:x-tubes:0";

/// Bytes of a secret.
const LENGTH: usize = 16;
