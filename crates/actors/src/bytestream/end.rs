//! How a connection ends.

use std::sync::Arc;

use tubes_local::Totals;

use super::Name;
use crate::env::Env;
use crate::event::{Event, Failure};
use crate::obituary::Obituary;

/// How a connection ends: tells the application, and then the tube, when dropped.
#[derive(Debug)]
pub(super) struct End {
    pub(super) env: Env,
    pub(super) name: Name,
    pub(super) totals: Arc<Totals>,
    pub(super) result: Result<(), Failure>,
    pub(super) _obituary: Obituary,
}

impl Drop for End {
    fn drop(&mut self) {
        let error = std::mem::replace(&mut self.result, Ok(())).err();
        tracing::debug!(
            tube = %self.name.tube, connection = self.name.connection, ?error, "connection ended"
        );
        self.env.announcer.announce(Event::ConnectionClosed {
            tube: self.name.tube,
            connection: self.name.connection,
            sent: self.totals.sent(),
            received: self.totals.received(),
            error,
        });
    }
}
