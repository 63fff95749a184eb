//! What is offered in a room beyond what its board has places for.

use std::collections::{BTreeMap, BTreeSet};

use crate::room::Occupant;
use crate::tube::{TubeNumber, TubeOffer};

/// Offers that wait for a place; of bounded size, whoever offers how much.
///
/// Whose offers have the fewest places is the next to have one. When more is said than is kept, whoever
/// has most waiting loses it: nobody pushes out who says little.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    turns: BTreeMap<Occupant, Turn>,
    /// By whose turn it is: those who have the fewest places, and among them who waits longest.
    order: BTreeSet<(usize, u64, Occupant)>,
    /// By how much of it is kept.
    sizes: BTreeSet<(usize, Occupant)>,
    /// Bytes of all that waits.
    size: usize,
    /// How many have come to wait so far.
    count: u64,
}

/// What waits of one occupant; never nothing.
#[derive(Clone, Debug)]
struct Turn {
    offers: BTreeMap<TubeNumber, TubeOffer>,
    /// The places that it has already.
    places: usize,
    since: u64,
    size: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether anything of this occupant waits.
    pub(super) fn has(&self, occupant: &str) -> bool {
        self.turns.contains_key(occupant)
    }

    /// These, and no others, wait of an occupant that has so many places.
    pub(super) fn set(
        &mut self,
        occupant: &str,
        places: usize,
        offers: impl IntoIterator<Item = TubeOffer>,
    ) {
        let since = self.take(occupant).map(|turn| turn.since);
        let mut turn = Turn::new(since.unwrap_or_else(|| self.next_number()), places);
        offers.into_iter().for_each(|offer| turn.add(offer));
        self.put(occupant.to_owned(), turn);
    }

    /// This one had its turn, and there was no place after all: of those who have as few places as its
    /// occupant, that is the next.
    pub(super) fn put_back(&mut self, occupant: &str, places: usize, offer: TubeOffer) {
        let mut turn = self.take(occupant).unwrap_or_else(|| Turn::new(0, places));
        turn.since = 0;
        turn.places = places;
        turn.add(offer);
        self.put(occupant.to_owned(), turn);
    }

    /// Nothing waits of this occupant any more.
    pub(super) fn remove(&mut self, occupant: &str) {
        self.take(occupant);
    }

    /// An occupant goes by another name, under which nobody waits any more.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let turn = self.take(from);
        self.take(to);
        if let Some(turn) = turn {
            self.put(to.to_owned(), turn);
        }
    }

    /// There is a place: whose offer has it.
    pub(super) fn next(&mut self) -> Option<(Occupant, TubeOffer)> {
        let (.., occupant) = self.order.first()?.clone();
        let mut turn = self.take(&occupant)?;
        let first = turn.offers.keys().next().copied();
        let offer = first.and_then(|number| turn.remove(number));
        turn.places += 1;
        self.put(occupant.clone(), turn);
        Some((occupant, offer?))
    }

    /// Keeps within the bound what waits.
    pub(super) fn shed(&mut self) {
        while self.size > BYTES
            && let Some((_, occupant)) = self.sizes.last().cloned()
            && let Some(mut turn) = self.take(&occupant)
        {
            let last = turn.offers.keys().next_back().copied();
            last.and_then(|number| turn.remove(number));
            self.put(occupant, turn);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn take(&mut self, occupant: &str) -> Option<Turn> {
        let (occupant, turn) = self.turns.remove_entry(occupant)?;
        self.size -= turn.size;
        self.sizes.remove(&(turn.size, occupant.clone()));
        self.order.remove(&(turn.places, turn.since, occupant));
        Some(turn)
    }

    fn put(&mut self, occupant: Occupant, turn: Turn) {
        if turn.offers.is_empty() {
            return;
        }
        self.size += turn.size;
        self.sizes.insert((turn.size, occupant.clone()));
        self.order
            .insert((turn.places, turn.since, occupant.clone()));
        self.turns.insert(occupant, turn);
    }
}

impl Turn {
    fn new(since: u64, places: usize) -> Self {
        Self {
            offers: BTreeMap::new(),
            places,
            since,
            size: 0,
        }
    }

    fn add(&mut self, offer: TubeOffer) {
        self.size += size(&offer);
        if let Some(before) = self.offers.insert(offer.number(), offer) {
            self.size -= size(&before);
        }
    }

    fn remove(&mut self, number: TubeNumber) -> Option<TubeOffer> {
        let offer = self.offers.remove(&number)?;
        self.size -= size(&offer);
        Some(offer)
    }
}

/// How much memory it takes, about.
fn size(offer: &TubeOffer) -> usize {
    let parameters = offer.parameters();
    FRAME * (1 + parameters.len()) + offer.service().len() + parameters.size()
}

/// Bytes of the offers that wait in a room: a kibibyte for each of the occupants that are followed, and
/// that is as much as our own kind says of one.
const BYTES: usize = 4 * 1024 * 1024;

/// Bytes that an offer takes beside what it says, and each of its parameters.
const FRAME: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::tube::{Parameters, Value};

    fn offer(number: u32, bytes: usize) -> TubeOffer {
        let mut parameters = Parameters::default();
        if bytes > 0 {
            parameters
                .insert("k", Value::Str("v".repeat(bytes)))
                .unwrap();
        }
        let number = TubeNumber::new(number).unwrap();
        TubeOffer::new(number, "x-echo", parameters).unwrap()
    }

    fn next_of(queue: &mut Queue) -> Vec<(Occupant, u32)> {
        let next = std::iter::from_fn(|| queue.next());
        next.map(|(occupant, offer)| (occupant, offer.number().value()))
            .collect()
    }

    #[test]
    fn who_has_the_fewest_places_is_next() {
        let mut queue = Queue::default();
        queue.set("greedy", 3, (1..4).map(|number| offer(number, 0)));
        queue.set("late", 0, [offer(1, 0), offer(2, 0)]);
        queue.set("later", 0, [offer(1, 0)]);
        let next = next_of(&mut queue);
        let next: Vec<_> = next.iter().map(|(who, number)| (&**who, *number)).collect();
        let expected = [("late", 1), ("later", 1), ("late", 2)];
        assert_eq!(next[..3], expected);
        assert!(next[3..].iter().all(|(who, _)| *who == "greedy"));
        assert!(queue.is_empty());
        assert_eq!(queue.size, 0);
    }

    #[test]
    fn whoever_says_most_pushes_out_itself() {
        let mut queue = Queue::default();
        queue.set("modest", 0, [offer(1, 700)]);
        for occupant in 0..200 {
            let much = (1..=32).map(|number| offer(number, 60_000));
            queue.set(&format!("greedy {occupant}"), 0, much);
            queue.shed();
            assert!(queue.size <= BYTES);
        }
        assert!(queue.has("modest"));
    }

    #[test]
    fn each_occupant_that_is_followed_has_its_share() {
        let mut queue = Queue::default();
        for occupant in 0..4096 {
            let of = (1..=32).map(|number| offer(number, 700));
            queue.set(&occupant.to_string(), 32, of);
            queue.shed();
        }
        assert!((0..4096).all(|occupant| queue.has(&occupant.to_string())));
    }

    proptest! {
        /// What is counted is what is there, whatever was done.
        #[test]
        fn all_counts_are_right(
            doings in vec((0..5_u8, 0..4_u8, 0..4_usize, 1..40_u32, 0..4000_usize), 0..60),
        ) {
            let mut queue = Queue::default();
            for (what, who, places, number, bytes) in doings {
                let who = who.to_string();
                match what {
                    0 => queue.set(&who, places, (1..=32).map(|number| offer(number, bytes * 8))),
                    1 => queue.put_back(&who, places, offer(number, bytes)),
                    2 => queue.remove(&who),
                    3 => queue.rename(&who, &places.to_string()),
                    _ => drop(queue.next()),
                }
                queue.shed();
                prop_assert!(queue.size <= BYTES);
                let turns = queue.turns.values();
                let sizes = turns.clone().map(|turn| turn.offers.values().map(size).sum::<usize>());
                prop_assert_eq!(sizes.sum::<usize>(), queue.size);
                prop_assert!(turns.clone().all(|turn| !turn.offers.is_empty()));
                prop_assert_eq!(queue.order.len(), turns.len());
                prop_assert_eq!(queue.sizes.len(), turns.len());
            }
        }
    }
}
