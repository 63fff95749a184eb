//! The stream tubes that an occupant of a room offers, in its presence.

use std::collections::BTreeMap;

use xmpp_parsers::minidom::Element;

use crate::ns;
use crate::tube::{TubeNumber, TubeOffer};

/// `<tubes/>` in a presence: all stream tubes that the occupant offers at this moment.
///
/// It comes anew as a whole whenever something changes. A presence without it says nothing of tubes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    offers: BTreeMap<TubeNumber, TubeOffer>,
    left_out: usize,
    senseless: usize,
}

impl Listing {
    /// The listing of these offers. Of two with one number the later one counts.
    pub fn new(offers: impl IntoIterator<Item = TubeOffer>) -> Self {
        let numbered = offers.into_iter().map(|offer| (offer.number(), offer));
        Self {
            offers: numbered.collect(),
            left_out: 0,
            senseless: 0,
        }
    }

    /// The listing in a presence with these payloads, if it says anything of tubes.
    ///
    /// What is no stream tube, or makes no sense, is passed over: D-Bus tubes stand beside them.
    pub fn among<'a>(payloads: impl IntoIterator<Item = &'a Element>) -> Option<Self> {
        let mut payloads = payloads.into_iter();
        let tubes = payloads.find(|payload| payload.is("tubes", ns::TUBES))?;
        let mut senseless = 0;
        let offers = tubes.children().take(CHILDREN).map(TubeOffer::try_from);
        let mut offers = offers.filter_map(|offer| {
            senseless += usize::from(matches!(&offer, Err(error) if error.is_nonsense()));
            offer.ok()
        });
        let mut listing = Self::new(offers.by_ref().take(TUBES));
        listing.left_out = offers.count() + tubes.children().skip(CHILDREN).count();
        listing.senseless = senseless;
        Some(listing)
    }

    /// How many stream tubes are not among the offers, as they make no sense.
    pub fn senseless(&self) -> usize {
        self.senseless
    }

    /// How many are not among the offers, as there are too many. Not all of them need be tubes.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The offers, by number.
    pub fn offers(&self) -> &BTreeMap<TubeNumber, TubeOffer> {
        &self.offers
    }

    /// One more, in the place of one of its number.
    pub(super) fn insert(&mut self, offer: TubeOffer) {
        self.offers.insert(offer.number(), offer);
    }

    pub(super) fn remove(&mut self, number: TubeNumber) -> Option<TubeOffer> {
        self.offers.remove(&number)
    }
}

impl From<&Listing> for Element {
    fn from(listing: &Listing) -> Self {
        let offers = listing.offers.values().cloned();
        Self::builder("tubes", ns::TUBES)
            .append_all(offers.map(Self::from))
            .build()
    }
}

/// Tubes of one occupant that are looked at: more than anybody offers, and little to keep for each of
/// the thousands that a room may have.
const TUBES: usize = 32;

/// Children of the listing that are looked at, those of other types included.
const CHILDREN: usize = 64;
