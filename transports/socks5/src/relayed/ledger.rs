//! What was sent and what has arrived, on a stream through a proxy.

use std::time::{Duration, Instant};

/// Counts what went out until the peer says that it has it.
///
/// Prosody's proxy holds up to 4 KiB back after a burst, until another byte comes. So as long as
/// something is unaccounted for and nothing else is said, an empty frame is sent: soon, and then
/// ever more rarely, for the peer may just be slow. And while nothing is under way, one a minute: a
/// proxy finds out that the peer's machine is gone only when it has something for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    sent: u64,
    arrived: u64,
    /// When the next empty frame is due, and how long after the one before that is.
    nudge: Option<(Instant, Duration)>,
}

impl Outgoing {
    /// So much was sent.
    pub fn sent(&mut self, count: u64, now: Instant) {
        self.sent += count;
        self.nudge = Some((now + FIRST, FIRST));
    }

    /// The peer says how much has arrived.
    ///
    /// # Errors
    ///
    /// [`Impossible`] if that is more than was sent.
    pub fn handle_arrived(&mut self, sum: u64, now: Instant) -> Result<(), Impossible> {
        if sum > self.sent {
            return Err(Impossible);
        }
        // A peer that takes something back has still told it before.
        self.arrived = self.arrived.max(sum);
        if self.is_settled() {
            self.nudge = Some((now + IDLE, IDLE));
        }
        Ok(())
    }

    /// Whether all that was sent has arrived.
    pub fn is_settled(&self) -> bool {
        self.arrived == self.sent
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.nudge.map(|(due, _)| due)
    }

    /// Whether an empty frame is to be sent now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        match self.nudge {
            Some((due, pause)) if due <= now => {
                let pause = match self.is_settled() {
                    true => IDLE,
                    false => (pause * 4).min(LAST),
                };
                self.nudge = Some((now + pause, pause));
                true
            }
            _ => false,
        }
    }
}

/// Counts what came in until the peer was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming {
    arrived: u64,
    told: u64,
}

impl Incoming {
    /// So much has arrived.
    pub fn arrived(&mut self, count: u64) {
        self.arrived += count;
    }

    /// What the peer is to be told, if it does not know; it is told then.
    pub fn tell(&mut self) -> Option<u64> {
        let news = self.arrived > self.told;
        self.told = self.arrived;
        news.then_some(self.arrived)
    }
}

/// The peer says that more has arrived than was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more arrived than was sent")]
pub struct Impossible;

/// Before the first empty frame: enough for an answer from nearby.
const FIRST: Duration = Duration::from_millis(10);

/// Between two of them while all has arrived.
const IDLE: Duration = Duration::from_secs(60);

/// Between two of them in the end, while something has not.
const LAST: Duration = Duration::from_secs(5);
