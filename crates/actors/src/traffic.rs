//! What a connection carries.

use std::sync::Arc;

use tubes_local::Totals;

/// How much a connection has carried so far; goes on counting while the connection lasts.
///
/// Cheap to clone. Two are equal if they belong to the same connection.
///
/// ```
/// use tubes_actors::State;
///
/// /// What all connections that are open have carried until now.
/// fn carried(state: &State) -> u64 {
///     let connections = state.tubes.values().flat_map(|tube| tube.connections.values());
///     let traffic = connections.map(|connection| &connection.traffic);
///     traffic.map(|traffic| traffic.sent() + traffic.received()).sum()
/// }
///
/// assert_eq!(carried(&State::default()), 0);
/// ```
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
