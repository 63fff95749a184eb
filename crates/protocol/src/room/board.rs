//! What is offered in a room, as it follows from the presences of its occupants.

use std::collections::BTreeMap;

use crate::room::queue::Queue;
use crate::room::{Listing, Occupant};
use crate::tube::{TubeNumber, TubeOffer};

/// The tubes that others offer in a room; pure, and one per room.
///
/// Each occupant speaks for itself: the number of a tube opens nothing but together with its occupant.
///
/// What does not fit waits, and is offered when there is a place for it, without anybody saying it again.
/// Whoever follows the board may have fewer places than it has: an offer that it has none for it
/// [refuses](Self::handle_refused), and says when [it has one](Self::handle_vacancy).
#[derive(Clone, Debug)]
pub struct Board {
    listings: BTreeMap<Occupant, Listing>,
    /// Tubes in all of them.
    size: usize,
    /// Tubes that there are places for, as far as it is known. All are taken while something waits.
    places: usize,
    waiting: Queue,
}

/// What became of a tube.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An occupant offers it, and it is open at once.
    Offered {
        /// Who.
        occupant: Occupant,
        /// What.
        offer: TubeOffer,
    },
    /// The occupant goes by another name from now on; its tubes stay.
    Renamed {
        /// The former name.
        from: Occupant,
        /// The present one.
        to: Occupant,
    },
    /// Its occupant has withdrawn it, or has left with it.
    Withdrawn {
        /// Whose it was.
        occupant: Occupant,
        /// Which.
        number: TubeNumber,
    },
}

impl Board {
    /// A board on which nothing stands.
    pub fn new() -> Self {
        Self {
            listings: BTreeMap::new(),
            size: 0,
            places: TUBES,
            waiting: Queue::default(),
        }
    }

    /// What this occupant offers at this moment, and has places for.
    pub fn offered_by(&self, occupant: &str) -> Option<&Listing> {
        self.listings.get(occupant)
    }

    /// Whether something that this occupant offers waits for a place.
    pub fn keeps_waiting(&self, occupant: &str) -> bool {
        self.waiting.has(occupant)
    }

    /// Whether something waits that the board would have a place for.
    pub fn wants_place(&self) -> bool {
        !self.waiting.is_empty() && self.size < TUBES
    }

    /// An occupant is there, and says this of its tubes. A presence that says nothing of them changes
    /// nothing.
    pub fn handle_presence(&mut self, occupant: &str, listing: Option<Listing>) -> Vec<Change> {
        let Some(listing) = listing else {
            return Vec::new();
        };
        let before = self.take(occupant);
        // A number that stands for something else now is another tube.
        let gone = before.offers().iter();
        let gone = gone.filter(|(number, offer)| listing.offers().get(number) != Some(offer));
        let mut changes: Vec<_> = gone
            .map(|(number, _)| withdrawn(occupant, *number))
            .collect();
        let offers = listing.offers().values().cloned();
        let (standing, others): (Vec<_>, Vec<_>) =
            offers.partition(|offer| before.offers().get(&offer.number()) == Some(offer));
        self.waiting.set(occupant, standing.len(), others);
        self.put(occupant.to_owned(), Listing::new(standing));
        changes.extend(self.fill());
        changes
    }

    /// An occupant has left, by its own will or not, and its tubes with it. (Gabble forgets that.)
    pub fn handle_left(&mut self, occupant: &str) -> Vec<Change> {
        self.waiting.remove(occupant);
        let before = self.take(occupant);
        let mut changes = all_withdrawn(occupant, &before);
        changes.extend(self.fill());
        changes
    }

    /// An occupant goes by another name.
    pub fn handle_renamed(&mut self, from: &str, to: &str) -> Vec<Change> {
        let listing = self.take(from);
        self.waiting.rename(from, to);
        // Whoever had that name is gone, or the room would not give it to another one.
        let former = self.take(to);
        let mut changes = all_withdrawn(to, &former);
        if !listing.offers().is_empty() {
            self.put(to.to_owned(), listing);
            changes.push(Change::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        changes.extend(self.fill());
        changes
    }

    /// Everybody is about to leave at once, as the room or the session is lost: nothing that waits comes
    /// to be offered.
    pub fn handle_lost(&mut self) {
        self.waiting = Queue::default();
    }

    /// This side is in the room no more.
    pub fn handle_gone(&mut self) -> Vec<Change> {
        let listings = std::mem::take(self).listings;
        let gone = listings.iter();
        gone.flat_map(|(occupant, listing)| all_withdrawn(occupant, listing))
            .collect()
    }

    /// Whoever follows the board has no place for this tube: it was not offered, and waits. Nothing else
    /// is offered without a place that was there before, until [it has one](Self::handle_vacancy).
    pub fn handle_refused(&mut self, occupant: &str, number: TubeNumber) {
        let mut listing = self.take(occupant);
        let offer = listing.remove(number);
        let places = listing.offers().len();
        self.put(occupant.to_owned(), listing);
        if let Some(offer) = offer {
            self.places = self.size;
            self.waiting.put_back(occupant, places, offer);
            self.waiting.shed();
        }
    }

    /// Whoever follows the board has a place for one more.
    pub fn handle_vacancy(&mut self) -> Option<Change> {
        self.places = TUBES.min(self.size + 1);
        self.fill().pop()
    }

    fn take(&mut self, occupant: &str) -> Listing {
        let listing = self.listings.remove(occupant).unwrap_or_default();
        self.size -= listing.offers().len();
        listing
    }

    fn put(&mut self, occupant: Occupant, listing: Listing) {
        self.size += listing.offers().len();
        if !listing.offers().is_empty() {
            self.listings.insert(occupant, listing);
        }
    }

    /// Gives the places that there are to what waits for them.
    fn fill(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while self.size < self.places
            && let Some((occupant, offer)) = self.waiting.next()
        {
            let mut listing = self.take(&occupant);
            listing.insert(offer.clone());
            self.put(occupant.clone(), listing);
            changes.push(Change::Offered { occupant, offer });
        }
        if self.waiting.is_empty() {
            // What was known of places is old when the next one comes.
            self.places = TUBES;
        }
        self.waiting.shed();
        changes
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

fn all_withdrawn(occupant: &str, listing: &Listing) -> Vec<Change> {
    let numbers = listing.offers().keys();
    numbers.map(|number| withdrawn(occupant, *number)).collect()
}

fn withdrawn(occupant: &str, number: TubeNumber) -> Change {
    Change::Withdrawn {
        occupant: occupant.to_owned(),
        number,
    }
}

/// Tubes of a room that are followed: what fits a list that people look through. More are seen when
/// others have gone.
const TUBES: usize = 1024;
