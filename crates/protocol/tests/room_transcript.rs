//! A whole course of presences in a room, as telepathy-gabble and the services of rooms send them, and
//! what follows at each step.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

use tubes_protocol::ns;
use tubes_protocol::room::{Board, Change, Entry, Listing, Step, Told};
use tubes_protocol::tube::{TubeOffer, Value};
use xmpp_parsers::minidom::Element;

/// This side in a room, as its actor has it: what a presence says goes to both machines.
struct Stay {
    entry: Entry,
    board: Board,
}

/// What follows, in order and in short.
type Outcome = Vec<String>;

impl Stay {
    /// Asks to be let in.
    fn begun() -> Self {
        let (entry, first) = Entry::new("alice");
        assert_eq!(short(&first), "enter as alice");
        let board = Board::new();
        Self { entry, board }
    }

    /// In the room, where nobody else is yet.
    fn inside() -> Self {
        let mut stay = Self::begun();
        let own = shows("", "<status code='110'/>");
        assert_eq!(stay.hears("alice", &own), ["in as alice"]);
        stay
    }

    /// Somebody's presence, with these payloads.
    fn hears(&mut self, nick: &str, payloads: &str) -> Outcome {
        let presence = presence(payloads);
        let told = Told::among(presence.children());
        let step = self.entry.handle_available(nick, &told);
        let mut outcome: Vec<_> = step.iter().map(short).collect();
        if !told.is_own() && self.entry.known(nick).is_some() {
            let listing = Listing::among(presence.children());
            let changes = self.board.handle_presence(nick, listing);
            outcome.extend(changes.iter().map(change));
        }
        outcome
    }

    /// Somebody's last presence.
    fn hears_last(&mut self, nick: &str, payloads: &str) -> Outcome {
        let told = Told::among(presence(payloads).children());
        let steps = self.entry.handle_unavailable(nick, &told);
        self.follow(&steps)
    }

    /// The session is lost.
    fn is_lost(&mut self) -> Outcome {
        let steps = self.entry.handle_lost();
        self.follow(&steps)
    }

    fn follow(&mut self, steps: &[Step]) -> Outcome {
        let mut outcome = Vec::new();
        if let [
            Step::Left { .. },
            ..,
            Step::Enter { .. } | Step::EnterLater | Step::Out { .. },
        ] = steps
        {
            self.board.handle_lost();
        }
        for step in steps {
            outcome.push(short(step));
            let changes = match step {
                Step::Left { occupant } => self.board.handle_left(occupant),
                Step::Out { .. } => self.board.handle_gone(),
                Step::Renamed { from, to } => self.board.handle_renamed(from, to),
                _ => Vec::new(),
            };
            outcome.extend(changes.iter().map(change));
        }
        outcome
    }

    fn offer(&self, nick: &str, number: u32) -> &TubeOffer {
        let listing = self.board.offered_by(nick).unwrap();
        let mut offers = listing.offers().values();
        offers
            .find(|offer| offer.number().value() == number)
            .unwrap()
    }
}

fn short(step: &Step) -> String {
    match step {
        Step::Came { occupant, real } => match real {
            Some(real) => format!("{occupant} is there, of {real}"),
            None => format!("{occupant} is there"),
        },
        Step::Enter { nick } => format!("enter as {nick}"),
        Step::EnterLater => "enter later".to_owned(),
        Step::Entered { nick, .. } => format!("in as {nick}"),
        Step::Left { occupant } => format!("{occupant} has left"),
        Step::Out { why, .. } => format!("out: {why:?}"),
        Step::Named { nick } => format!("named {nick}"),
        Step::Rename { nick } => format!("ask to be {nick}"),
        Step::Renamed { from, to } => format!("{from} is {to}"),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Offered { occupant, offer } => {
            format!("{occupant} offers {} {}", offer.number(), offer.service())
        }
        Change::Renamed { from, to } => format!("tubes of {from} are {to}'s"),
        Change::Withdrawn { occupant, number } => format!("{occupant} withdraws {number}"),
    }
}

fn presence(payloads: &str) -> Element {
    let presence = format!("<presence xmlns='jabber:client'>{payloads}</presence>");
    presence.parse().unwrap()
}

/// What the room adds, in the middle of other things that services add.
fn muc(said: &str) -> String {
    format!(
        "<occupant-id xmlns='{}' id='0a1b'/><x xmlns='{}'>\
         <item affiliation='none' role='participant'/>{said}</x>\
         <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>",
        ns::OCCUPANT_ID,
        ns::MUC_USER
    )
}

/// A Gabble's presence with these tubes, as it arrives.
fn lists(tubes: &str) -> String {
    shows(tubes, "")
}

/// The same, of which the room says this.
fn shows(tubes: &str, said: &str) -> String {
    let listing = format!("<tubes xmlns='{}'>{tubes}</tubes>", ns::TUBES);
    format!("{listing}{}", muc(said))
}

#[test]
fn a_gabble_comes_offers_withdraws_late_and_leaves() {
    let mut stay = Stay::inside();
    // It comes with an empty listing; services may or may not pass on its wish to come in.
    let wish = format!("<x xmlns='{}'/>", ns::MUC);
    let came = format!("{wish}{}", lists(""));
    assert_eq!(stay.hears("fernand", &came), ["fernand is there"]);

    // Each presence has all of it, and what was there is no news.
    let offered = stay.hears("fernand", &lists(ECHO));
    assert_eq!(offered, ["fernand offers 992336677 x-echo"]);
    let parameters = stay.offer("fernand", 992_336_677).parameters();
    assert_eq!(parameters.get("k"), Some(&Value::Str("v".to_owned())));
    let both = format!("{ECHO}{DBUS}{RFB}");
    let offered = stay.hears("fernand", &lists(&both));
    assert_eq!(offered, ["fernand offers 7 rfb"]);
    assert_eq!(stay.hears("fernand", &lists(&both)), NOTHING);

    // It says that it is away, by a client of another kind: nothing of tubes.
    let away = format!("<show>away</show>{}", muc(""));
    assert_eq!(stay.hears("fernand", &away), NOTHING);

    // It closes the one: its presence right after that has it still, the next one has not.
    assert_eq!(stay.hears("fernand", &lists(&both)), NOTHING);
    let fewer = format!("{DBUS}{RFB}");
    let withdrawn = stay.hears("fernand", &lists(&fewer));
    assert_eq!(withdrawn, ["fernand withdraws 992336677"]);
    assert_eq!(stay.hears("fernand", &lists(&fewer)), NOTHING);

    // It leaves, and with its last words lists what it had.
    let left = stay.hears_last("fernand", &lists(&fewer));
    assert_eq!(left, ["fernand has left", "fernand withdraws 7"]);
    assert_eq!(stay.hears_last("fernand", &lists(&fewer)), NOTHING);
}

#[test]
fn who_was_there_before_is_seen_before_this_side_is_in() {
    let mut stay = Stay::begun();
    let offered = stay.hears("fernand", &lists(ECHO));
    let expected = ["fernand is there", "fernand offers 992336677 x-echo"];
    assert_eq!(offered, expected);
    let own = shows("", "<status code='100'/><status code='110'/>");
    assert_eq!(stay.hears("alice", &own), ["in as alice"]);
    // What this side lists comes back to it, and is nobody's offer.
    let own = shows(RFB, "<status code='110'/>");
    assert_eq!(stay.hears("alice", &own), NOTHING);
    assert!(stay.board.offered_by("alice").is_none());
}

#[test]
fn who_takes_a_name_takes_no_tubes() {
    let mut stay = Stay::inside();
    stay.hears("fernand", &lists(ECHO));
    let left = stay.hears_last("fernand", &muc(""));
    assert_eq!(left, ["fernand has left", "fernand withdraws 992336677"]);
    assert_eq!(stay.hears("fernand", &lists("")), ["fernand is there"]);
    assert!(stay.board.offered_by("fernand").is_none());
    // The same number is another tube, and withdrawn on its own.
    let offered = stay.hears("fernand", &lists(ECHO));
    assert_eq!(offered, ["fernand offers 992336677 x-echo"]);
    let withdrawn = stay.hears("fernand", &lists(""));
    assert_eq!(withdrawn, ["fernand withdraws 992336677"]);
}

#[test]
fn a_number_is_one_occupants_own() {
    let mut stay = Stay::inside();
    for nick in ["carol", "fernand"] {
        let expected = [
            format!("{nick} is there"),
            format!("{nick} offers 992336677 x-echo"),
        ];
        assert_eq!(stay.hears(nick, &lists(ECHO)), expected);
    }
    let withdrawn = stay.hears("carol", &lists(""));
    assert_eq!(withdrawn, ["carol withdraws 992336677"]);
    assert_eq!(stay.offer("fernand", 992_336_677).service(), "x-echo");
    // With another meaning it is another tube.
    let other = ECHO.replace("x-echo", "x-other");
    let expected = [
        "fernand withdraws 992336677",
        "fernand offers 992336677 x-other",
    ];
    assert_eq!(stay.hears("fernand", &lists(&other)), expected);
}

#[test]
fn what_makes_no_sense_is_passed_over_and_the_rest_is_seen() {
    let mut stay = Stay::inside();
    let giant = format!(
        "<tube type='stream' service='x-none' id='9'><parameters>\
         <parameter name='k' type='str'>{}</parameter></parameters></tube>",
        "v".repeat(65_536)
    );
    let nonsense = [
        "text",
        "<tube/>",
        "<tube type='stream' service='x-none'/>",
        "<tube type='stream' service='x-none' id='0'/>",
        "<tube type='stream' service='x-none' id='4294967296'/>",
        "<tube type='stream' service='' id='1'/>",
        "<tube type='stream' id='2'/>",
        "<tube type='dbus' service='x-none' id='3'/>",
        "<tube type='pigeon' service='x-none' id='4'/>",
        "<tube xmlns='urn:example:other' type='stream' service='x-none' id='5'/>",
        &giant,
        // Of two by one number the later one counts.
        "<tube type='stream' service='x-none' id='7'/>",
        RFB,
        ECHO,
    ];
    let expected = [
        "fernand is there",
        "fernand offers 7 rfb",
        "fernand offers 992336677 x-echo",
    ];
    assert_eq!(stay.hears("fernand", &lists(&nonsense.concat())), expected);
    // A second listing in one presence is none.
    let second = format!("{}{EMPTY}", lists(&format!("{RFB}{ECHO}")));
    assert_eq!(stay.hears("fernand", &second), NOTHING);
}

#[test]
fn names_change_and_what_is_listed_goes_along() {
    let mut stay = Stay::inside();
    stay.hears("fernand", &lists(ECHO));
    // The room says both: that the one has gone, and that the other is there. A Gabble knows of neither.
    let gone = format!(
        "<x xmlns='{}'><item affiliation='none' role='participant' nick='fern'/>\
         <status code='303'/></x>",
        ns::MUC_USER
    );
    let renamed = stay.hears_last("fernand", &gone);
    assert_eq!(renamed, ["fernand is fern", "tubes of fernand are fern's"]);
    assert_eq!(stay.hears("fern", &lists(ECHO)), NOTHING);
    let withdrawn = stay.hears("fern", &lists(""));
    assert_eq!(withdrawn, ["fern withdraws 992336677"]);
}

#[test]
fn whoever_is_put_out_goes_with_its_tubes() {
    let mut stay = Stay::inside();
    stay.hears("fernand", &lists(ECHO));
    stay.hears("carol", &lists(RFB));
    // Of another occupant, without a word of its own.
    let left = stay.hears_last("fernand", &muc("<status code='307'/>"));
    assert_eq!(left, ["fernand has left", "fernand withdraws 992336677"]);
    // Of this side itself: nothing is offered to who is not there.
    let out = stay.hears_last("alice", &muc("<status code='110'/><status code='301'/>"));
    let expected = [
        "carol has left",
        "carol withdraws 7",
        "out: Some(Removed(Banned))",
    ];
    assert_eq!(out, expected);
    assert_eq!(stay.hears("carol", &lists(RFB)), NOTHING);
}

#[test]
fn a_lost_session_loses_all_tubes_and_finds_them_again() {
    let mut stay = Stay::inside();
    stay.hears("fernand", &lists(ECHO));
    let expected = [
        "fernand has left",
        "fernand withdraws 992336677",
        "enter as alice",
    ];
    assert_eq!(stay.is_lost(), expected);
    let expected = ["fernand is there", "fernand offers 992336677 x-echo"];
    assert_eq!(stay.hears("fernand", &lists(ECHO)), expected);
    let own = shows("", "<status code='110'/>");
    assert_eq!(stay.hears("alice", &own), ["in as alice"]);
}

#[test]
fn a_tube_that_did_not_fit_is_seen_when_somebody_goes_or_takes_one_back() {
    let mut stay = Stay::crowded();
    assert_eq!(stay.hears("carol", &lists(ECHO)), ["carol is there"]);
    // Nobody says anything of it.
    let left = stay.hears_last("0", &muc(""));
    assert_eq!(left.first().unwrap(), "0 has left");
    assert_eq!(left.last().unwrap(), "carol offers 992336677 x-echo");
    let withdrawn = (1..=32).map(|number| format!("0 withdraws {number}"));
    assert!(withdrawn.eq(left[1..=32].iter().cloned()));
    // All is full again, and Fernand, who has nothing, is the next.
    let of_fernand = lists(&format!("{RFB}{DBUS}"));
    stay.hears("0", &lists(&many(1..=32)));
    assert_eq!(stay.hears("fernand", &of_fernand), ["fernand is there"]);
    let withdrawn = stay.hears("1", &lists(&many(2..=32)));
    assert_eq!(withdrawn, ["1 withdraws 1", "fernand offers 7 rfb"]);
}

#[test]
fn nothing_that_waits_comes_when_the_room_is_lost() {
    let mut stay = Stay::crowded();
    stay.hears("carol", &lists(ECHO));
    let lost = stay.is_lost();
    assert!(!lost.iter().any(|outcome| outcome.contains("offers")));
    let own = shows("", "<status code='110'/>");
    assert_eq!(stay.hears("alice", &own), ["in as alice"]);
    let expected = ["carol is there", "carol offers 992336677 x-echo"];
    assert_eq!(stay.hears("carol", &lists(ECHO)), expected);
}

impl Stay {
    /// In a room where as much is offered as is looked at.
    fn crowded() -> Self {
        let mut stay = Self::inside();
        for occupant in 0..32 {
            let outcome = stay.hears(&occupant.to_string(), &lists(&many(1..=32)));
            assert_eq!(outcome.len(), 33);
        }
        stay
    }
}

/// So many tubes.
fn many(numbers: impl Iterator<Item = u32>) -> String {
    let tube = |number| format!("<tube type='stream' service='x-many' id='{number}'/>");
    numbers.map(tube).collect()
}

/// No news.
const NOTHING: [&str; 0] = [];

const EMPTY: &str = "<tubes xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>";

const ECHO: &str = "<tube type='stream' service='x-echo' id='992336677'>\
    <parameters><parameter name='k' type='str'>v</parameter></parameters></tube>";

const RFB: &str = "<tube type='stream' service='rfb' id='7'><parameters/></tube>";

/// One that it takes part in, with others.
const DBUS: &str = "<tube type='dbus' service='org.example.Demo' id='808286906' \
    initiator='room@conf.example/fernand' stream-id='1795237448-463122202' \
    dbus-name=':2.ZmVybmFuZAAA'><parameters/></tube>";
