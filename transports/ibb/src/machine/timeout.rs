//! How long is waited when nothing happens.

use std::time::{Duration, Instant};

use tubes_transport::Kind;

use crate::Fault;
use crate::machine::{Machine, Owner, Ticket};
use crate::outbound::Phase;

impl<T: Ticket> Machine<T> {
    /// When to call [`handle_timeout`](Self::handle_timeout), unless something happens before.
    pub fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let probe = self.next_probe(now);
        let end = self.next_end(now);
        [probe, end].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_probe(now).is_some_and(|at| at <= now)
            && let Some(patience) = &mut self.patience
        {
            patience.at = now + patience.pause;
            patience.pause *= 2;
            self.outbound.probe();
        }
        if self.next_end(now).is_none_or(|at| now < at) {
            return;
        }
        match self.wait.take() {
            Some((Wait::Draining, ..)) => self.break_off(Fault::TimedOut, Fault::TimedOut),
            Some((Wait::Lingering | Wait::Owed, ..)) => {
                self.inbound.break_off(Fault::TimedOut);
                self.outbound.break_off(Fault::TimedOut);
                self.refuse_held();
                self.farewell.give_up();
            }
            None => {}
        }
    }

    /// When to ask what became of the blocks that are not acknowledged.
    ///
    /// A reader that does not read withholds acknowledgements, and for hours if it likes; a block, or its
    /// acknowledgement, that a server lost looks just so. A further block tells them apart: it is refused
    /// where one is missing, acknowledged where all have arrived and were read, and else its
    /// acknowledgement is withheld, too. An empty one is in nobody's way. (Who is not of our kind may take
    /// offence at it.)
    fn next_probe(&mut self, now: Instant) -> Option<Instant> {
        if self.kind == Kind::Other || !self.outbound.is_owed() {
            self.patience = None;
            return None;
        }
        let acked = self.outbound.acked();
        match &self.patience {
            Some(patience) if patience.acked == acked => Some(patience.at),
            _ => {
                let at = now + ACKNOWLEDGED;
                self.patience = Some(Patience {
                    acked,
                    at,
                    pause: ACKNOWLEDGED * 2,
                });
                Some(at)
            }
        }
    }

    /// When the stream is given up.
    fn next_end(&mut self, now: Instant) -> Option<Instant> {
        let Some(wait) = self.wait() else {
            self.wait = None;
            return None;
        };
        match self.wait {
            Some((known, progress, at)) if known == wait && progress == self.progress => Some(at),
            _ => {
                let at = now + wait.limit();
                self.wait = Some((wait, self.progress, at));
                Some(at)
            }
        }
    }

    fn wait(&self) -> Option<Wait> {
        let flowing = self.inbound.is_flowing();
        match self.outbound.phase() {
            _ if self.is_over() => None,
            Phase::Closing | Phase::Saying if self.owner == Owner::Nobody => Some(Wait::Draining),
            Phase::Flowing | Phase::Closing | Phase::Saying => None,
            Phase::Closed if flowing && self.kind == Kind::Ours => None,
            // The peer cannot go on before the local reader does.
            Phase::Closed if flowing && self.inbound.buffered() > 0 => None,
            Phase::Closed if flowing => Some(Wait::Owed),
            Phase::Closed | Phase::Cut | Phase::Broken(_) => Some(Wait::Lingering),
        }
    }
}

/// With a peer that does not acknowledge what it was sent.
#[derive(Debug)]
pub(super) struct Patience {
    /// How often something was acknowledged when it began.
    acked: u64,
    /// When to ask.
    at: Instant,
    /// How long to wait after that. It grows, so that a reader that takes its time is asked a few times
    /// a day.
    pause: Duration,
}

/// Why time matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Everything was sent; nobody waits for it any more, and the peer has not taken it.
    Draining,
    /// Both directions are over, but the peer may have a last word.
    Lingering,
    /// A peer not of our kind owes an answer to our close, and perhaps its remaining data.
    Owed,
}

impl Wait {
    fn limit(self) -> Duration {
        match self {
            Self::Draining => DRAINING,
            Self::Lingering | Self::Owed => LINGERING,
        }
    }
}

/// How long a peer may take no further block of a stream that nobody holds any more. A reader
/// that is slower than this would never have been waited for by a program that left.
const DRAINING: Duration = Duration::from_secs(60);

/// How long a peer's last word is waited for: the answer to our close, and the close that Gabble
/// sends after it.
const LINGERING: Duration = Duration::from_secs(10);

/// How long nothing may be acknowledged until the peer is asked what became of it. Longer than servers
/// and links keep a block waiting when they are busy, and short enough that people are still there.
const ACKNOWLEDGED: Duration = Duration::from_secs(30);
