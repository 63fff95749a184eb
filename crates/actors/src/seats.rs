//! The places for connections: of a tube, of a contact, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xmpp_parsers::jid::Jid;

use crate::limits::{Limit, Limits};
use crate::notices::Notices;

/// The seats of an account; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    pub(crate) limits: Limits,
    notices: Notices,
    /// For tubes that others offer in rooms.
    in_rooms: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Of those who have connections, or had them a moment ago.
    contacts: HashMap<Jid, Weak<Semaphore>>,
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

/// The place of a tube that somebody offers in a room; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _in_rooms: OwnedSemaphorePermit,
}

/// The seats of one tube.
#[derive(Clone, Debug)]
pub(crate) struct TubeSeats {
    seats: Seats,
    of_tube: Arc<Semaphore>,
}

impl Seats {
    pub(crate) fn new(limits: Limits, notices: Notices) -> Self {
        let in_rooms = limits.invitations.min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            notices,
            in_rooms: Arc::new(Semaphore::new(in_rooms)),
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

    /// A place for a tube that is offered in a room, if there is one, and nobody waits for it.
    pub(crate) fn place(&self) -> Option<Place> {
        let _in_rooms = Arc::clone(&self.in_rooms).try_acquire_owned().ok()?;
        Some(Place { _in_rooms })
    }

    /// Waits for such a place; rooms have them in turn. None only if places are given no more.
    pub(crate) fn next_place(&self) -> impl Future<Output = Option<Place>> + 'static {
        let next = Arc::clone(&self.in_rooms).acquire_owned();
        async move {
            let _in_rooms = next.await.ok()?;
            Some(Place { _in_rooms })
        }
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
            self.seats
                .notices
                .reached(Limit::ConnectionsPerTube, Some(peer));
            return None;
        };
        let of_contact = self.seats.of_contact(peer.clone());
        let Ok(contact) = of_contact.try_acquire_owned() else {
            self.seats
                .notices
                .reached(Limit::ConnectionsPerContact, Some(peer));
            return None;
        };
        let Ok(all) = Arc::clone(&self.seats.limits.connections).try_acquire_owned() else {
            self.seats.notices.reached(Limit::Connections, Some(peer));
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
            self.seats.notices.reached(Limit::ConnectionsPerTube, None);
            return None;
        };
        let Ok(all) = Arc::clone(&self.seats.limits.connections).try_acquire_owned() else {
            self.seats.notices.reached(Limit::Connections, None);
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
        self.seats.notices.reached(limit, None);
        seats.acquire_owned().await.ok()
    }
}

/// Contacts whose seats are remembered before those who have no connections are forgotten.
const REMEMBERED: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::announcer::Announcer;

    fn of(limits: Limits) -> Seats {
        let (announcer, _) = Announcer::new();
        Seats::new(limits, Notices::new(announcer))
    }

    /// Or tubes that nobody uses would use up the places of all others.
    #[tokio::test]
    async fn a_tube_that_only_listens_takes_no_place_of_all() {
        let seats = of(Limits::new().with_connections(1));
        let (one, other) = (seats.of_tube(), seats.of_tube());
        let waiting = one.vacancy().await.unwrap();
        let vacancy = other.vacancy().await.unwrap();
        let seat = other.seat(vacancy).await.unwrap();
        assert_eq!(seats.limits.connections.available_permits(), 0);
        drop(seat);
        assert!(one.seat(waiting).await.is_some());
    }

    #[tokio::test]
    async fn a_tube_listens_as_long_as_it_has_places_itself() {
        let seats = of(Limits::new().with_connections_per_tube(1)).of_tube();
        let vacancy = seats.vacancy().await.unwrap();
        let seat = seats.seat(vacancy).await.unwrap();
        assert!(seats.of_tube.try_acquire().is_err());
        drop(seat);
        assert!(seats.vacancy().await.is_some());
    }

    #[tokio::test]
    async fn places_in_rooms_go_to_who_waits_before_who_comes() {
        let seats = of(Limits::new().with_invitations(1));
        let first = seats.place().unwrap();
        let mut next = pin!(seats.next_place());
        let context = &mut Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(context).is_pending());
        drop(first);
        assert!(seats.place().is_none());
        let second = next.await.unwrap();
        drop(second);
        assert!(seats.place().is_some());
    }

    #[test]
    fn any_number_may_be_a_limit() {
        of(Limits::new().with_invitations(usize::MAX));
    }
}
