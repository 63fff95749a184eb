//! How many blocks may be under way unacknowledged.

use std::time::Duration;

/// A window that follows the acknowledgements' round trip.
///
/// It grows while they come back as fast as they ever did, and shrinks when they take longer:
/// then the blocks stand in a queue, at the server or at the receiver, and a deeper window would
/// only make everything else on the session wait. (Prosody 0.12 moreover collapses under deep
/// pipelines, and throttled servers delay all that follows.)
#[derive(Debug)]
pub(crate) struct Window {
    size: usize,
    largest: usize,
    in_flight: usize,
    base: Option<Duration>,
    pace: Pace,
}

impl Window {
    pub(crate) fn new(largest: usize) -> Self {
        let largest = largest.max(1);
        Self {
            size: FIRST.min(largest),
            largest,
            in_flight: 0,
            base: None,
            pace: Pace::Opening,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.size
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn handle_sent(&mut self) {
        self.in_flight += 1;
    }

    /// A block was acknowledged this long after it was sent.
    pub(crate) fn handle_acked(&mut self, round_trip: Duration) {
        let was_full = self.in_flight >= self.size;
        self.in_flight = self.in_flight.saturating_sub(1);
        // A lone block stood in no queue of ours: its round trip is the path's, whatever the
        // path was before.
        let base = match self.base {
            Some(base) if self.size > 1 => base.min(round_trip),
            _ => round_trip,
        };
        self.base = Some(base);
        if round_trip > (base * 3 / 2).max(base + JITTER) {
            self.handle_rise(round_trip > base * 3);
        } else {
            self.handle_flat(was_full);
        }
    }

    /// So many blocks arrived whose acknowledgements were lost. Nothing is learnt of the path.
    pub(crate) fn handle_missed(&mut self, blocks: usize) {
        self.in_flight = self.in_flight.saturating_sub(blocks);
    }

    fn handle_rise(&mut self, steep: bool) {
        if let Pace::Settling { rest } = &mut self.pace {
            *rest = rest.saturating_sub(1);
            if *rest == 0 {
                self.pace = Pace::Steady { flat: 0 };
            }
            return;
        }
        // What is under way was sent into the wider window and says nothing of the new one.
        self.pace = Pace::Settling {
            rest: self.in_flight.max(1),
        };
        self.size = if steep { self.size / 2 } else { self.size - 1 }.max(1);
    }

    fn handle_flat(&mut self, was_full: bool) {
        match &mut self.pace {
            // Nothing is learnt of a window that was not used.
            Pace::Opening | Pace::Steady { .. } if !was_full => {}
            Pace::Opening => self.size = (self.size + 1).min(self.largest),
            Pace::Settling { .. } => self.pace = Pace::Steady { flat: 0 },
            Pace::Steady { flat } => {
                *flat += 1;
                if *flat >= self.size.max(PATIENCE) {
                    *flat = 0;
                    self.size = (self.size + 1).min(self.largest);
                }
            }
        }
    }
}

/// How fast the window changes.
#[derive(Debug)]
enum Pace {
    /// Nothing has ever risen: a block more for each acknowledgement.
    Opening,
    /// It just shrank; the next acknowledgements are of older blocks.
    Settling { rest: usize },
    /// A block more for many flat acknowledgements.
    Steady { flat: usize },
}

/// Enough to keep a path of one server busy while nothing is known of it.
const FIRST: usize = 2;

/// Flat acknowledgements before a window that once rose grows again.
const PATIENCE: usize = 16;

/// On a fast path the scheduler alone varies round trips of 0.1 ms by more than half. Below the
/// millisecond that Prosody pauses for when pipelined too deeply.
const JITTER: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const FLAT: Duration = Duration::from_millis(10);

    /// A path that answers in order: every block's round trip is drawn when it is sent, from the
    /// number of blocks under way with it.
    fn run(window: &mut Window, acks: usize, round_trip: impl Fn(u32) -> Duration) {
        let mut path = VecDeque::new();
        for _ in 0..acks {
            while window.has_room() {
                window.handle_sent();
                path.push_back(round_trip(window.in_flight() as u32));
            }
            window.handle_acked(path.pop_front().unwrap_or_default());
        }
        for round_trip in path {
            window.handle_acked(round_trip);
        }
    }

    #[test]
    fn opens_to_its_largest_while_the_round_trip_is_flat() {
        let mut window = Window::new(16);
        assert_eq!(window.size, 2);
        run(&mut window, 14, |_| FLAT);
        assert_eq!(window.size, 16);
        run(&mut window, 100, |_| FLAT);
        assert_eq!(window.size, 16);
    }

    #[test]
    fn stays_small_where_every_block_waits_for_the_one_before() {
        let mut window = Window::new(16);
        // A throttled server: the time is the queue's length.
        run(&mut window, 1000, |queued| FLAT * queued);
        assert!(window.size <= 2, "{}", window.size);
    }

    #[test]
    fn does_not_grow_unused() {
        let mut window = Window::new(16);
        for _ in 0..100 {
            window.handle_sent();
            window.handle_acked(FLAT);
        }
        assert_eq!(window.size, 2);
    }

    #[test]
    fn recovers_after_one_slow_answer() {
        let mut window = Window::new(16);
        run(&mut window, 20, |_| FLAT);
        window.handle_sent();
        window.handle_acked(FLAT * 100);
        assert_eq!(window.size, 8);
        run(&mut window, 500, |_| FLAT);
        assert_eq!(window.size, 16);
    }

    #[test]
    fn learns_a_path_that_became_slower_for_good() {
        let mut window = Window::new(16);
        run(&mut window, 20, |_| FLAT);
        run(&mut window, 1000, |_| FLAT * 4);
        assert!(window.size > 8, "{}", window.size);
    }
}
