//! Whether a session that lost its connection goes on.

use std::time::{Duration, Instant};

use crate::event::StreamManagement;

/// How long a session may outlive its connection (XEP-0198 §5). Reads no clock.
///
/// ```text
///   Flowing ──► Suspended ⇄ Resumed ──► Flowing
///                   └──► Abandoned ◄──┘    ▲
///                            └─────────────┘ as a new session
/// ```
#[derive(Debug)]
pub(crate) struct Continuity {
    phase: Phase,
    stream_management: StreamManagement,
    limit: Duration,
}

/// Whether the session carries anything at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Flowing,
    /// The connection is lost. The session may yet be resumed.
    Suspended {
        until: Instant,
        fruitless: u8,
    },
    /// The server says that it goes on, and has yet to acknowledge something.
    Resumed {
        until: Instant,
        fruitless: u8,
    },
    /// The session was given up, with all that hung on it. A connection that stands has until
    /// then to become a new one.
    Abandoned {
        until: Option<Instant>,
    },
}

/// What a server has yet to acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Since when.
    pub(crate) since: Instant,
    /// How much.
    pub(crate) bytes: usize,
}

/// What is to be done about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Give it up: end what hangs on it, and begin anew.
    Abandon,
    /// Wait.
    Keep,
}

impl Continuity {
    /// A session that has just begun. When it loses its connection it waits so long to be
    /// resumed.
    pub(crate) fn new(stream_management: StreamManagement, limit: Duration) -> Self {
        Self {
            phase: Phase::Flowing,
            stream_management,
            limit,
        }
    }

    /// Whether the session carries anything at the moment.
    pub(crate) fn is_flowing(&self) -> bool {
        matches!(self.phase, Phase::Flowing | Phase::Resumed { .. })
    }

    /// A new session began.
    pub(crate) fn handle_reset(&mut self, stream_management: StreamManagement) {
        self.stream_management = stream_management;
        self.phase = Phase::Flowing;
    }

    /// The server says that the same session goes on. What it is owed is said again, and that it
    /// has it is the proof: a session of Prosody 0.12.3 that lost its connection in the wrong
    /// moment is resumed, and never listens again.
    pub(crate) fn handle_resumed(&mut self, owed: Option<Owed>) {
        self.phase = match (owed, self.phase) {
            (Some(owed), Phase::Suspended { fruitless, .. }) => Phase::Resumed {
                until: owed.since + proof(owed.bytes),
                fruitless,
            },
            _ => Phase::Flowing,
        };
    }

    /// The server acknowledged something.
    pub(crate) fn handle_acked(&mut self) {
        if let Phase::Resumed { .. } = self.phase {
            self.phase = Phase::Flowing;
        }
    }

    /// The connection is lost, or the next one was, before the session could be resumed. The
    /// server was `heard` last at that time: a connection that died without a word is noticed
    /// late.
    pub(crate) fn handle_suspended(&mut self, heard: Instant) -> Verdict {
        self.phase = match self.phase {
            Phase::Abandoned { .. } => {
                self.phase = Phase::Abandoned { until: None };
                return Verdict::Keep;
            }
            Phase::Flowing if self.stream_management == StreamManagement::Absent => {
                Phase::Abandoned { until: None }
            }
            Phase::Flowing => Phase::Suspended {
                until: heard + self.limit,
                fruitless: 0,
            },
            Phase::Suspended { fruitless, .. } | Phase::Resumed { fruitless, .. }
                if fruitless + 1 >= MOST_FRUITLESS =>
            {
                Phase::Abandoned { until: None }
            }
            Phase::Suspended { until, fruitless } => Phase::Suspended {
                until,
                fruitless: fruitless + 1,
            },
            Phase::Resumed { fruitless, .. } => Phase::Suspended {
                until: heard + self.limit,
                fruitless: fruitless + 1,
            },
        };
        match self.phase {
            Phase::Abandoned { .. } => Verdict::Abandon,
            Phase::Flowing | Phase::Resumed { .. } | Phase::Suspended { .. } => Verdict::Keep,
        }
    }

    /// A connection stands, on which a session is to be resumed or to begin.
    pub(crate) fn handle_connected(&mut self, now: Instant) {
        if let Phase::Abandoned { until } = &mut self.phase {
            *until = Some(now + BEGINNING);
        }
    }

    /// The stream ended, which only its own mistakes can bring about.
    pub(crate) fn handle_ended(&mut self) -> Verdict {
        self.phase = Phase::Abandoned { until: None };
        Verdict::Abandon
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if the oldest stanza on its way is
    /// so since then.
    pub(crate) fn next_timeout(&self, oldest: Option<Instant>) -> Option<Instant> {
        match self.phase {
            Phase::Flowing => oldest.map(|oldest| oldest + DEAF),
            Phase::Suspended { until, .. } | Phase::Resumed { until, .. } => Some(until),
            Phase::Abandoned { until } => until,
        }
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, oldest: Option<Instant>, now: Instant) -> Verdict {
        if self.next_timeout(oldest).is_none_or(|until| now < until) {
            return Verdict::Keep;
        }
        self.phase = Phase::Abandoned { until: None };
        Verdict::Abandon
    }
}

/// How long a server may take for what is said to it again.
fn proof(bytes: usize) -> Duration {
    let seconds = bytes as f64 / SLOWEST;
    (PROOF + Duration::from_secs_f64(seconds)).min(DEAF)
}

/// A connection may break once more while the session is being resumed. If it does so time and
/// again, it is for what the server, or tokio-xmpp, has to say of the session.
const MOST_FRUITLESS: u8 = 3;

/// A server acknowledges at once; a busy one takes its time.
const PROOF: Duration = Duration::from_secs(20);

/// Bytes per second of the slowest way on which what is said again is waited for.
const SLOWEST: f64 = 8192.0;

/// A server that has acknowledged nothing for so long never will, whatever else it says.
const DEAF: Duration = Duration::from_secs(60);

/// Time to begin a session on a connection that stands; tokio-xmpp sets none.
const BEGINNING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(110);

    fn owed(since: Instant) -> Option<Owed> {
        Some(Owed { since, bytes: 0 })
    }

    fn kept() -> Continuity {
        Continuity::new(StreamManagement::Offered, LIMIT)
    }

    #[test]
    fn a_session_that_nobody_keeps_is_given_up_at_once() {
        let mut session = Continuity::new(StreamManagement::Absent, LIMIT);
        assert_eq!(session.handle_suspended(Instant::now()), Verdict::Abandon);
        assert!(!session.is_flowing());
        assert_eq!(session.next_timeout(None), None);
    }

    #[test]
    fn a_kept_session_is_given_up_when_its_time_is_over_and_only_once() {
        let (mut session, heard) = (kept(), Instant::now());
        assert_eq!(session.handle_suspended(heard), Verdict::Keep);
        assert_eq!(session.next_timeout(None), Some(heard + LIMIT));
        assert_eq!(
            session.handle_timeout(None, heard + LIMIT / 2),
            Verdict::Keep
        );
        assert_eq!(
            session.handle_timeout(None, heard + LIMIT),
            Verdict::Abandon
        );
        assert_eq!(
            session.handle_timeout(None, heard + LIMIT * 2),
            Verdict::Keep
        );
        assert_eq!(session.handle_suspended(heard + LIMIT * 2), Verdict::Keep);
    }

    #[test]
    fn a_session_that_can_never_be_resumed_is_given_up() {
        let (mut session, heard) = (kept(), Instant::now());
        let lost: Vec<_> = (0..4).map(|_| session.handle_suspended(heard)).collect();
        let kept = Verdict::Keep;
        assert_eq!(lost, [kept, kept, kept, Verdict::Abandon]);
    }

    #[test]
    fn each_outage_has_its_own_time_and_tries() {
        let (mut session, heard) = (kept(), Instant::now());
        for outage in 0..9 {
            let heard = heard + LIMIT * outage;
            assert_eq!(session.handle_suspended(heard), Verdict::Keep);
            assert_eq!(session.handle_suspended(heard), Verdict::Keep);
            assert_eq!(session.next_timeout(None), Some(heard + LIMIT));
            session.handle_resumed(owed(heard));
            session.handle_acked();
            assert!(session.is_flowing());
            assert_eq!(session.next_timeout(None), None);
        }
    }

    #[test]
    fn a_session_that_listens_no_more_is_given_up() {
        let (mut session, now) = (kept(), Instant::now());
        session.handle_suspended(now);
        session.handle_resumed(owed(now));
        assert!(session.is_flowing());
        assert_eq!(session.handle_timeout(None, now + PROOF / 2), Verdict::Keep);
        assert_eq!(session.handle_timeout(None, now + PROOF), Verdict::Abandon);
    }

    #[test]
    fn a_session_that_nothing_is_owed_needs_no_proof() {
        let (mut session, now) = (kept(), Instant::now());
        session.handle_suspended(now);
        session.handle_resumed(None);
        assert_eq!(session.handle_timeout(None, now + LIMIT), Verdict::Keep);
    }

    #[test]
    fn a_session_that_is_resumed_and_lost_time_and_again_is_given_up() {
        let (mut session, now) = (kept(), Instant::now());
        let mut lost = Vec::new();
        for _ in 0..4 {
            lost.push(session.handle_suspended(now));
            session.handle_resumed(owed(now));
        }
        assert_eq!(lost[..3], [Verdict::Keep; 3]);
        assert_eq!(lost[3], Verdict::Abandon);
    }

    #[test]
    fn what_the_next_server_does_counts_for_the_next_session() {
        let (mut session, heard) = (kept(), Instant::now());
        session.handle_suspended(heard);
        session.handle_reset(StreamManagement::Absent);
        assert!(session.is_flowing());
        assert_eq!(session.handle_suspended(heard), Verdict::Abandon);
    }

    #[test]
    fn much_that_is_said_again_takes_longer() {
        let (mut session, now) = (kept(), Instant::now());
        session.handle_suspended(now);
        let bytes = 100_000;
        session.handle_resumed(Some(Owed { since: now, bytes }));
        assert_eq!(session.handle_timeout(None, now + PROOF), Verdict::Keep);
        assert_eq!(session.handle_timeout(None, now + DEAF), Verdict::Abandon);
    }

    #[test]
    fn a_server_that_acknowledges_nothing_is_left() {
        let (mut session, now) = (kept(), Instant::now());
        assert_eq!(session.next_timeout(None), None);
        let oldest = Some(now);
        assert_eq!(
            session.handle_timeout(oldest, now + DEAF / 2),
            Verdict::Keep
        );
        assert_eq!(session.handle_timeout(oldest, now + DEAF), Verdict::Abandon);
    }

    #[test]
    fn a_connection_on_which_no_session_begins_is_left() {
        let (mut session, now) = (kept(), Instant::now());
        assert_eq!(session.handle_ended(), Verdict::Abandon);
        assert_eq!(session.next_timeout(None), None);
        session.handle_connected(now);
        assert_eq!(
            session.handle_timeout(None, now + BEGINNING),
            Verdict::Abandon
        );
        session.handle_connected(now);
        session.handle_reset(StreamManagement::Offered);
        assert_eq!(session.handle_timeout(None, now + BEGINNING), Verdict::Keep);
    }
}
