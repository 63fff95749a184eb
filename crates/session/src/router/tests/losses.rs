//! Contacts and sessions that go, and what is asked of them.

use super::*;
use crate::tracker::SILENCE;

#[tokio::test]
async fn a_contact_that_leaves_takes_its_questions_and_wires_along() {
    let mut bench = Bench::with_fernand();
    bench.fernand_online();
    let answer = bench.ask_fernand(Patience::WhileAlive);
    let jid: Jid = "fernand@example.org/laptop".parse().unwrap();
    let mut wire = bench.stanzas.claim(jid, "s".into()).unwrap();
    bench.receive("<presence type='unavailable' from='fernand@example.org/laptop'/>");
    assert!(matches!(
        answer.await.unwrap(),
        Err(AskError::Gone(Gone::Peer))
    ));
    assert_eq!(wire.next().await.unwrap_err(), Gone::Peer);
    assert!(matches!(
        &bench.events()[..],
        [SessionEvent::Offline { .. }]
    ));
}

#[tokio::test]
async fn a_question_ends_with_its_deadline() {
    let mut bench = Bench::with_fernand();
    let answer = bench.ask_fernand(Patience::Within(Duration::from_secs(5)));
    bench.now += Duration::from_secs(5);
    bench.router.handle_timeout(bench.now);
    assert!(matches!(answer.await.unwrap(), Err(AskError::TimedOut)));
}

#[tokio::test]
async fn a_lost_session_fails_what_was_under_way_at_once() {
    let mut bench = Bench::with_fernand();
    let id = bench.fernand_online().attr("id").unwrap().to_owned();
    bench.receive(&format!(
        "<iq type='result' id='{id}' from='fernand@example.org/laptop'>{TUBES}</iq>"
    ));
    bench.events();
    let answer = bench.ask_fernand(Patience::WhileAlive);
    bench.router.handle_lost();
    assert!(matches!(
        answer.await.unwrap(),
        Err(AskError::Gone(Gone::Session))
    ));
    assert!(matches!(
        &bench.events()[..],
        [SessionEvent::Offline { .. }]
    ));
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_given_up_if_it_is_gone() {
    for (reply, gone) in [
        ("service-unavailable", true),
        ("feature-not-implemented", false),
    ] {
        let mut bench = Bench::with_fernand();
        let mut answer = bench.ask_fernand(Patience::WhileAlive);
        bench.now += SILENCE;
        bench.router.handle_timeout(bench.now);
        let ping = bench.sent().remove(0);
        assert!(ping.get_child("ping", ns::PING).is_some());
        let id = ping.attr("id").unwrap();
        bench.receive(&format!(
            "<iq type='error' id='{id}' from='fernand@example.org/laptop'><error type='cancel'>\
             <{reply} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ));
        assert_eq!(answer.try_recv().is_ok(), gone, "{reply}");
    }
}

#[tokio::test]
async fn too_many_questions_are_refused_on_the_spot() {
    let mut bench = Bench::with_fernand();
    let mut held = Vec::new();
    for id in 0.. {
        assert!(id < 100_000, "no bound");
        bench.receive(&format!(
            "<iq type='set' id='{id}' from='f@example.org/x'><x xmlns='urn:example'/></iq>"
        ));
        held.extend(bench.events());
        if let Some(refusal) = bench.sent().first() {
            assert_eq!(condition(refusal), "resource-constraint");
            break;
        }
    }
    drop(held);
    assert!(matches!(
        bench.outbox.next().await,
        Some(Outbound::Answer(_))
    ));
}

#[test]
fn a_contact_that_changes_faster_than_it_answers_is_asked_one_thing_at_a_time() {
    let mut bench = Bench::with_fernand();
    let mut questions = 0;
    for ver in 0..100_u32 {
        let ver = format!("{ver:04}");
        bench.receive(&format!(
            "<presence from='fernand@example.org/laptop'>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/></presence>"
        ));
        questions += bench.sent().len();
    }
    assert_eq!(questions, 1);
    for _ in 0..10 {
        bench.now += Duration::from_secs(3600);
        bench.router.handle_timeout(bench.now);
        questions += bench.sent().len();
    }
    assert_eq!(questions, 5);
}

#[tokio::test]
async fn a_contact_that_died_and_came_back_under_its_name_is_another_one() {
    let mut bench = Bench::with_fernand();
    let life = |id: u32| {
        format!(
            "<presence from='fernand@example.org/laptop'>\
             <session xmlns='urn:x-tubes:0' id='{id}'/></presence>"
        )
    };
    bench.receive(&life(1));
    bench.sent();
    let jid: Jid = "fernand@example.org/laptop".parse().unwrap();
    let mut wire = bench.stanzas.claim(jid, "s".into()).unwrap();
    bench.receive(&life(1));
    assert!(bench.events().is_empty());
    bench.receive(&life(2));
    assert_eq!(wire.next().await.unwrap_err(), Gone::Peer);
    assert!(matches!(
        &bench.events()[..],
        [SessionEvent::Offline { .. }]
    ));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_pause_of_the_session_makes_nobody_late() {
    let mut bench = Bench::with_fernand();
    let mut answer = bench.ask_fernand(Patience::WhileAlive);
    bench.now += SILENCE * 2;
    bench.router.handle_resumed(bench.now);
    bench.router.handle_timeout(bench.now);
    assert!(bench.sent().is_empty());
    assert!(answer.try_recv().is_err());
}
