//! What rooms say, and what becomes of those who were spoken to there.

use super::*;
use crate::RoomSays;

const PRESENCE: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";

impl Bench {
    fn attending() -> Self {
        let mut bench = Self::new("");
        bench
            .router
            .handle_attend("room@rooms.example".parse().unwrap());
        bench
    }
}

#[test]
fn presences_of_a_room_are_reported_as_they_are() {
    let mut bench = Bench::attending();
    bench.receive(&format!(
        "<presence from='room@rooms.example/fernand'>{PRESENCE}</presence>"
    ));
    // Nobody asks an occupant what it can do, as contacts are asked.
    assert!(bench.sent().is_empty());
    let events = bench.events();
    let [
        ..,
        SessionEvent::Room(RoomSays::Available { occupant, payloads }),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(occupant.resource().as_str(), "fernand");
    assert_eq!(payloads.len(), 1);
}

#[test]
fn of_other_rooms_nothing_is_heard() {
    let mut bench = Bench::attending();
    bench.events();
    bench.receive("<presence from='other@rooms.example/fernand'/>");
    assert!(bench.events().is_empty());
    bench
        .router
        .handle_forsake(&"room@rooms.example".parse().unwrap());
    bench.receive("<presence from='room@rooms.example/fernand'/>");
    assert!(bench.events().is_empty());
}

#[test]
fn a_refusal_says_why() {
    let mut bench = Bench::attending();
    bench.receive(
        "<presence from='room@rooms.example/alice' type='error'><error type='cancel'>\
         <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    );
    let events = bench.events();
    let [
        ..,
        SessionEvent::Room(RoomSays::Refused { why: Some(why), .. }),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(why.defined_condition, DefinedCondition::Conflict);
}

#[tokio::test]
async fn who_leaves_owes_no_more_answers() {
    for forsaken in [false, true] {
        let mut bench = Bench::attending();
        let fernand: Jid = "room@rooms.example/fernand".parse().unwrap();
        let mut wire = bench.stanzas.claim(fernand, "s".into()).unwrap();
        if forsaken {
            bench
                .router
                .handle_forsake(&"room@rooms.example".parse().unwrap());
        } else {
            bench.receive("<presence from='room@rooms.example/fernand' type='unavailable'/>");
        }
        assert!(wire.next().await.is_err());
    }
}
