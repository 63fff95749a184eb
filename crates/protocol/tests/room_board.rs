//! What is offered in a room: on the wire as telepathy-gabble has it, and as a machine.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use tubes_protocol::ns;
use tubes_protocol::room::{Board, Change, Listing};
use tubes_protocol::tube::{Parameters, TubeNumber, TubeOffer};
use xmpp_parsers::minidom::Element;

const PRESENCE: &str = "<presence xmlns='jabber:client' to='room@conf.example/alice'>\
    <tubes xmlns='http://telepathy.freedesktop.org/xmpp/tubes'>\
    <tube type='stream' service='x-echo' id='992336677'>\
    <parameters><parameter name='k' type='str'>v</parameter></parameters></tube>\
    <tube type='dbus' service='org.example.Demo' id='808286906' \
    initiator='room@conf.example/alice' stream-id='1795237448-463122202' \
    dbus-name=':2.YWxpY2UA'><parameters/></tube></tubes></presence>";

fn number(value: u32) -> TubeNumber {
    TubeNumber::new(value).unwrap()
}

fn offer(value: u32, service: &str) -> TubeOffer {
    TubeOffer::new(number(value), service, Parameters::default()).unwrap()
}

fn listed(presence: &str) -> Option<Listing> {
    let presence: Element = presence.parse().unwrap();
    Listing::among(presence.children())
}

fn offered(occupant: &str, offer: TubeOffer) -> Change {
    let occupant = occupant.to_owned();
    Change::Offered { occupant, offer }
}

fn withdrawn(occupant: &str, value: u32) -> Change {
    let occupant = occupant.to_owned();
    let number = number(value);
    Change::Withdrawn { occupant, number }
}

#[test]
fn gabbles_stream_tubes_are_read_and_its_others_passed_over() {
    let listing = listed(PRESENCE).unwrap();
    let offers: Vec<_> = listing.offers().values().collect();
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0].number(), number(992_336_677));
    assert_eq!(offers[0].service(), "x-echo");
    assert_eq!(offers[0].parameters().iter().count(), 1);
}

#[test]
fn an_empty_listing_is_one_and_none_is_none() {
    let of = |payload: &str| {
        listed(&format!(
            "<presence xmlns='jabber:client'>{payload}</presence>"
        ))
    };
    let empty = of(&format!("<tubes xmlns='{}'/>", ns::TUBES));
    assert_eq!(empty, Some(Listing::default()));
    assert_eq!(of("<x xmlns='http://jabber.org/protocol/muc'/>"), None);
    assert_eq!(of("<tubes xmlns='urn:example:other'/>"), None);
}

#[test]
fn a_listing_is_written_as_gabble_reads_it() {
    let written = Element::from(&Listing::new([offer(7, "x-echo")]));
    let expected: Element = format!(
        "<tubes xmlns='{}'><tube type='stream' service='x-echo' id='7'><parameters/></tube></tubes>",
        ns::TUBES
    )
    .parse()
    .unwrap();
    assert_eq!(written, expected);
}

#[test]
fn what_is_listed_is_open_and_what_is_no_more_listed_is_withdrawn() {
    let mut board = Board::new();
    let echo = offer(1, "x-echo");
    let first = board.handle_presence("alice", Some(Listing::new([echo.clone()])));
    assert_eq!(first, [offered("alice", echo.clone())]);
    // Said again, or nothing said of it: no news.
    assert!(
        board
            .handle_presence("alice", Some(Listing::new([echo])))
            .is_empty()
    );
    assert!(board.handle_presence("alice", None).is_empty());
    // The same number for another service is another tube.
    let other = offer(1, "x-other");
    let changed = board.handle_presence("alice", Some(Listing::new([other.clone()])));
    assert_eq!(changed, [withdrawn("alice", 1), offered("alice", other)]);
    let empty = board.handle_presence("alice", Some(Listing::default()));
    assert_eq!(empty, [withdrawn("alice", 1)]);
    assert!(board.handle_left("alice").is_empty());
}

#[test]
fn one_number_of_two_occupants_is_two_tubes() {
    let mut board = Board::new();
    for who in ["alice", "fernand"] {
        let changes = board.handle_presence(who, Some(Listing::new([offer(1, who)])));
        assert_eq!(changes, [offered(who, offer(1, who))]);
    }
    assert_eq!(board.handle_left("alice"), [withdrawn("alice", 1)]);
    let left = board.offered_by("fernand").unwrap();
    assert_eq!(left.offers()[&number(1)].service(), "fernand");
}

#[test]
fn tubes_follow_their_occupant_to_another_name() {
    let mut board = Board::new();
    board.handle_presence("alice", Some(Listing::new([offer(1, "x-echo")])));
    let renamed = board.handle_renamed("alice", "al");
    let (from, to) = ("alice".to_owned(), "al".to_owned());
    assert_eq!(renamed, [Change::Renamed { from, to }]);
    assert!(board.handle_left("alice").is_empty());
    assert_eq!(board.handle_gone(), [withdrawn("al", 1)]);
    assert!(board.handle_gone().is_empty());
}

#[test]
fn nobody_fills_the_board() {
    let mut board = Board::new();
    let tubes = |first: u32| (first..first + 100).map(|value| offer(value, "x-echo"));
    let mut seen = 0;
    for occupant in 0..100 {
        let listing = Element::from(&Listing::new(tubes(1)));
        let listing = Listing::among([&listing]).unwrap();
        assert_eq!(listing.left_out(), 68);
        let changes = board.handle_presence(&occupant.to_string(), Some(listing));
        assert!(changes.len() <= 32);
        seen += changes.len();
    }
    assert_eq!(seen, 1024);
    // Whoever goes makes room, and no more than that.
    let (withdrawn, offered): (Vec<_>, Vec<_>) = board
        .handle_left("0")
        .into_iter()
        .partition(|change| matches!(change, Change::Withdrawn { .. }));
    assert_eq!((withdrawn.len(), offered.len()), (32, 32));
    // Who comes then has its turn before those who have something already.
    let late = Listing::new([offer(1, "x-echo")]);
    assert!(board.handle_presence("late", Some(late)).is_empty());
    for occupant in 1..4 {
        board.handle_left(&occupant.to_string());
    }
    assert!(board.offered_by("late").is_some());
}

#[test]
fn what_did_not_fit_is_seen_when_there_is_a_place_without_anybody_speaking() {
    let mut board = Board::new();
    let of_greedy = |first: u32| Listing::new((first..first + 32).map(|value| offer(value, "x")));
    for occupant in 0..40 {
        board.handle_presence(&format!("greedy {occupant}"), Some(of_greedy(1)));
    }
    let late = Listing::new([offer(1, "x-echo"), offer(2, "x-echo")]);
    let changes = board.handle_presence("late", Some(late));
    assert!(changes.is_empty() && board.keeps_waiting("late"));
    // Who has nothing comes before those who have much, however long they wait.
    let left = board.handle_left("greedy 0");
    let mut seen = left.iter().filter(|change| match change {
        Change::Offered { occupant, .. } => occupant == "late",
        _ => false,
    });
    assert_eq!(seen.next(), Some(&offered("late", offer(1, "x-echo"))));
    assert_eq!(seen.next(), Some(&offered("late", offer(2, "x-echo"))));
    let came = left.len() - 32;
    assert_eq!(came, 32);
    // What is withdrawn while it waits is never seen.
    board.handle_presence("greedy 39", Some(Listing::default()));
    for occupant in 1..39 {
        let changes = board.handle_left(&format!("greedy {occupant}"));
        let of_last = |change: &Change| matches!(change, Change::Offered { occupant, .. } if occupant == "greedy 39");
        assert!(!changes.iter().any(of_last));
    }
    assert!(!board.keeps_waiting("late"));
}

#[test]
fn a_tube_that_is_refused_waits_for_a_vacancy() {
    let mut board = Board::new();
    let both = || Listing::new([offer(1, "x-one"), offer(2, "x-two")]);
    board.handle_presence("alice", Some(both()));
    board.handle_refused("alice", number(2));
    assert!(board.wants_place());
    // Said again: no news, and no place.
    assert!(board.handle_presence("alice", Some(both())).is_empty());
    // Nor has anybody else one. She has one, and Fernand none: he is the next.
    let of_fernand = Listing::new([offer(1, "x-one")]);
    assert!(
        board
            .handle_presence("fernand", Some(of_fernand))
            .is_empty()
    );
    assert_eq!(
        board.handle_vacancy(),
        Some(offered("fernand", offer(1, "x-one")))
    );
    assert_eq!(
        board.handle_vacancy(),
        Some(offered("alice", offer(2, "x-two")))
    );
    assert!(!board.wants_place());
    assert_eq!(board.handle_vacancy(), None);
}

/// Two who take turns keep nobody else out.
#[test]
fn who_is_refused_a_place_has_the_next_one() {
    let mut board = Board::new();
    let one = || Some(Listing::new([offer(1, "x-one")]));
    let has_place = |of: &str| Some(offered(of, offer(1, "x-one")));
    board.handle_presence("alice", one());
    for late in ["carol", "fernand"] {
        board.handle_presence(late, one());
        board.handle_refused(late, number(1));
    }
    // Her place is free, and is not to be had yet.
    let changes = board.handle_presence("alice", Some(Listing::default()));
    assert_eq!(
        changes,
        [withdrawn("alice", 1), has_place("carol").unwrap()]
    );
    board.handle_refused("carol", number(1));
    assert!(board.handle_presence("alice", one()).is_empty());
    for next in ["carol", "fernand", "alice"] {
        assert_eq!(board.handle_vacancy(), has_place(next));
    }
}

#[test]
fn what_waits_goes_with_its_occupant() {
    let mut board = Board::new();
    board.handle_presence("alice", Some(Listing::new([offer(1, "x-one")])));
    board.handle_refused("alice", number(1));
    assert!(board.handle_renamed("alice", "al").is_empty());
    assert!(board.keeps_waiting("al") && !board.keeps_waiting("alice"));
    assert!(board.handle_left("al").is_empty());
    assert!(!board.wants_place());
    assert_eq!(board.handle_vacancy(), None);
}

#[derive(Clone, Debug)]
enum Happening {
    Presence(u8, Option<Vec<(u8, bool)>>),
    Left(u8),
    Renamed(u8, u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    let listing = proptest::option::of(vec((1..6_u8, any::<bool>()), 0..4));
    prop_oneof![
        4 => (0..4_u8, listing).prop_map(|(who, listing)| Happening::Presence(who, listing)),
        1 => (0..4_u8).prop_map(Happening::Left),
        1 => (0..4_u8, 0..4_u8).prop_map(|(from, to)| Happening::Renamed(from, to)),
    ]
}

proptest! {
    /// Whoever follows the changes knows what is on the board: nothing is offered twice, or
    /// withdrawn that is not there.
    #[test]
    fn changes_tell_everything(happenings in vec(happening(), 0..60)) {
        let mut board = Board::new();
        let mut followed: BTreeMap<String, BTreeSet<TubeNumber>> = BTreeMap::new();
        for happening in happenings {
            let changes = match happening {
                Happening::Presence(who, listing) => {
                    let listing = listing.map(|offers| listing_of(&offers));
                    board.handle_presence(&who.to_string(), listing)
                }
                Happening::Left(who) => board.handle_left(&who.to_string()),
                Happening::Renamed(from, to) => {
                    board.handle_renamed(&from.to_string(), &to.to_string())
                }
            };
            for change in changes {
                match change {
                    Change::Offered { occupant, offer } => {
                        prop_assert!(followed.entry(occupant).or_default().insert(offer.number()));
                    }
                    Change::Withdrawn { occupant, number } => {
                        prop_assert!(followed.entry(occupant).or_default().remove(&number));
                    }
                    Change::Renamed { from, to } => {
                        let tubes = followed.remove(&from).unwrap_or_default();
                        let there = followed.insert(to, tubes).unwrap_or_default();
                        prop_assert!(there.is_empty());
                    }
                }
            }
            for who in 0..4 {
                let who = who.to_string();
                let there = board.offered_by(&who).map(|listing| listing.offers().keys().copied());
                let there: BTreeSet<_> = there.into_iter().flatten().collect();
                prop_assert_eq!(&there, followed.entry(who).or_default());
            }
        }
    }

    /// Whoever has fewer places than the board has them all in use as long as anything waits, and
    /// nothing is lost: what is offered is seen, or waits.
    #[test]
    fn every_place_is_used(places in 0..6_usize, happenings in vec(happening(), 0..60)) {
        let mut follower = Follower { board: Board::new(), places, seen: BTreeSet::new() };
        let mut listed: BTreeMap<String, Listing> = BTreeMap::new();
        for happening in happenings {
            match &happening {
                Happening::Presence(who, Some(offers)) => {
                    listed.insert(who.to_string(), listing_of(offers));
                }
                Happening::Presence(_, None) => {}
                Happening::Left(who) => drop(listed.remove(&who.to_string())),
                Happening::Renamed(from, to) => {
                    let listing = listed.remove(&from.to_string()).unwrap_or_default();
                    listed.insert(to.to_string(), listing);
                }
            }
            follower.follow(happening)?;
            let all: BTreeSet<_> = listed.iter().flat_map(|(who, listing)| {
                listing.offers().keys().map(|number| (who.clone(), *number))
            }).collect();
            prop_assert!(follower.seen.is_subset(&all));
            prop_assert_eq!(follower.seen.len(), all.len().min(places));
            for who in listed.keys() {
                let waits = all.iter().any(|tube| tube.0 == *who && !follower.seen.contains(tube));
                prop_assert_eq!(waits, follower.board.keeps_waiting(who));
            }
        }
    }
}

/// Whoever follows a board, and has only so many places.
struct Follower {
    board: Board,
    places: usize,
    seen: BTreeSet<(String, TubeNumber)>,
}

impl Follower {
    fn follow(&mut self, happening: Happening) -> Result<(), TestCaseError> {
        let changes = match happening {
            Happening::Presence(who, listing) => {
                let listing = listing.map(|offers| listing_of(&offers));
                self.board.handle_presence(&who.to_string(), listing)
            }
            Happening::Left(who) => self.board.handle_left(&who.to_string()),
            Happening::Renamed(from, to) => {
                let (from, to) = (from.to_string(), to.to_string());
                self.board.handle_renamed(&from, &to)
            }
        };
        for change in changes {
            self.note(change)?;
        }
        while self.seen.len() < self.places && self.board.wants_place() {
            let change = self.board.handle_vacancy();
            prop_assert!(change.is_some());
            change.map_or(Ok(()), |change| self.note(change))?;
        }
        Ok(())
    }

    fn note(&mut self, change: Change) -> Result<(), TestCaseError> {
        match change {
            Change::Offered { occupant, offer } if self.seen.len() < self.places => {
                prop_assert!(self.seen.insert((occupant, offer.number())));
            }
            Change::Offered { occupant, offer } => {
                self.board.handle_refused(&occupant, offer.number());
            }
            Change::Withdrawn { occupant, number } => {
                prop_assert!(self.seen.remove(&(occupant, number)));
            }
            Change::Renamed { from, to } => {
                let of_from = |tube: &&(String, TubeNumber)| tube.0 == from;
                let renamed: Vec<_> = self.seen.iter().filter(of_from).cloned().collect();
                for tube in renamed {
                    self.seen.remove(&tube);
                    self.seen.insert((to.clone(), tube.1));
                }
            }
        }
        Ok(())
    }
}

fn listing_of(offers: &[(u8, bool)]) -> Listing {
    let service = |other: bool| if other { "x-other" } else { "x-echo" };
    let offers = offers.iter();
    Listing::new(offers.map(|(value, other)| offer((*value).into(), service(*other))))
}
