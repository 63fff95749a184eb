//! Carries a file over an open bytestream, to the last word on it.
//!
//! ```text
//!   Source ── send ══ bytes, and their sum ══► receive ── Partial ──► a file in its place
//!               ◄════ "received", or why not ═════╯
//! ```
//!
//! # Layout
//! - [`Errand`], [`Dialect`]: what is to be carried over, and how much the other side understands (this
//!   file)
//! - [`send`](send()) (`send.rs`), [`receive`](receive()) or [`refuse`] (`receive.rs`), and
//!   [`compare`](compare()) (`compare.rs`) with what is there
//! - [`Settled`], [`Farewell`]: what came of it, and what is left to be said then (`farewell.rs`)
//! - `words.rs`: the last words
//!
//! Between our own kind the receiver has the last word: the sender stays until it is heard. Others
//! know the end of the bytestream alone. Deliberately absent: who it is, how the bytestream came to
//! be, and whether it is encrypted.

mod compare;
mod farewell;
mod receive;
mod send;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tubes_files::Stop;
use tubes_transport::Bytestream;

pub use self::compare::{Existing, compare};
pub use self::farewell::{Farewell, Settled};
pub use self::receive::{ReceiveError, Received, Wanted, of_trouble, receive, refuse};
pub use self::send::{SendError, Sent, send};

/// A bytestream, and what to do over it.
#[derive(Debug)]
pub struct Errand {
    /// The bytestream.
    pub stream: Bytestream,
    /// What the other side understands.
    pub dialect: Dialect,
    /// Counts the bytes of the file that are carried, with those that the receiver had before.
    pub counter: Counter,
    /// Ordered when this side has had enough: then the other one is told. Too late once a file that is
    /// received is in its place.
    pub stop: Stop,
}

/// Counts bytes of a file; cheap to clone. Who else has one sees how far it has come.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// How many there are.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether both count the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn begin(&self, offset: u64) {
        self.0.store(offset, Ordering::Relaxed);
    }

    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or_default();
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What the other side understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Last words in both directions.
    Ours,
    /// The bytes, and the end of the bytestream.
    Plain,
}

/// How sure it is that a file arrived, and is what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certainty {
    /// The last byte has reached the receiver's machine, as the bytestream tells; nobody has said more, or
    /// which sum the file has.
    Carried,
    /// The whole has the MD5 that the sender said. That tells accidents: who is in between could have said
    /// another one, and others can make two files of one MD5. Only at the receiver.
    Checked,
    /// All bytes were sent, and nothing tells that the last of them arrived: the other side has gone early, or
    /// has not ended the bytestream, or there is a proxy in between. Only at the sender.
    Unconfirmed,
    /// The whole has the SHA-256 that the sender said; at the sender: the receiver has said so.
    Verified,
}

impl Certainty {
    /// Whether something tells that all of it arrived.
    pub fn is_arrival(self) -> bool {
        match self {
            Self::Carried | Self::Checked | Self::Verified => true,
            Self::Unconfirmed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_of_is_no_arrival() {
        use Certainty::{Carried, Checked, Unconfirmed, Verified};
        assert!(!Unconfirmed.is_arrival());
        assert!(
            [Carried, Checked, Verified]
                .into_iter()
                .all(Certainty::is_arrival)
        );
    }
}
