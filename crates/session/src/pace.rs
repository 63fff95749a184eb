//! How much may be on its way to the server at a time.

use std::time::{Duration, Instant};

/// A limit that follows the server's acknowledgements (XEP-0198 §4).
///
/// A server that throttles its clients stops reading for a while. What is sent meanwhile stands
/// in the buffers of two kernels, and all that is said later waits behind it: at the 3 kB/s of a
/// stock ejabberd a few hundred kilobytes of data keep an answer for minutes. So bulk data waits
/// on this side, where it can be overtaken, as soon as acknowledgements take noticeably longer
/// than they could. The limit grows by half a round trip's worth while they do not.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: usize,
    in_flight: usize,
    /// The shortest delay there was.
    base: Option<Duration>,
    /// Bytes that were sent under an older, larger limit: their delays say nothing of this one.
    settling: usize,
    slowness: Slowness,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            limit: FIRST,
            in_flight: 0,
            base: None,
            settling: 0,
            slowness: Slowness::default(),
        }
    }

    /// Whether more bulk data may go.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }

    /// So many bytes of bulk data are on their way.
    pub(crate) fn handle_sent(&mut self, bulk: usize) {
        self.in_flight += bulk;
    }

    /// The server has a stanza of so many bytes, of which `bulk` are bulk data, this long after
    /// it was sent. Returns its rate in bytes per second, once, when it turns out to be one that
    /// people should know of.
    pub(crate) fn handle_acked(
        &mut self,
        bytes: usize,
        bulk: usize,
        delay: Duration,
        now: Instant,
    ) -> Option<u64> {
        let used = self.in_flight * 2 >= self.limit;
        let queued = self.in_flight;
        self.handle_gone(bulk);
        let base = self.base.map_or(delay, |base| base.min(delay));
        self.base = Some(base);
        let wait = delay.saturating_sub(base);
        tracing::trace!(
            bytes,
            bulk,
            ?delay,
            in_flight = self.in_flight,
            limit = self.limit,
            "acknowledged"
        );
        if self.settling > 0 {
            self.settling = self.settling.saturating_sub(bulk);
        } else if wait > SLOW {
            let fitting = (queued as f64 * SLOW.as_secs_f64() / delay.as_secs_f64()) as usize;
            self.limit = fitting.min(self.limit / 2).max(LEAST);
            self.settling = self.in_flight;
        } else if wait < QUICK && used {
            self.limit = (self.limit + bulk / 2).min(MOST);
        }
        self.slowness.handle_acked(bytes, delay, now, self.limit)
    }

    /// So many bytes of bulk data are no longer on their way, of which nothing is learnt.
    pub(crate) fn handle_gone(&mut self, bulk: usize) {
        self.in_flight = self.in_flight.saturating_sub(bulk);
    }

    /// The connection was lost: the next one may be another way. What is on its way stays so.
    pub(crate) fn handle_suspended(&mut self) {
        let in_flight = self.in_flight;
        *self = Self {
            in_flight,
            ..Self::new()
        };
    }
}

/// Whether the server's rate is worth a word.
#[derive(Debug, Default)]
struct Slowness {
    acked: usize,
    /// How long something was under way.
    busy: Duration,
    /// How often there were acknowledgements, those that came together counted once: a way that
    /// was blocked for a moment brings them all at once.
    rounds: u32,
    last: Option<Instant>,
    is_told: bool,
}

impl Slowness {
    fn handle_acked(
        &mut self,
        bytes: usize,
        delay: Duration,
        now: Instant,
        limit: usize,
    ) -> Option<u64> {
        let since = self.last.replace(now);
        if limit > FIRST {
            self.forget();
            // A limit that has recovered this far may be worth another word later.
            self.is_told &= limit < FIRST * 4;
            return None;
        }
        let idle = since.map_or(delay, |last| now.saturating_duration_since(last));
        self.busy += idle.min(delay);
        self.rounds += u32::from(idle >= ROUND);
        self.acked += bytes;
        if self.is_told || self.busy < LISTENING || self.rounds < ROUNDS {
            return None;
        }
        let rate = (self.acked as f64 / self.busy.as_secs_f64()) as u64;
        self.forget();
        self.is_told = rate < NOTEWORTHY;
        self.is_told.then_some(rate)
    }

    fn forget(&mut self) {
        (self.acked, self.busy, self.rounds) = (0, Duration::ZERO, 0);
    }
}

/// What a throttled server takes at once as a rule, so that it is not overrun by much.
const FIRST: usize = 16 * 1024;

/// With less than this under way another block may go: answers do not keep data waiting.
const LEAST: usize = 4 * 1024;

/// A round trip of 40 ms at a gigabit.
const MOST: usize = 4 * 1024 * 1024;

/// Time in queues that no path has by itself.
const SLOW: Duration = Duration::from_secs(1);

/// Time in queues that costs nobody anything.
const QUICK: Duration = Duration::from_millis(200);

/// How long a slow server is measured before people are told.
const LISTENING: Duration = Duration::from_secs(5);

/// Acknowledgements that come closer than this come together.
const ROUND: Duration = Duration::from_millis(200);

/// Three may be chance.
const ROUNDS: u32 = 4;

/// Bytes per second that people would wonder at. Stock servers allow 3,000 to 10,000.
const NOTEWORTHY: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A server that takes so many bytes per second after a burst, and a client that always has
    /// more: the longest queue in seconds after a while, and the rate that people are told.
    fn run(rate: f64, burst: f64, round_trip: f64, seconds: f64) -> (Pace, f64, Option<u64>) {
        const BLOCK: usize = 8192;
        let start = Instant::now();
        let at = |time: f64| start + Duration::from_secs_f64(time);
        let mut pace = Pace::new();
        let (mut now, mut told, mut longest) = (0.0_f64, None, 0.0_f64);
        // When each block was sent, and when its acknowledgement comes.
        let mut path = VecDeque::new();
        // The server is busy up to then; a bucket that is full lets it lag behind.
        let mut busy = -burst / rate;
        while now < seconds {
            while pace.has_room() {
                pace.handle_sent(BLOCK);
                busy = busy.max(now - burst / rate) + BLOCK as f64 / rate;
                path.push_back((now, busy.max(now) + round_trip));
            }
            let Some((sent, acked)) = path.pop_front() else {
                break;
            };
            now = acked;
            if now > seconds / 2.0 {
                longest = longest.max(acked - sent);
            }
            let delay = Duration::from_secs_f64(acked - sent);
            told = pace.handle_acked(BLOCK, BLOCK, delay, at(now)).or(told);
        }
        (pace, longest, told)
    }

    #[test]
    fn opens_up_where_nothing_is_throttled() {
        for round_trip in [0.001, 0.05, 0.8] {
            let (pace, _, told) = run(1e8, 0.0, round_trip, 60.0);
            assert_eq!(pace.limit, MOST, "{round_trip}");
            assert_eq!(told, None);
        }
    }

    #[test]
    fn keeps_one_block_under_way_at_a_throttled_server() {
        for (rate, burst) in [(3_000.0, 20_000.0), (10_000.0, 20_000.0)] {
            let (pace, longest, _) = run(rate, burst, 0.01, 120.0);
            assert!(pace.limit <= FIRST, "{}", pace.limit);
            assert!(longest < 3.0, "{longest}");
        }
    }

    #[test]
    fn tells_the_rate_of_a_throttled_server() {
        for rate in [3_000.0, 10_000.0, 30_000.0] {
            let (_, _, told) = run(rate, 20_000.0, 0.01, 60.0);
            let told = told.unwrap_or_default() as f64;
            assert!((0.8..1.25).contains(&(told / rate)), "{rate}: {told}");
        }
    }

    #[test]
    fn does_not_grow_unused() {
        let mut pace = Pace::new();
        let now = Instant::now();
        for _ in 0..1000 {
            pace.handle_sent(200);
            assert_eq!(pace.handle_acked(200, 200, QUICK / 2, now), None);
        }
        assert_eq!(pace.limit, FIRST);
    }

    #[test]
    fn a_way_that_was_blocked_for_a_while_is_nothing_to_tell() {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        for _ in 0..3 {
            now += Duration::from_secs(20);
            for _ in 0..50 {
                pace.handle_sent(400);
                let told = pace.handle_acked(400, 400, Duration::from_secs(10), now);
                assert_eq!(told, None);
            }
            now += Duration::from_secs(60);
        }
    }

    #[test]
    fn answers_take_no_room_from_data() {
        let mut pace = Pace::new();
        let now = Instant::now();
        for _ in 0..1000 {
            pace.handle_sent(0);
            pace.handle_acked(200, 0, Duration::from_secs(9), now);
        }
        assert!(pace.has_room());
    }

    #[test]
    fn recovers_when_the_server_does() {
        let (mut pace, ..) = run(3_000.0, 20_000.0, 0.01, 60.0);
        let mut now = Instant::now();
        let quick = Duration::from_millis(10);
        for _ in 0..2000 {
            while pace.has_room() {
                pace.handle_sent(8192);
            }
            now += quick;
            pace.handle_acked(8192, 8192, quick, now);
        }
        assert_eq!(pace.limit, MOST);
    }
}
