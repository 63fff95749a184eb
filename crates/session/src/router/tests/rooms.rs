//! What rooms say, and what becomes of those who were spoken to there.

use futures_util::FutureExt;

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
    assert!(bench.consequences().is_empty());
    bench
        .router
        .handle_forsake(&"room@rooms.example".parse().unwrap());
    bench.receive("<presence from='room@rooms.example/fernand'/>");
    assert!(bench.consequences().is_empty());
}

#[test]
fn a_refusal_says_of_what_and_why() {
    let mut bench = Bench::attending();
    bench.receive(
        "<presence from='room@rooms.example/alice' id='wish' type='error'><error type='cancel'>\
         <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    );
    let events = bench.events();
    let [
        ..,
        SessionEvent::Room(RoomSays::Refused {
            id, why: Some(why), ..
        }),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(id.as_deref(), Some("wish"));
    assert_eq!(why.defined_condition, DefinedCondition::Conflict);
}

/// The room is entered anew, and whoever has the names there by then is somebody else.
#[test]
fn what_was_under_way_in_a_room_ends_with_the_stay() {
    let mut bench = Bench::attending();
    let fernand: Jid = "room@rooms.example/fernand".parse().unwrap();
    let elsewhere: Jid = "other@rooms.example/fernand".parse().unwrap();
    let mut wire = bench.stanzas.claim(fernand, "s".into()).unwrap();
    let mut other = bench.stanzas.claim(elsewhere, "s".into()).unwrap();
    let room = "room@rooms.example".parse().unwrap();
    bench.router.handle_abandon(&room);
    assert!(matches!(wire.next().now_or_never(), Some(Err(_))));
    assert!(other.next().now_or_never().is_none());
    // It is heard of all the same.
    bench.events();
    bench.receive("<presence from='room@rooms.example/fernand'/>");
    assert_eq!(bench.events().len(), 1);
}

/// What is asked waits here for its answer, and one of many does not use up what all of them have.
#[test]
fn an_occupant_that_asks_without_end_is_refused_alone() {
    let mut bench = Bench::attending();
    let refused = |bench: &mut Bench, from: &str| {
        bench.receive(&format!(
            "<iq type='set' id='1' from='room@rooms.example/{from}'><q xmlns='urn:example'/></iq>"
        ));
        let sent = bench.sent();
        let refusal = sent
            .iter()
            .find(|stanza| stanza.attr("type") == Some("error"));
        refusal.map(|refusal| condition(refusal).to_owned())
    };
    // Nobody takes them from here, and so nobody answers.
    let mut asked = 0;
    let why = loop {
        match refused(&mut bench, "mallory") {
            Some(why) => break why,
            None => asked += 1,
        }
        assert!(asked < 100_000, "no bound");
    };
    assert_eq!(why, "resource-constraint");
    assert_eq!(refused(&mut bench, "fernand"), None);
    assert!(refused(&mut bench, "mallory").is_some());
}

#[test]
fn what_others_add_does_not_push_out_of_sight_what_the_room_says() {
    let mut bench = Bench::attending();
    bench.events();
    let chaff = "<chaff xmlns='urn:example'/>".repeat(100);
    bench.receive(&format!(
        "<presence from='room@rooms.example/fernand'>{chaff}{PRESENCE}</presence>"
    ));
    let events = bench.events();
    let [SessionEvent::Room(RoomSays::Available { payloads, .. })] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(payloads.len(), 1);
    assert!(payloads[0].is("x", "http://jabber.org/protocol/muc#user"));
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
