//! Events that others can provoke as often as they like: each at most once a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::Jid;

use crate::announcer::Announcer;
use crate::disregarded::Disregarded;
use crate::event::Event;
use crate::limits::Limit;

/// What the application was told of a moment ago; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    announcer: Announcer,
    told: Arc<Mutex<Told>>,
}

impl Notices {
    pub(crate) fn new(announcer: Announcer) -> Self {
        Self {
            announcer,
            told: Arc::default(),
        }
    }

    /// Tells the application that there was no more of something.
    pub(crate) fn reached(&self, limit: Limit, peer: Option<Jid>) {
        if self.is_news(Topic::Reached(limit), peer.as_ref()) {
            tracing::warn!(%limit, peer = peer.as_ref().map(ToString::to_string), "too many");
            self.announcer.announce(Event::LimitReached { limit, peer });
        }
    }

    /// Tells the application that nothing follows from what somebody said.
    pub(crate) fn disregarded(&self, what: Disregarded, peer: Jid) {
        if self.is_news(Topic::Disregarded(what), Some(&peer)) {
            tracing::debug!(%what, %peer, "disregarded");
            self.announcer.announce(Event::Disregarded { what, peer });
        }
    }

    fn is_news(&self, topic: Topic, peer: Option<&Jid>) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.note(topic, peer, Instant::now())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Disregarded(Disregarded),
    Reached(Limit),
}

/// What the application was told of each topic a moment ago.
#[derive(Debug, Default)]
struct Told(HashMap<Topic, Vec<Word>>);

#[derive(Debug)]
struct Word {
    of: Option<Jid>,
    /// Its own, or one that it shares with whoever is one too many.
    place: Option<Jid>,
    at: Instant,
}

impl Told {
    /// Whether it is to be told now.
    fn note(&mut self, topic: Topic, peer: Option<&Jid>, now: Instant) -> bool {
        let words = self.0.entry(topic).or_default();
        words.retain(|word| now.saturating_duration_since(word.at) < RESPITE);
        let place = crowd(words, peer).unwrap_or_else(|| peer.cloned());
        let is_told = |word: &Word| word.of.as_ref() == peer || word.place == place;
        if words.iter().any(is_told) {
            return false;
        }
        let of = peer.cloned();
        words.push(Word { of, place, at: now });
        true
    }
}

/// The place of those among whom a peer is one too many: those of its room, or all.
fn crowd(words: &[Word], peer: Option<&Jid>) -> Option<Option<Jid>> {
    if words.len() >= PEERS {
        return Some(None);
    }
    // Somebody has as many names in a room as it likes.
    let room = peer.filter(|peer| peer.is_full())?.to_bare();
    let is_there = |place: &Jid| place.is_full() && place.to_bare() == room;
    let of_room = words.iter().filter_map(|word| word.place.as_ref());
    let of_room = of_room.filter(|place| is_there(place));
    (of_room.count() >= OCCUPANTS).then(|| Some(room.into()))
}

/// How often the application is told of one topic and one peer.
const RESPITE: Duration = Duration::from_secs(60);

/// Peers of whom the application is told in that time, for each topic: enough to see who it is, and no
/// flood of events where somebody has many names.
const PEERS: usize = 16;

/// Of them, occupants of one room that are told one by one; the rest of the room has a place more.
const OCCUPANTS: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn each_is_told_of_once_in_a_while() {
        let mut told = Told::default();
        let now = Instant::now();
        let jid = |name: &str| -> Jid { format!("{name}@example.org").parse().unwrap() };
        let (alice, fernand) = (jid("alice"), jid("fernand"));
        assert!(told.note(Topic::Reached(Limit::Unread), Some(&alice), now));
        assert!(!told.note(Topic::Reached(Limit::Unread), Some(&alice), now));
        assert!(told.note(Topic::Reached(Limit::Unread), Some(&fernand), now));
        assert!(told.note(Topic::Reached(Limit::Answers), Some(&alice), now));
        assert!(told.note(Topic::Disregarded(Disregarded::Answer), Some(&alice), now));
        assert!(told.note(Topic::Reached(Limit::Unread), None, now));
        assert!(!told.note(Topic::Reached(Limit::Unread), None, now));
        let later = now + RESPITE;
        assert!(told.note(Topic::Reached(Limit::Unread), Some(&alice), later));
        // What is over is forgotten.
        assert_eq!(told.0[&Topic::Reached(Limit::Unread)].len(), 1);
    }

    #[test]
    fn whoever_has_many_names_is_told_of_a_few_times() {
        let mut told = Told::default();
        let now = Instant::now();
        let mut heard = 0;
        for number in 0..10_000 {
            let peer = format!("hall@rooms.example.org/{number}").parse().unwrap();
            heard += usize::from(told.note(Topic::Reached(Limit::Unread), Some(&peer), now));
        }
        assert_eq!(heard, OCCUPANTS + 1);
        let mut heard = 0;
        for number in 0..10_000 {
            let peer = format!("{number}@example.org").parse().unwrap();
            heard += usize::from(told.note(Topic::Reached(Limit::Unread), Some(&peer), now));
            heard -= usize::from(told.note(Topic::Reached(Limit::Unread), Some(&peer), now));
        }
        // The room has taken its places; and the rest of all share one.
        assert_eq!(heard, PEERS - (OCCUPANTS + 1) + 1);
        assert_eq!(told.0[&Topic::Reached(Limit::Unread)].len(), PEERS + 1);
        assert!(told.note(Topic::Reached(Limit::Answers), None, now));
    }

    #[test]
    fn who_was_one_too_many_is_not_told_of_again_when_there_is_room() {
        let now = Instant::now();
        let (soon, later) = (now + RESPITE * 3 / 4, now + RESPITE);
        for (places, name) in [(OCCUPANTS, "hall@rooms.example.org/"), (PEERS, "example.")] {
            let mut told = Told::default();
            let mut note = |number: usize, now| {
                let peer = format!("{name}{number}").parse().unwrap();
                told.note(Topic::Reached(Limit::Unread), Some(&peer), now)
            };
            for number in 0..places {
                assert!(note(number, now));
            }
            assert!(note(places, soon));
            assert!(!note(places + 1, soon));
            assert!(!note(places, later));
            assert!(note(0, later));
            assert!(note(places, soon + RESPITE));
        }
    }
}
