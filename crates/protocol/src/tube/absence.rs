//! How long a tube outlives the absence of its peer.

use std::time::{Duration, Instant};

/// Since when a tube has had nobody at the other end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absence {
    since: Option<Instant>,
}

impl Absence {
    /// Somebody is there.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Nobody is there any more.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn is_on(self) -> bool {
        self.since.is_some()
    }

    /// When it will have lasted too long.
    pub(super) fn deadline(self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    pub(super) fn is_over(self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

/// Long enough for a client to reconnect, short enough for a person to wait.
const PATIENCE: Duration = Duration::from_secs(60);
