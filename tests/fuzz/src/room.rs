//! A room, and everybody in it, that says anything.

use std::collections::{BTreeMap, BTreeSet};

use tubes_protocol::room::{Board, Change, Entry, Listing, Step, Told};
use tubes_protocol::tube::TubeNumber;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::xml::{element, through_text};

/// Tells a stay in a room the lines: a name and a presence of it, or orders as `Stay::order` knows them.
///
/// What was read is within its bounds and reads the same once it is written; who leaves has come; outside
/// nothing follows any more; and who follows the changes knows what is on the board.
pub fn room(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut stay = Stay::new();
    for line in text.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first.strip_prefix('!') {
            Some(order) => stay.order(order, rest),
            None => {
                if let Some(presence) = element(rest.as_bytes()) {
                    stay.hear(first, &presence);
                }
            }
        }
        stay.check();
    }
}

struct Stay {
    entry: Entry,
    board: Board,
    /// Who is there, by the steps.
    there: BTreeSet<String>,
    /// What is offered, by the changes.
    offered: BTreeMap<String, BTreeSet<TubeNumber>>,
    /// How many of them there are places for.
    places: usize,
    over: bool,
}

impl Stay {
    fn new() -> Self {
        let (entry, _) = Entry::new("a");
        Self {
            entry: entry.with_session("own"),
            board: Board::new(),
            there: BTreeSet::new(),
            offered: BTreeMap::new(),
            places: usize::MAX,
            over: false,
        }
    }

    /// `there NAMES`: who is there, before it is entered; `refused CONDITION`, `ping CONDITION`: an error;
    /// `lost`, `silence`, `again`; `places NUMBER`: so many tubes are taken from the board.
    fn order(&mut self, order: &str, rest: &str) {
        let condition = || {
            let element = Element::bare(rest, "urn:ietf:params:xml:ns:xmpp-stanzas");
            DefinedCondition::try_from(element).ok()
        };
        let steps: Vec<Step> = match order {
            // It is asked once, at first.
            "there" if self.there.is_empty() && !self.over && !self.entry.is_inside() => {
                let there = rest.split(' ').map(ToOwned::to_owned).collect();
                vec![self.entry.handle_occupants(&there)]
            }
            "refused" => condition()
                .and_then(|condition| self.entry.handle_error(&condition))
                .into_iter()
                .collect(),
            "ping" => match condition() {
                Some(condition) => self.entry.handle_ping_refused(&condition),
                None => Vec::new(),
            },
            "lost" => self.entry.handle_lost(),
            "silence" => self.entry.handle_silence().into_iter().collect(),
            "places" => {
                self.places = rest.parse().unwrap_or(self.places);
                Vec::new()
            }
            "again" => self.entry.handle_timeout().into_iter().collect(),
            _ => return,
        };
        self.follow(steps);
    }

    fn hear(&mut self, nick: &str, presence: &Element) {
        let told = Told::among(presence.children());
        for name in [&told.id, &told.session].into_iter().flatten() {
            assert!(name.len() <= NAME);
        }
        let is_own = self.entry.is_own(nick, &told);
        if presence.attr("type") == Some("unavailable") {
            let steps = self.entry.handle_unavailable(nick, &told);
            return self.follow(steps);
        }
        let step = self.entry.handle_available(nick, &told);
        self.follow(step);
        let listing = Listing::among(presence.children());
        if let Some(listing) = &listing {
            assert!(listing.offers().len() <= TUBES);
            let written = through_text(&listing.into());
            // What there was too much of is not written.
            let read = Listing::among([&written]).unwrap_or_default();
            assert_eq!(read.offers(), listing.offers());
            assert_eq!(read.left_out(), 0);
        }
        if !is_own && self.entry.known(nick).is_some() {
            let changes = self.board.handle_presence(nick, listing);
            self.note(changes);
        }
    }

    fn follow(&mut self, steps: impl IntoIterator<Item = Step>) {
        let steps: Vec<_> = steps.into_iter().collect();
        if let [
            Step::Left { .. },
            ..,
            Step::Enter { .. } | Step::EnterLater | Step::Out { .. },
        ] = &steps[..]
        {
            self.board.handle_lost();
        }
        for step in steps {
            assert!(!self.over, "outside follows {step:?}");
            match step {
                Step::Came { occupant, .. } => drop(self.there.insert(occupant)),
                Step::Left { occupant } => {
                    assert!(self.there.remove(&occupant), "{occupant} was not there");
                    let changes = self.board.handle_left(&occupant);
                    self.note(changes);
                }
                Step::Rename { nick } => {
                    assert_ne!(nick, self.entry.nick());
                    self.there.insert(self.entry.nick().to_owned());
                }
                Step::Renamed { from, to } => {
                    assert!(self.there.remove(&from), "{from} was not there");
                    let changes = self.board.handle_renamed(&from, &to);
                    self.there.insert(to);
                    self.note(changes);
                }
                Step::Enter { nick } => assert_eq!(nick, self.entry.nick()),
                Step::Entered { .. } | Step::Named { .. } => assert!(self.entry.is_inside()),
                Step::EnterLater => assert!(!self.entry.is_inside()),
                Step::Out { .. } => {
                    self.over = true;
                    self.there.clear();
                    let changes = self.board.handle_gone();
                    self.note(changes);
                }
            }
        }
    }

    fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Offered { occupant, offer } if self.seen() >= self.places => {
                    self.board.handle_refused(&occupant, offer.number());
                }
                Change::Offered { occupant, offer } => {
                    let offered = self.offered.entry(occupant).or_default();
                    assert!(offered.insert(offer.number()), "offered twice");
                }
                Change::Withdrawn { occupant, number } => {
                    let offered = self.offered.entry(occupant).or_default();
                    assert!(offered.remove(&number), "it was not offered");
                }
                Change::Renamed { from, to } => {
                    let tubes = self.offered.remove(&from).unwrap_or_default();
                    let there = self.offered.insert(to, tubes).unwrap_or_default();
                    assert!(there.is_empty());
                }
            }
        }
    }

    fn seen(&self) -> usize {
        self.offered.values().map(BTreeSet::len).sum()
    }

    fn check(&mut self) {
        while self.seen() < self.places && self.board.wants_place() {
            let change = self.board.handle_vacancy();
            assert!(change.is_some(), "nothing wants the place");
            self.note(change);
        }
        assert!(!self.over || !self.entry.is_inside());
        for occupant in &self.there {
            assert!(self.entry.known(occupant).is_some(), "{occupant} is lost");
        }
        for (occupant, tubes) in &self.offered {
            let listing = self.board.offered_by(occupant);
            let there = listing
                .into_iter()
                .flat_map(|listing| listing.offers().keys());
            assert!(there.eq(tubes), "{occupant} offers something else");
            assert!(tubes.is_empty() || self.there.contains(occupant));
        }
        assert!(self.seen() <= ALL_TUBES);
    }
}

/// Bytes in a name that is kept.
const NAME: usize = 256;

/// Tubes of one occupant that are looked at.
const TUBES: usize = 32;

/// Tubes in a room.
const ALL_TUBES: usize = 1024;
