//! The session, as an application uses it beside its tubes.

use tubes::{Disregarded, Event, Heard, Jid, ShareError, SharedSession};
use tubes_server::{Server, ServerKind};
use tubes_transport::{AskError, Patience, Question};
use xmpp_parsers::message::{Lang, Message};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::stage::{Family, Person, Service, Shared, echo, exchange, patiently, share};

crate::on_each_server!(
    an_application_chats_beside_its_tubes,
    messages_are_disregarded_when_the_application_does_not_hear_them,
    questions_that_are_no_tubes_reach_the_application,
    contacts_see_what_the_application_shows,
    one_part_of_an_application_has_the_session,
);

async fn an_application_chats_beside_its_tubes(server: &Server) {
    let mut shared = shared(server).await;
    let (mut alices, mut fernands) = sessions(&shared).await;
    let to = shared.alice.online().await;
    fernands
        .send_message(chat(to.into(), "hello"))
        .await
        .unwrap();
    let heard = message(&mut alices).await;
    assert!(says(&heard, "hello"));
    patiently("the tube works", exchange(&shared.address))
        .await
        .unwrap();
    let answer = chat(heard.from.unwrap(), "and good day");
    alices.send_message(answer).await.unwrap();
    let heard = message(&mut fernands).await;
    assert!(says(&heard, "and good day"));
    shared.leave().await;
}

/// That nobody heeds a message is told only where that is so.
async fn messages_are_disregarded_when_the_application_does_not_hear_them(server: &Server) {
    let mut shared = shared(server).await;
    let (mut alices, fernands) = sessions(&shared).await;
    let to = shared.alice.online().await;
    for _ in 0..2 {
        let said = chat(to.clone().into(), "hello");
        fernands.send_message(said).await.unwrap();
    }
    for _ in 0..2 {
        message(&mut alices).await;
    }
    drop(alices);
    let said = chat(to.into(), "are you there?");
    fernands.send_message(said).await.unwrap();
    let disregarded = |event: &Event| match event {
        Event::Disregarded { what, peer } => Some((*what, peer.clone())),
        _ => None,
    };
    let (what, peer) = shared.alice.event(disregarded).await;
    assert_eq!(what, Disregarded::Message);
    assert_eq!(peer, Jid::from(shared.fernand.jid.clone()));
    let (of_alice, _) = shared.leave().await;
    assert!(!of_alice.iter().any(|event| disregarded(event).is_some()));
}

async fn questions_that_are_no_tubes_reach_the_application(server: &Server) {
    let mut shared = shared(server).await;
    let mut alices = of(&shared.alice).await;
    let to = shared.alice.online().await;
    let stanzas = shared.fernand.tubes.stanzas().clone();
    let asking = tokio::spawn(async move {
        let question = Element::bare("riddle", "urn:example:riddles");
        let asked = stanzas.ask(
            Some(to.into()),
            Question::Get,
            question,
            Patience::default(),
        );
        asked.await.unwrap().await
    });
    loop {
        if let Heard::Ask(ask) = patiently("it is asked", alices.next()).await.unwrap() {
            assert!(ask.payload().is("riddle", "urn:example:riddles"));
            ask.grant(Some(Element::bare("answer", "urn:example:riddles")));
            break;
        }
    }
    let answer = patiently("it is answered", asking).await.unwrap();
    assert_eq!(answer.unwrap().unwrap().name(), "answer");
    shared.leave().await;
}

/// And what it can do besides, or nobody would offer it tubes any more.
async fn contacts_see_what_the_application_shows(server: &Server) {
    let shared = shared(server).await;
    let (alices, mut fernands) = sessions(&shared).await;
    let mut shown = Presence::available();
    shown.set_status("", "at the beach".to_owned());
    alices.send_presence(shown).await.unwrap();
    loop {
        let heard = patiently("it is seen", fernands.next()).await.unwrap();
        let Heard::Presence(presence) = heard else {
            continue;
        };
        if presence
            .statuses
            .values()
            .any(|status| status == "at the beach")
        {
            let caps = |payload: &Element| payload.is("c", "http://jabber.org/protocol/caps");
            assert!(presence.payloads.iter().any(caps));
            break;
        }
    }
    patiently("the tube works", exchange(&shared.address))
        .await
        .unwrap();
    shared.leave().await;
}

async fn one_part_of_an_application_has_the_session(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let session = of(&alice).await;
    let again = alice.tubes.share_session().await;
    assert!(matches!(again, Err(ShareError::Already)));
    drop(session);
    of(&alice).await;
    alice.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_application_is_told_what_it_lost_and_holds_nobody_up() {
    crate::stage::on(ServerKind::Embedded, |server| async move {
        let mut shared = shared(server).await;
        let (mut alices, fernands) = sessions(&shared).await;
        let to = shared.alice.online().await;
        for _ in 0..FLOOD {
            fernands
                .send_message(chat(to.clone().into(), "again"))
                .await
                .unwrap();
        }
        fernands
            .send_message(chat(to.clone().into(), "last"))
            .await
            .unwrap();
        // What comes behind all that is served, although nobody has read it.
        patiently("the tube works", exchange(&shared.address))
            .await
            .unwrap();
        let mut seen = 0;
        let missed = loop {
            match patiently("it hears", alices.next()).await.unwrap() {
                Heard::Missed(missed) => break missed,
                _ => seen += 1,
            }
        };
        assert!(missed > 0 && seen <= FLOOD, "{missed} of {seen}");
        shared.leave().await;
    })
    .await;
}

/// A few that say much take as much as many that say little.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_slow_application_is_bounded_by_what_it_says() {
    crate::stage::on(ServerKind::Embedded, |server| async move {
        let mut shared = shared(server).await;
        let (mut alices, fernands) = sessions(&shared).await;
        let to = shared.alice.online().await;
        let long = "x".repeat(LONG);
        for _ in 0..LONG_ONES {
            let message = chat(to.clone().into(), &long);
            fernands.send_message(message).await.unwrap();
        }
        // There is no place for a question any more, and whoever asks hears so.
        let riddle = "x".repeat(LONG);
        let question = Element::builder("riddle", "urn:example:riddles").append(riddle);
        let asked = shared.fernand.tubes.stanzas().ask(
            Some(to.clone().into()),
            Question::Get,
            question.build(),
            Patience::WhileAlive,
        );
        let answer = patiently("it is answered", asked.await.unwrap()).await;
        let Err(AskError::Refused(why)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(why.defined_condition, DefinedCondition::ResourceConstraint);
        let (mut seen, mut missed) = (0, 0);
        while seen + missed < LONG_ONES {
            match patiently("it hears", alices.next()).await.unwrap() {
                Heard::Missed(lost) => missed += lost,
                Heard::Message(message) if says(&message, &long) => seen += 1,
                _ => {}
            }
        }
        let kept = usize::try_from(seen).unwrap() * LONG;
        assert!(missed > 0 && kept <= KEPT, "{missed} are lost, {seen} kept");
        // Now there is room again.
        let last = chat(to.into(), "last");
        fernands.send_message(last).await.unwrap();
        while !says(&message(&mut alices).await, "last") {}
        shared.leave().await;
    })
    .await;
}

async fn shared(server: &Server) -> Shared {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let shared = share(server, &service.address).await;
    // It serves as long as the test runs.
    std::mem::forget(service);
    shared
}

async fn sessions(shared: &Shared) -> (SharedSession, SharedSession) {
    (of(&shared.alice).await, of(&shared.fernand).await)
}

async fn of(person: &Person) -> SharedSession {
    let sharing = person.tubes.share_session();
    patiently("the session is shared", sharing).await.unwrap()
}

fn chat(to: Jid, text: &str) -> Message {
    Message::chat(to).with_body(Lang::default(), text.to_owned())
}

async fn message(session: &mut SharedSession) -> Message {
    loop {
        let heard = patiently("a message comes", session.next()).await.unwrap();
        // Servers say things of their own in messages without a body.
        if let Heard::Message(message) = heard
            && !message.bodies.is_empty()
        {
            return *message;
        }
    }
}

/// In whatever language the stream is.
fn says(message: &Message, text: &str) -> bool {
    message.bodies.values().any(|body| body == text)
}

/// More than wait for a slow application.
const FLOOD: u64 = 1200;

/// Bytes in a long message.
const LONG: usize = 60_000;

/// Few, and yet more than wait for a slow application.
const LONG_ONES: u64 = 150;

/// Bytes that wait at most.
const KEPT: usize = 4 * 1024 * 1024;
