//! What a connection carries.

use std::sync::Arc;

use tubes_local::Totals;

/// How much a connection has carried so far; goes on counting while the connection lasts.
///
/// Cheap to clone. Two are equal if they belong to the same connection.
#[derive(Clone, Debug)]
pub struct Traffic(Arc<Totals>);

impl Traffic {
    pub(crate) fn of(totals: &Arc<Totals>) -> Self {
        Self(Arc::clone(totals))
    }

    /// Bytes that the local program sent, and the peer's side has taken over.
    pub fn sent(&self) -> u64 {
        self.0.sent()
    }

    /// Bytes that the local program was given.
    pub fn received(&self) -> u64 {
        self.0.received()
    }
}

impl PartialEq for Traffic {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Traffic {}
