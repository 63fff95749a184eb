//! The places for connections: of a tube, of a contact, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xmpp_parsers::jid::Jid;

use crate::announcer::Announcer;
use crate::event::Event;
use crate::limits::{Limit, Limits};

/// The seats of an account; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    pub(crate) limits: Limits,
    announcer: Announcer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Of those who have connections, or had them a moment ago.
    contacts: HashMap<Jid, Weak<Semaphore>>,
    /// When the application was last told of each.
    told: HashMap<Limit, Instant>,
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    _tube: OwnedSemaphorePermit,
    _contact: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

/// A place in a tube that nobody has yet.
#[derive(Debug)]
pub(crate) struct Vacancy(OwnedSemaphorePermit);

/// The seats of one tube.
#[derive(Clone, Debug)]
pub(crate) struct TubeSeats {
    seats: Seats,
    of_tube: Arc<Semaphore>,
}

impl Seats {
    pub(crate) fn new(limits: Limits, announcer: Announcer) -> Self {
        Self {
            limits,
            announcer,
            state: Arc::default(),
        }
    }

    /// Those of a new tube.
    pub(crate) fn of_tube(&self) -> TubeSeats {
        TubeSeats {
            seats: self.clone(),
            of_tube: Arc::new(Semaphore::new(self.limits.connections_per_tube)),
        }
    }

    /// Tells the application that there was no more of something; not again and again, as whoever goes
    /// beyond a limit does so often.
    pub(crate) fn reached(&self, limit: Limit, peer: Option<Jid>) {
        let now = Instant::now();
        let mut state = self.state();
        let before = state.told.get(&limit).copied();
        if before.is_some_and(|before| now.duration_since(before) < RESPITE) {
            return;
        }
        state.told.insert(limit, now);
        drop(state);
        tracing::warn!(%limit, peer = peer.as_ref().map(ToString::to_string), "too many");
        self.announcer.announce(Event::LimitReached { limit, peer });
    }

    fn of_contact(&self, contact: Jid) -> Arc<Semaphore> {
        let mut state = self.state();
        if let Some(seats) = state.contacts.get(&contact).and_then(Weak::upgrade) {
            return seats;
        }
        if state.contacts.len() >= REMEMBERED {
            state.contacts.retain(|_, seats| seats.strong_count() > 0);
        }
        let seats = Arc::new(Semaphore::new(self.limits.connections_per_contact));
        state.contacts.insert(contact, Arc::downgrade(&seats));
        seats
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TubeSeats {
    /// A seat for a connection that a contact, or somebody in a room, asks for.
    pub(crate) fn for_peer(&self, peer: Jid) -> Option<Seat> {
        let Ok(tube) = Arc::clone(&self.of_tube).try_acquire_owned() else {
            self.seats.reached(Limit::ConnectionsPerTube, Some(peer));
            return None;
        };
        let of_contact = self.seats.of_contact(peer.clone());
        let Ok(contact) = of_contact.try_acquire_owned() else {
            self.seats.reached(Limit::ConnectionsPerContact, Some(peer));
            return None;
        };
        let Ok(all) = Arc::clone(&self.seats.limits.connections).try_acquire_owned() else {
            self.seats.reached(Limit::Connections, Some(peer));
            return None;
        };
        Some(Seat {
            _tube: tube,
            _contact: Some(contact),
            _all: all,
        })
    }

    /// A seat for a connection of one's own, if there is one.
    pub(crate) fn for_own(&self) -> Option<Seat> {
        let Ok(tube) = Arc::clone(&self.of_tube).try_acquire_owned() else {
            self.seats.reached(Limit::ConnectionsPerTube, None);
            return None;
        };
        let Ok(all) = Arc::clone(&self.seats.limits.connections).try_acquire_owned() else {
            self.seats.reached(Limit::Connections, None);
            return None;
        };
        Some(Seat {
            _tube: tube,
            _contact: None,
            _all: all,
        })
    }

    /// Waits for a place in the tube: programs wait in the backlog meanwhile. None only if places are
    /// given no more.
    pub(crate) async fn vacancy(&self) -> Option<Vacancy> {
        let of_tube = Arc::clone(&self.of_tube);
        let tube = self.patient(of_tube, Limit::ConnectionsPerTube).await?;
        Some(Vacancy(tube))
    }

    /// Waits for a seat for a program that has come. Those who only listen take none: or tubes that
    /// nobody uses would use up the places of all others.
    pub(crate) async fn seat(&self, Vacancy(tube): Vacancy) -> Option<Seat> {
        let of_all = Arc::clone(&self.seats.limits.connections);
        let all = self.patient(of_all, Limit::Connections).await?;
        Some(Seat {
            _tube: tube,
            _contact: None,
            _all: all,
        })
    }

    async fn patient(&self, seats: Arc<Semaphore>, limit: Limit) -> Option<OwnedSemaphorePermit> {
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            return Some(seat);
        }
        self.seats.reached(limit, None);
        seats.acquire_owned().await.ok()
    }
}

/// How often the application is told of one limit.
const RESPITE: Duration = Duration::from_secs(60);

/// Contacts whose seats are remembered before those who have no connections are forgotten.
const REMEMBERED: usize = 1024;
