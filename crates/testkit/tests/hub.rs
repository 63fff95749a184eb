//! What the hub promises to the tests that stand on it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

use std::time::Duration;

use tubes_testkit::{Fate, Hub};
use tubes_transport::{AskError, Gone, Inbound, Patience, Question, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;

fn alice() -> FullJid {
    "alice@tubes.example/desk".parse().unwrap()
}

fn fernand() -> FullJid {
    "fernand@tubes.example/lab".parse().unwrap()
}

fn said(sid: &str) -> Element {
    format!("<said xmlns='urn:test' sid='{sid}'/>")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn carries_a_question_and_its_answer() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    let to = Some(Jid::from(fernand()));
    let patience = Patience::default();
    let answer = a.ask(to, Question::Set, said("s"), patience).await.unwrap();
    let Inbound::Ask(ask) = wire.next().await.unwrap() else {
        panic!("not a question");
    };
    assert_eq!(*ask.from(), Jid::from(alice()));
    ask.grant(Some(said("answer")));
    assert_eq!(answer.await.unwrap(), Some(said("answer")));
    let passed = hub.transcript();
    assert_eq!(passed.len(), 2);
    assert_eq!(passed[0].0, alice());
    assert_eq!(passed[1].1.attr("type"), Some("result"));
    assert_eq!(passed[0].1.attr("id"), passed[1].1.attr("id"));
}

#[tokio::test]
async fn gives_unclaimed_stanzas_to_the_test_or_refuses_them() {
    let (a, _b, hub) = Hub::pair(alice(), fernand());
    let to = || Some(Jid::from(fernand()));
    let patience = Patience::WhileAlive;
    let answer = a.ask(to(), Question::Get, said("x"), patience).await;
    assert!(matches!(
        answer.unwrap().await.unwrap_err(),
        AskError::Refused(_)
    ));
    let mut unclaimed = hub.unclaimed(&fernand());
    a.tell(fernand().into(), vec![said("y")]).await.unwrap();
    assert_eq!(unclaimed.recv().await.unwrap().payload(), &said("y"));
}

#[tokio::test]
async fn a_cut_fails_what_is_pending_and_hangs_up_the_wires() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    let to = Some(Jid::from(fernand()));
    let patience = Patience::WhileAlive;
    let answer = a.ask(to, Question::Set, said("s"), patience).await.unwrap();
    let _withheld = wire.next().await.unwrap();
    hub.cut();
    let why = answer.await.unwrap_err();
    assert!(matches!(why, AskError::Gone(Gone::Session)));
    assert_eq!(wire.next().await.unwrap_err(), Gone::Session);
}

#[tokio::test]
async fn hanging_up_ends_wires_and_questions_to_that_end_only() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut there = a.claim(fernand().into(), StreamId::from("s")).unwrap();
    let mut here = b.claim(alice().into(), StreamId::from("s")).unwrap();
    let to = Some(Jid::from(fernand()));
    let patience = Patience::WhileAlive;
    let answer = a.ask(to, Question::Set, said("s"), patience).await.unwrap();
    let _withheld = here.next().await.unwrap();
    hub.hang_up(&fernand());
    assert!(matches!(
        answer.await.unwrap_err(),
        AskError::Gone(Gone::Peer)
    ));
    assert_eq!(there.next().await.unwrap_err(), Gone::Peer);
    a.tell(fernand().into(), vec![said("s")]).await.unwrap();
    assert!(here.next().await.is_ok());
}

#[tokio::test]
async fn a_filter_drops_and_replaces() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    hub.set_filter(|stanza| match stanza.children().next() {
        Some(child) if child.attr("sid") == Some("lost") => Fate::Drop,
        Some(child) if child.attr("sid") == Some("turned") => Fate::Replace(said("s")),
        _ => Fate::Pass,
    });
    let to = || Some(Jid::from(fernand()));
    let patience = Patience::Within(Duration::from_millis(1));
    let lost = a.ask(to(), Question::Set, said("lost"), patience).await;
    assert!(matches!(lost.unwrap().await, Err(AskError::TimedOut)));
    a.tell(fernand().into(), vec![said("turned")])
        .await
        .unwrap();
    assert_eq!(wire.next().await.unwrap().payload(), &said("s"));
}

#[tokio::test]
async fn what_one_end_says_never_reaches_the_wire_to_another() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let other: FullJid = "alice@tubes.example/phone".parse().unwrap();
    let _c = hub.join(other.clone());
    let mut wire = b.claim(other.into(), StreamId::from("s")).unwrap();
    let mut unclaimed = hub.unclaimed(&fernand());
    a.tell(fernand().into(), vec![said("s")]).await.unwrap();
    assert_eq!(unclaimed.recv().await.unwrap().payload(), &said("s"));
    hub.cut();
    assert_eq!(wire.next().await.unwrap_err(), Gone::Session);
}

#[tokio::test]
async fn dropping_the_hub_cuts_every_end() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    drop(hub);
    assert_eq!(wire.next().await.unwrap_err(), Gone::Session);
    let to = Some(Jid::from(fernand()));
    let patience = Patience::WhileAlive;
    let answered = match a.ask(to, Question::Get, said("s"), patience).await {
        Ok(answer) => answer.await,
        Err(gone) => Err(gone.into()),
    };
    assert!(matches!(answered, Err(AskError::Gone(Gone::Session))));
}

#[tokio::test]
async fn a_filter_duplicates_and_reorders() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    hub.set_filter(
        |stanza| match stanza.children().next().and_then(|child| child.attr("n")) {
            Some("1") => Fate::HoldBack,
            Some("2") => Fate::Duplicate,
            _ => Fate::Pass,
        },
    );
    let numbered = |n: u8| {
        let said = format!("<said xmlns='urn:test' sid='s' n='{n}'/>");
        said.parse::<Element>().unwrap()
    };
    let said = [1, 2, 3].map(numbered).to_vec();
    a.tell(fernand().into(), said).await.unwrap();
    for expected in [2, 2, 1, 3] {
        assert_eq!(wire.next().await.unwrap().payload(), &numbered(expected));
    }
}

#[tokio::test]
async fn a_question_that_arrives_twice_is_answered_once() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let mut wire = b.claim(alice().into(), StreamId::from("s")).unwrap();
    hub.set_filter(|_| Fate::Duplicate);
    let to = Some(Jid::from(fernand()));
    let patience = Patience::default();
    let answer = a.ask(to, Question::Set, said("s"), patience).await.unwrap();
    for _ in 0..2 {
        let Inbound::Ask(ask) = wire.next().await.unwrap() else {
            panic!("not a question");
        };
        ask.grant(None);
    }
    assert_eq!(answer.await.unwrap(), None);
    assert_eq!(hub.pending(), 0);
}

#[tokio::test]
async fn a_filter_cuts_its_sender_off_or_its_receiver() {
    for (fate, arrives, lost) in [
        (Fate::Cut, false, Gone::Session),
        (Fate::CutAfter, true, Gone::Session),
        (Fate::Garble, false, Gone::Peer),
    ] {
        let (a, b, hub) = Hub::pair(alice(), fernand());
        let mut there = a.claim(fernand().into(), StreamId::from("s")).unwrap();
        let mut here = b.claim(alice().into(), StreamId::from("s")).unwrap();
        hub.set_filter(move |_| fate.clone());
        let to = Some(Jid::from(fernand()));
        let patience = Patience::WhileAlive;
        let answer = a.ask(to, Question::Set, said("s"), patience).await.unwrap();
        assert!(matches!(answer.await, Err(AskError::Gone(gone)) if gone == lost));
        assert_eq!(there.next().await.unwrap_err(), lost);
        assert_eq!(here.next().await.is_ok(), arrives);
        if arrives {
            assert_eq!(here.next().await.unwrap_err(), Gone::Peer);
        }
        assert_eq!(hub.pending(), 0);
    }
}
