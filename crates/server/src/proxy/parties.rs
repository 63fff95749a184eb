//! The connections to a proxy that wait for each other, and for activation.
//!
//! ```text
//!   join ──► Alone ──► join ──► Complete ──► activate ──► Active ──► dismiss
//! ```
//!
//! The sockets stay with the tasks that serve them; what is kept here is how to reach those.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpStream, sync::oneshot};

use super::{ActivationError, socks5::Hash};

/// The bytestreams that somebody has connected for.
///
/// There are no more of them than there are connections, whose number has a bound.
#[derive(Debug, Default)]
pub(super) struct Parties(Mutex<BTreeMap<Hash, Party>>);

impl Parties {
    /// Adds a connection, unless there are two already. What it has to do comes later; when the
    /// party is dismissed, it never comes.
    pub(super) fn join(&self, hash: &Hash) -> Option<oneshot::Receiver<Order>> {
        let (order, ordered) = oneshot::channel();
        let mut parties = self.parties();
        let party = match parties.remove(hash) {
            None => Party::Alone(order),
            Some(Party::Alone(first)) => Party::Complete(first, order),
            Some(full) => {
                parties.insert(hash.clone(), full);
                return None;
            }
        };
        parties.insert(hash.clone(), party);
        Some(ordered)
    }

    /// Lets one of the two connections hand its socket over, and the other one relay.
    pub(super) fn activate(&self, hash: &Hash) -> Result<(), ActivationError> {
        let mut parties = self.parties();
        let party = parties.get_mut(hash).ok_or(ActivationError::Incomplete)?;
        let (first, second) = match std::mem::replace(party, Party::Active) {
            Party::Complete(first, second) => (first, second),
            Party::Active => return Err(ActivationError::Active),
            alone @ Party::Alone(_) => {
                *party = alone;
                return Err(ActivationError::Incomplete);
            }
        };
        let (hand_over, taken) = oneshot::channel();
        // One that has just given up dismisses the party itself.
        let told = first.send(Order::Relay(taken)).is_ok()
            && second.send(Order::HandOver(hand_over)).is_ok();
        told.then_some(()).ok_or(ActivationError::Incomplete)
    }

    /// Forgets a bytestream: it has ended, or one of its connections will not wait any longer.
    pub(super) fn dismiss(&self, hash: &Hash) {
        self.parties().remove(hash);
    }

    fn parties(&self) -> MutexGuard<'_, BTreeMap<Hash, Party>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection has to do once its bytestream is active.
#[derive(Debug)]
pub(super) enum Order {
    /// Hand the socket over.
    HandOver(oneshot::Sender<TcpStream>),
    /// Relay to and from the socket that comes.
    Relay(oneshot::Receiver<TcpStream>),
}

#[derive(Debug)]
enum Party {
    Alone(oneshot::Sender<Order>),
    Complete(oneshot::Sender<Order>, oneshot::Sender<Order>),
    Active,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn hash() -> Hash {
        let jid = "alice@tubes.test/a".parse().unwrap();
        Hash::of("sid", &jid, &jid)
    }

    #[test]
    fn a_third_finds_no_place_whether_active_or_not() {
        let parties = Parties::default();
        let _two = [
            parties.join(&hash()).unwrap(),
            parties.join(&hash()).unwrap(),
        ];
        assert!(parties.join(&hash()).is_none());
        parties.activate(&hash()).unwrap();
        assert!(parties.join(&hash()).is_none());
        parties.dismiss(&hash());
        assert!(parties.join(&hash()).is_some());
    }

    #[test]
    fn one_relays_what_the_other_hands_over() {
        let parties = Parties::default();
        let [mut one, mut other] = [
            parties.join(&hash()).unwrap(),
            parties.join(&hash()).unwrap(),
        ];
        parties.activate(&hash()).unwrap();
        assert!(matches!(one.try_recv(), Ok(Order::Relay(_))));
        assert!(matches!(other.try_recv(), Ok(Order::HandOver(_))));
    }

    #[test]
    fn only_two_that_wait_are_activated_and_only_once() {
        let parties = Parties::default();
        assert_eq!(parties.activate(&hash()), Err(ActivationError::Incomplete));
        let _one = parties.join(&hash()).unwrap();
        assert_eq!(parties.activate(&hash()), Err(ActivationError::Incomplete));
        let _other = parties.join(&hash()).unwrap();
        assert_eq!(parties.activate(&hash()), Ok(()));
        assert_eq!(parties.activate(&hash()), Err(ActivationError::Active));
    }

    #[test]
    fn who_gave_up_is_not_activated() {
        let parties = Parties::default();
        let _one = parties.join(&hash()).unwrap();
        drop(parties.join(&hash()).unwrap());
        assert_eq!(parties.activate(&hash()), Err(ActivationError::Incomplete));
    }

    #[test]
    fn the_other_one_learns_that_the_party_was_dismissed() {
        let parties = Parties::default();
        let mut one = parties.join(&hash()).unwrap();
        parties.dismiss(&hash());
        assert!(matches!(
            one.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
    }
}
