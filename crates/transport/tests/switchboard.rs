//! Who hears what, and what happens when somebody goes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use tubes_transport::{
    AskError, Bound, Gone, Inbound, Outbound, Patience, Question, Stanzas, Switchboard, Tell,
};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

fn peer() -> Jid {
    "fernand@example.org/laptop".parse().unwrap()
}

fn data(sid: &str) -> Element {
    format!("<data xmlns='urn:example' sid='{sid}'/>")
        .parse()
        .unwrap()
}

fn tell(from: &Jid, sid: &str) -> Inbound {
    Inbound::Tell(Tell {
        from: from.clone(),
        payload: data(sid),
    })
}

fn ask(switchboard: &Switchboard, sid: &str) -> Inbound {
    Inbound::Ask(switchboard.ask(peer(), "1".to_owned(), data(sid)).unwrap())
}

#[tokio::test]
async fn a_wire_hears_its_peer_of_its_stream_and_nobody_else() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    let stranger: Jid = "mallory@example.org/laptop".parse().unwrap();
    assert!(switchboard.route(&stranger, tell(&stranger, "s")).is_err());
    assert!(switchboard.route(&peer(), tell(&peer(), "t")).is_err());
    assert!(switchboard.route(&peer(), tell(&peer(), "s")).is_ok());
    assert_eq!(wire.next().await.unwrap().payload(), &data("s"));
}

#[tokio::test]
async fn a_stream_is_claimed_once_until_its_wire_is_dropped() {
    let (stanzas, _outbox, _switchboard) = Stanzas::pair();
    let wire = stanzas.claim(peer(), "s".into()).unwrap();
    assert!(stanzas.claim(peer(), "s".into()).is_none());
    drop(wire);
    assert!(stanzas.claim(peer(), "s".into()).is_some());
}

/// It was said before the peer knew that the stream is over. There is an end to that.
#[tokio::test]
async fn what_comes_too_late_for_a_stream_is_known_for_a_while() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let late = |sid: &str| stanzas.was_on_the_way(&peer(), &sid.into());
    assert!(!late("s"));
    let wire = stanzas.claim(peer(), "s".into()).unwrap();
    assert!(!late("s"));
    drop(wire);
    assert!(switchboard.route(&peer(), tell(&peer(), "s")).is_err());
    let excused = (0..1000).take_while(|_| late("s")).count();
    assert!((16..1000).contains(&excused), "{excused}");

    let _wire = stanzas.claim(peer(), "flooded".into()).unwrap();
    while switchboard.route(&peer(), tell(&peer(), "flooded")).is_ok() {}
    assert!(!late("flooded"), "whoever says too much is not excused");
}

#[tokio::test]
async fn peeking_leaves_the_stanza_there() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    switchboard.route(&peer(), tell(&peer(), "s")).unwrap();
    assert_eq!(wire.peek().await.unwrap().payload(), &data("s"));
    assert_eq!(wire.next().await.unwrap().payload(), &data("s"));
}

#[tokio::test]
async fn a_taken_wire_goes_on_and_what_is_left_is_closed() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    let mut taken = wire.take();
    assert_eq!(wire.next().await.unwrap_err(), Gone::Closed);
    drop(wire);
    switchboard.route(&peer(), tell(&peer(), "s")).unwrap();
    assert!(taken.next().await.is_ok());
}

#[tokio::test]
async fn what_came_before_the_end_is_heard_before_it() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    switchboard.route(&peer(), tell(&peer(), "s")).unwrap();
    switchboard.hang_up(&peer(), Gone::Peer);
    assert!(wire.next().await.is_ok());
    assert_eq!(wire.next().await.unwrap_err(), Gone::Peer);
    assert!(wire.next().await.is_err());
}

#[tokio::test]
async fn a_lost_session_ends_every_wire() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wires: Vec<_> = ["s", "t"]
        .map(|sid| stanzas.claim(peer(), sid.into()).unwrap())
        .into();
    switchboard.hang_up_all(Gone::Session);
    for wire in &mut wires {
        assert_eq!(wire.next().await.unwrap_err(), Gone::Session);
    }
}

#[tokio::test]
async fn a_flood_cuts_the_wire_and_holds_no_more() {
    let (stanzas, mut outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    let mut taken = 0;
    while switchboard.route(&peer(), ask(&switchboard, "s")).is_ok() {
        taken += 1;
        assert!(taken < 10_000, "no bound");
    }
    // One question was too many and was refused, and one came after the end.
    for _ in 0..2 {
        assert!(
            matches!(outbox.next().await, Some(Outbound::Answer(answer)) if answer.outcome.is_err())
        );
    }
    for _ in 0..taken - 1 {
        assert!(wire.next().await.is_ok());
    }
    assert_eq!(wire.next().await.unwrap_err(), Gone::Overflow);
}

#[tokio::test]
async fn an_old_wire_does_not_release_the_claim_of_its_successor() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let old = stanzas.claim(peer(), "s".into()).unwrap();
    switchboard.hang_up_all(Gone::Session);
    let _new = stanzas.claim(peer(), "s".into()).unwrap();
    drop(old);
    assert!(stanzas.claim(peer(), "s".into()).is_none());
}

#[tokio::test]
async fn a_dropped_question_is_answered_all_the_same() {
    let (_stanzas, mut outbox, switchboard) = Stanzas::pair();
    drop(ask(&switchboard, "s"));
    let Some(Outbound::Answer(answer)) = outbox.next().await else {
        panic!("no answer")
    };
    let condition = answer.outcome.unwrap_err().defined_condition;
    assert_eq!(condition, DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn questions_are_handed_back_when_too_many_answers_are_withheld() {
    let (_stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut withheld = Vec::new();
    while let Ok(ask) = switchboard.ask(peer(), "1".to_owned(), data("s")) {
        withheld.push(ask);
        assert!(withheld.len() < 100_000, "no bound");
    }
}

#[tokio::test]
async fn one_contact_cannot_use_up_the_places_of_others() {
    let (_stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut withheld = Vec::new();
    for resource in 0.. {
        let from: Jid = format!("mallory@example.org/{resource}").parse().unwrap();
        match switchboard.ask(from, "1".to_owned(), data("s")) {
            Ok(ask) => withheld.push(ask),
            Err(_) => break,
        }
        assert!(withheld.len() < 100_000, "no bound");
    }
    let mallory: Jid = "mallory@example.org/x".parse().unwrap();
    let ask = |from: Jid| switchboard.ask(from, "1".to_owned(), data("s"));
    assert!(ask(peer()).is_ok());
    withheld.clear();
    assert!(ask(mallory.clone()).is_ok());
    let excess = switchboard.excess().await;
    assert_eq!(excess.bound, Bound::Answers);
    assert_eq!(excess.who, Some(mallory.to_bare().into()));
}

/// Something with so many letters.
fn large(from: &Jid, sid: &str, size: usize) -> Inbound {
    let mut payload = data(sid);
    payload.append_text("A".repeat(size));
    Inbound::Tell(Tell {
        from: from.clone(),
        payload,
    })
}

#[tokio::test]
async fn the_wires_of_a_contact_hold_a_bounded_number_of_bytes_together() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wires = Vec::new();
    let mut held = 0;
    for number in 0..200 {
        let from: Jid = format!("mallory@example.org/{number}").parse().unwrap();
        wires.push(stanzas.claim(from.clone(), "s".into()).unwrap());
        switchboard
            .route(&from, large(&from, "s", 400_000))
            .unwrap();
        // A wire that is cut is claimed no more.
        held += 400_000 * usize::from(switchboard.peers().contains(&from));
    }
    assert!((16_000_000..40_000_000).contains(&held), "{held}");
    let excess = switchboard.excess().await;
    assert_eq!(excess.bound, Bound::Unread);
    assert_eq!(excess.who, Some("mallory@example.org".parse().unwrap()));
    let _wire = stanzas.claim(peer(), "s".into()).unwrap();
    switchboard
        .route(&peer(), large(&peer(), "s", 400_000))
        .unwrap();
    assert!(switchboard.peers().contains(&peer()), "another one was cut");
    // What is read, or dropped, makes room again.
    wires.truncate(10);
    let from: Jid = "mallory@example.org/x".parse().unwrap();
    let mut wire = stanzas.claim(from.clone(), "s".into()).unwrap();
    for _ in 0..200 {
        switchboard
            .route(&from, large(&from, "s", 400_000))
            .unwrap();
        wire.next().await.unwrap();
    }
}

#[tokio::test]
async fn occupants_of_a_room_count_apart() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let room: Jid = "hall@rooms.example.org".parse().unwrap();
    switchboard.attend(room.to_bare());
    let mut withheld = Vec::new();
    let mallory: Jid = "hall@rooms.example.org/mallory".parse().unwrap();
    let ask = |from: &Jid| switchboard.ask(from.clone(), "1".to_owned(), data("s"));
    while let Ok(ask) = ask(&mallory) {
        withheld.push(ask);
    }
    let fernand: Jid = "hall@rooms.example.org/fernand".parse().unwrap();
    assert!(ask(&fernand).is_ok());
    let mut wires = Vec::new();
    for number in 0..200 {
        let sid = number.to_string();
        wires.push(stanzas.claim(mallory.clone(), sid.as_str().into()).unwrap());
        switchboard
            .route(&mallory, large(&mallory, &sid, 400_000))
            .unwrap();
    }
    let mut wire = stanzas.claim(fernand.clone(), "s".into()).unwrap();
    switchboard
        .route(&fernand, large(&fernand, "s", 400_000))
        .unwrap();
    assert!(wire.next().await.is_ok());
}

#[tokio::test]
async fn a_wire_holds_a_bounded_number_of_bytes() {
    let (stanzas, _outbox, switchboard) = Stanzas::pair();
    let mut wire = stanzas.claim(peer(), "s".into()).unwrap();
    let large = |size: usize| large(&peer(), "s", size);
    // What is read makes room again.
    for _ in 0..20 {
        switchboard.route(&peer(), large(200_000)).unwrap();
        wire.next().await.unwrap();
    }
    let mut held = 0;
    while switchboard.route(&peer(), large(200_000)).is_ok() {
        held += 200_000;
        assert!(held < 2_000_000, "no bound");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_has_its_time_also_while_the_lane_is_full() {
    let (stanzas, _outbox, _switchboard) = Stanzas::pair();
    let mut answers = Vec::new();
    for _ in 0..100 {
        let patience = Patience::default();
        let asking = stanzas.ask(Some(peer()), Question::Get, data("s"), patience);
        answers.push(asking.await.unwrap());
    }
    for answer in answers {
        assert!(matches!(answer.await, Err(AskError::TimedOut)));
    }
}

#[tokio::test]
async fn answers_overtake_questions_and_questions_overtake_data() {
    let (stanzas, mut outbox, switchboard) = Stanzas::pair();
    let wire = stanzas.claim(peer(), "s".into()).unwrap();
    wire.voice().tell(data("s")).await.unwrap();
    stanzas.tell(peer(), vec![data("t")]).await.unwrap();
    drop(ask(&switchboard, "u"));
    assert!(matches!(outbox.next().await, Some(Outbound::Answer(_))));
    let payload = |outbound| match outbound {
        Some(Outbound::Tell { mut payloads, .. }) => payloads.remove(0),
        other => panic!("{other:?}"),
    };
    assert_eq!(payload(outbox.next().await), data("t"));
    assert_eq!(payload(outbox.next().await), data("s"));
}

#[tokio::test]
async fn a_question_that_goes_down_with_the_session_fails() {
    let (stanzas, mut outbox, _switchboard) = Stanzas::pair();
    let answer = stanzas
        .ask(Some(peer()), Question::Get, data("s"), Patience::default())
        .await
        .unwrap();
    outbox.clear();
    assert!(matches!(answer.await, Err(AskError::Gone(Gone::Session))));
}

#[tokio::test]
async fn the_bulk_lane_pushes_back() {
    let (stanzas, mut outbox, _switchboard) = Stanzas::pair();
    let wire = stanzas.claim(peer(), "s".into()).unwrap();
    let voice = wire.voice();
    let mut said = 0;
    let full = loop {
        let mut saying = Box::pin(voice.tell(data("s")));
        match futures_util::poll!(saying.as_mut()) {
            std::task::Poll::Ready(result) => result.unwrap(),
            std::task::Poll::Pending => break saying,
        }
        said += 1;
        assert!(said < 10_000, "no bound");
    };
    assert!(outbox.next().await.is_some());
    full.await.unwrap();
}
