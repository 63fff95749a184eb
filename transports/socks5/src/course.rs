//! Which host is dialled when: the responder's policy, without I/O.

use std::time::{Duration, Instant};

use tubes_transport::Kind;

use crate::Way;

/// The order in which the hosts of a query are dialled.
///
/// Towards our own kind they race: each starts a moment after the one before, or as soon as that
/// one failed; proxies let the direct hosts go ahead. Towards others they are strictly taken in
/// turn: a Gabble's addresses all lead to one listener, and a second connection to that aborts the
/// whole program. For the same reason its other addresses are left alone once one of them was
/// reached in vain.
#[derive(Clone, Debug)]
pub struct Course {
    kind: Kind,
    legs: Vec<Leg>,
    begun: Instant,
    deadline: Instant,
    /// When the latest host was dialled that no failure has followed yet.
    latest: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Leg {
    way: Way,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Dialling,
    Over,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Dial this host; it has so long to take the connection.
    Dial {
        /// Its place in the query.
        host: usize,
        /// How long connecting may take. The handshake may take the rest of the time.
        within: Duration,
    },
    /// Wait for what is being dialled, at the most until then, and ask again.
    Wait(Option<Instant>),
    /// Nothing is left to try.
    Exhausted,
}

/// How far a host was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Not at all: no connection came about.
    Nothing,
    /// A connection came about, but no handshake.
    Listener,
}

impl Course {
    /// A course to these hosts that may take until `deadline`.
    pub fn new(
        kind: Kind,
        hosts: impl IntoIterator<Item = Way>,
        begun: Instant,
        deadline: Instant,
    ) -> Self {
        let leg = |way| Leg {
            way,
            state: State::Waiting,
        };
        Self {
            kind,
            legs: hosts.into_iter().map(leg).collect(),
            begun,
            deadline,
            latest: None,
        }
    }

    /// What to do now.
    pub fn poll(&mut self, now: Instant) -> Next {
        let Some(host) = self.next() else {
            return match self.is_dialling() {
                true => Next::Wait(None),
                false => Next::Exhausted,
            };
        };
        match self.due(host) {
            Some(due) if due > now => Next::Wait(Some(due)),
            Some(_) => Next::Dial {
                host,
                within: self.start(host, now),
            },
            None => Next::Wait(None),
        }
    }

    /// A host was dialled in vain.
    pub fn handle_failed(&mut self, host: usize, reached: Reached) {
        let Some(leg) = self.legs.get_mut(host) else {
            return;
        };
        leg.state = State::Over;
        let way = leg.way;
        self.latest = None;
        if self.kind == Kind::Other && way == Way::Direct && reached == Reached::Listener {
            let same = self.legs.iter_mut().filter(|leg| leg.way == Way::Direct);
            same.for_each(|leg| leg.state = State::Over);
        }
    }

    /// The host to be dialled next: the direct ones come first, whatever the query's order.
    fn next(&self) -> Option<usize> {
        let waiting = |way| {
            let mut legs = self.legs.iter();
            legs.position(|leg| leg.way == way && leg.state == State::Waiting)
        };
        match self.kind {
            Kind::Ours => waiting(Way::Direct).or_else(|| waiting(Way::Proxy)),
            Kind::Other => self.legs.iter().position(|leg| leg.state == State::Waiting),
        }
    }

    /// When a host may be dialled; none as long as that depends on others.
    fn due(&self, host: usize) -> Option<Instant> {
        if self.kind == Kind::Other {
            return (!self.is_dialling()).then_some(self.begun);
        }
        let staggered = match self.latest {
            Some(latest) => latest + STAGGER,
            None => self.begun,
        };
        let way = self.legs.get(host).map(|leg| leg.way);
        let direct_is_open = self
            .legs
            .iter()
            .any(|leg| leg.way == Way::Direct && leg.state != State::Over);
        match way {
            Some(Way::Proxy) if direct_is_open => Some(staggered.max(self.begun + HEAD_START)),
            _ => Some(staggered),
        }
    }

    fn start(&mut self, host: usize, now: Instant) -> Duration {
        let left = self.deadline.saturating_duration_since(now);
        let waiting = self.legs.iter().filter(|leg| leg.state == State::Waiting);
        let shares = u32::try_from(waiting.count()).unwrap_or(u32::MAX).max(1);
        if let Some(leg) = self.legs.get_mut(host) {
            leg.state = State::Dialling;
        }
        self.latest = Some(now);
        match self.kind {
            // The others do not wait for it.
            Kind::Ours => left,
            Kind::Other => (left / shares).clamp(SHORTEST, LONGEST).min(left),
        }
    }

    fn is_dialling(&self) -> bool {
        self.legs.iter().any(|leg| leg.state == State::Dialling)
    }
}

/// From one host to the next, as long as none has failed (RFC 8305 §5 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(200);

/// Before a proxy is dialled while direct hosts may still answer: a direct connection is worth
/// waiting for, since a proxy costs whoever runs it.
const HEAD_START: Duration = Duration::from_millis(1200);

/// For one host to take a connection while the others wait; one that takes longer is not worth it.
const LONGEST: Duration = Duration::from_secs(2);

/// For one host to take a connection, however many there are: a round trip around the world.
const SHORTEST: Duration = Duration::from_millis(600);
