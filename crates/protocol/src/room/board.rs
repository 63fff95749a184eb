//! What is offered in a room, as it follows from the presences of its occupants.

use std::collections::BTreeMap;

use crate::room::{Listing, Occupant};
use crate::tube::{TubeNumber, TubeOffer};

/// The tubes that others offer in a room; pure, and one per room.
///
/// Each occupant speaks for itself: the number of a tube opens nothing but together with its occupant.
#[derive(Clone, Debug, Default)]
pub struct Board {
    listings: BTreeMap<Occupant, Listing>,
    /// Tubes in all of them.
    size: usize,
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
        Self::default()
    }

    /// What this occupant offers at this moment.
    pub fn offered_by(&self, occupant: &str) -> Option<&Listing> {
        self.listings.get(occupant)
    }

    /// An occupant is there, and says this of its tubes. A presence that says nothing of them changes
    /// nothing.
    pub fn handle_presence(&mut self, occupant: &str, listing: Option<Listing>) -> Vec<Change> {
        let Some(listing) = listing else {
            return Vec::new();
        };
        let before = self.take(occupant);
        let listing = self.within_bounds(listing);
        let mut changes = Vec::new();
        for (number, offer) in before.offers() {
            // A number that stands for something else now is another tube.
            if listing.offers().get(number) != Some(offer) {
                changes.push(withdrawn(occupant, *number));
            }
        }
        for (number, offer) in listing.offers() {
            if before.offers().get(number) != Some(offer) {
                changes.push(Change::Offered {
                    occupant: occupant.to_owned(),
                    offer: offer.clone(),
                });
            }
        }
        self.put(occupant.to_owned(), listing);
        changes
    }

    /// An occupant has left, by its own will or not, and its tubes with it. (Gabble forgets that.)
    pub fn handle_left(&mut self, occupant: &str) -> Vec<Change> {
        let before = self.take(occupant);
        let numbers = before.offers().keys();
        numbers.map(|number| withdrawn(occupant, *number)).collect()
    }

    /// An occupant goes by another name.
    pub fn handle_renamed(&mut self, from: &str, to: &str) -> Vec<Change> {
        let listing = self.take(from);
        // Whoever had that name is gone, or the room would not give it to another one.
        let mut changes = self.handle_left(to);
        if !listing.offers().is_empty() {
            self.put(to.to_owned(), listing);
            changes.push(Change::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        changes
    }

    /// This side is in the room no more.
    pub fn handle_gone(&mut self) -> Vec<Change> {
        let occupants: Vec<_> = self.listings.keys().cloned().collect();
        let gone = occupants.iter();
        gone.flat_map(|occupant| self.handle_left(occupant))
            .collect()
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

    fn within_bounds(&self, listing: Listing) -> Listing {
        let room = TUBES.saturating_sub(self.size);
        match listing.offers().len() <= room {
            true => listing,
            false => Listing::new(listing.offers().values().take(room).cloned()),
        }
    }
}

fn withdrawn(occupant: &str, number: TubeNumber) -> Change {
    Change::Withdrawn {
        occupant: occupant.to_owned(),
        number,
    }
}

/// Tubes of a room that are followed: what fits a list that people look through. More are not seen
/// until their occupant changes what it offers, when others have gone.
const TUBES: usize = 1024;
