//! How many bytes a connection carried.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes carried so far, both ways; cheap to read while the splice runs.
///
/// A byte counts once the receiving side has taken it over, not when it was read.
#[derive(Debug, Default)]
pub struct Totals {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Totals {
    /// Bytes from the local program to the peer.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes from the peer to the local program.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn count_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}
