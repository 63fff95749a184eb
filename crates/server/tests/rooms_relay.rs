//! What passes between the occupants of a room, and what does not (XEP-0045 §7, §17; XEP-0410).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;
mod room;

use client::Client;
use room::{Stage, condition, has, question, refusal, set};
use tokio_xmpp::Stanza;
use tubes_server::{Server, ServerKind, Setup};
use xmpp_parsers::{
    disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult},
    iq::Iq,
    jid::Jid,
    message::{Message, MessageType},
    minidom::Element,
    muc::user::Status,
    ping::Ping,
    presence::{Presence, Type},
    stanza_error::DefinedCondition,
};

on_every_kind![
    a_question_and_its_answer_cross_the_room,
    an_occupant_who_is_not_there_is_not_found,
    who_is_outside_may_ask_nothing,
    the_service_says_who_is_in,
    an_occupant_answers_pings_of_others_himself,
    a_word_to_all_reaches_all,
    a_word_to_one_reaches_one,
    the_owner_may_forbid_questions,
    two_sessions_of_an_account_may_share_a_nickname,
    the_service_and_its_rooms_are_described,
    no_room_outlives_the_server,
    the_owner_alone_is_given_the_form,
];

async fn a_question_and_its_answer_cross_the_room(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let seat = Jid::from(stage.occupant("fernand"));
    let asked = riddle("question", 4096);
    let mut sent = set(&seat, &String::from(&asked));
    *sent.id_mut() = "riddle".to_owned();
    alice.send(sent).await;
    let Iq::Set {
        from,
        to,
        id,
        payload,
    } = question(&mut fernand).await
    else {
        panic!("no order");
    };
    // The two real ones change the id, each in its own way: only who asked knows it again.
    assert_eq!(from, Some(stage.occupant("alice").into()));
    assert_eq!(to, Some(fernand.jid.clone().into()));
    assert_eq!(payload, asked);
    let answered = riddle("answer", 4096);
    let answer = Iq::Result {
        from: None,
        to: from,
        id,
        payload: Some(answered.clone()),
    };
    fernand.send(answer).await;
    let came = alice
        .find(|stanza| match stanza {
            Stanza::Iq(iq @ Iq::Result { .. }) if iq.id() == "riddle" => Some(iq.clone()),
            _ => None,
        })
        .await;
    assert_eq!(came.from(), Some(&seat));
    assert_eq!(came.to(), Some(&alice.jid.clone().into()));
    let Iq::Result { payload, .. } = came else {
        panic!("no answer: {came:?}");
    };
    assert_eq!(payload, Some(answered));
}

async fn an_occupant_who_is_not_there_is_not_found(kind: ServerKind) {
    let Some((stage, mut alice, _fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let answer = stage.ping(&mut alice, "nobody").await;
    assert_eq!(condition(&answer), DefinedCondition::ItemNotFound);
    assert_eq!(answer.from(), Some(&stage.occupant("nobody").into()));
}

async fn who_is_outside_may_ask_nothing(kind: ServerKind) {
    let Some((stage, _alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let mut carol = stage.online("carol").await;
    let answer = stage.ping(&mut carol, "fernand").await;
    assert_eq!(condition(&answer), DefinedCondition::NotAcceptable);
    let so_far = fernand.all_so_far().await;
    let asked = |stanza: &Stanza| matches!(stanza, Stanza::Iq(Iq::Get { .. } | Iq::Set { .. }));
    assert!(!so_far.iter().any(asked), "{so_far:?}");
}

async fn the_service_says_who_is_in(kind: ServerKind) {
    let Some((stage, _alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let answer = stage.ping(&mut fernand, "fernand").await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
    assert_eq!(answer.from(), Some(&stage.occupant("fernand").into()));
    let gone = Presence::unavailable().with_to(stage.occupant("fernand"));
    fernand.send(gone).await;
    stage
        .sees(&mut fernand, "fernand", &Type::Unavailable)
        .await;
    let answer = stage.ping(&mut fernand, "fernand").await;
    assert_eq!(condition(&answer), DefinedCondition::NotAcceptable);
}

async fn an_occupant_answers_pings_of_others_himself(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let seat = Jid::from(stage.occupant("fernand"));
    alice.send(Iq::from_get("there", Ping).with_to(seat)).await;
    let ping = question(&mut fernand).await;
    let asker = Jid::from(stage.occupant("alice"));
    assert_eq!(ping.from(), Some(&asker));
    fernand
        .send(Iq::empty_result(asker, ping.id().to_owned()))
        .await;
    alice
        .find(|stanza| match stanza {
            Stanza::Iq(Iq::Result { id, .. }) if id == "there" => Some(()),
            _ => None,
        })
        .await;
}

async fn a_word_to_all_reaches_all(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let to = Jid::from(stage.room.clone());
    let mut word = Message::groupchat(to).with_body("".into(), "all".to_owned());
    word.id = Some(xmpp_parsers::message::Id("word".to_owned()));
    alice.send(word.clone()).await;
    for who in [&mut alice, &mut fernand] {
        let heard = heard(who, "all").await;
        assert_eq!(heard.type_, MessageType::Groupchat);
        assert_eq!(heard.from, Some(stage.occupant("alice").into()));
        assert_eq!(heard.id, word.id);
    }
    let mut carol = stage.online("carol").await;
    carol.send(word).await;
    let refused = carol
        .find(|stanza| match stanza {
            Stanza::Message(message) if message.type_ == MessageType::Error => {
                Some(message.clone())
            }
            _ => None,
        })
        .await;
    assert_eq!(refused.from, Some(stage.room.clone().into()));
}

async fn a_word_to_one_reaches_one(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let mut carol = stage.online("carol").await;
    stage.enter(&mut carol, "carol").await;
    let to = Jid::from(stage.occupant("fernand"));
    let word = Message::chat(to).with_body("".into(), "one".to_owned());
    alice.send(word).await;
    let heard = heard(&mut fernand, "one").await;
    assert_eq!(heard.from, Some(stage.occupant("alice").into()));
    assert_eq!(heard.to, Some(fernand.jid.clone().into()));
    // What is said later is heard later, and it is not the first.
    let to = Jid::from(stage.room.clone());
    let last = Message::groupchat(to).with_body("".into(), "last".to_owned());
    alice.send(last).await;
    let bodies = carol
        .find(|stanza| match stanza {
            Stanza::Message(message) if !message.bodies.is_empty() => Some(message.bodies.clone()),
            _ => None,
        })
        .await;
    assert!(bodies.values().all(|body| body == "last"), "{bodies:?}");
}

async fn the_owner_may_forbid_questions(kind: ServerKind) {
    if kind == ServerKind::Prosody {
        // It has no such rule.
        return;
    }
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let fields = [("allow_query_users", "0")];
    stage.configure(&mut alice, &fields).await;
    let answer = stage.ping(&mut fernand, "alice").await;
    assert_eq!(condition(&answer), DefinedCondition::NotAllowed);
    // The room itself is still asked.
    let answer = stage.ping(&mut fernand, "fernand").await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
}

async fn two_sessions_of_an_account_may_share_a_nickname(kind: ServerKind) {
    let Some(stage) = Stage::new(kind).await else {
        return;
    };
    let account = stage.server.fresh_account("alice").await.unwrap();
    let mut desk = Client::come_online(stage.server, &account, "desk").await;
    stage.enter(&mut desk, "alice").await;
    stage.configure(&mut desk, &[]).await;
    let mut sofa = Client::come_online(stage.server, &account, "sofa").await;
    sofa.send(stage.knock("alice")).await;
    if kind == ServerKind::Embedded {
        // The real ones make one occupant of both.
        let why = refusal(&stage, &mut sofa).await;
        assert_eq!(why, DefinedCondition::Conflict);
        stage.enter(&mut sofa, "alice-too").await;
        return;
    }
    let own = stage.sees(&mut sofa, "alice", &Type::None).await;
    assert!(has(&own, Status::SelfPresence), "{own:?}");
    let mut fernand = stage.online("fernand").await;
    stage.enter(&mut fernand, "fernand").await;
    let seat = stage.occupant("alice");
    fernand
        .send(Iq::from_get("ping", Ping).with_to(seat.into()))
        .await;
    // One of the two is asked: in Prosody the first, in ejabberd the last who came. What is seen
    // of both is in Prosody what either showed last, in ejabberd what the last who came shows.
    let asked = match kind {
        ServerKind::Prosody => &mut desk,
        _ => &mut sofa,
    };
    let ping = question(asked).await;
    assert_eq!(ping.from(), Some(&stage.occupant("fernand").into()));
}

async fn the_service_and_its_rooms_are_described(kind: ServerKind) {
    let Some((stage, mut alice, _fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let service = Jid::from(stage.server.rooms().clone());
    let items = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let items = Iq::from_get("items", items).with_to(stage.server.domain().clone().into());
    let items = DiscoItemsResult::try_from(payload(alice.ask(items).await)).unwrap();
    assert!(items.items.iter().any(|item| item.jid == service));
    for to in [service, stage.room.clone().into()] {
        let info = Iq::from_get("info", DiscoInfoQuery { node: None }).with_to(to);
        let info = DiscoInfoResult::try_from(payload(alice.ask(info).await)).unwrap();
        let text = |identity: &xmpp_parsers::disco::Identity| {
            identity.category == "conference" && identity.type_ == "text"
        };
        assert!(info.identities.iter().any(text), "{info:?}");
        let muc = "http://jabber.org/protocol/muc";
        assert!(info.features.contains(muc), "{info:?}");
    }
}

#[tokio::test]
async fn nobody_speaks_as_another_one() {
    // The real ones end the stream of who tries, or correct it likewise.
    let stage = Stage::with_two(ServerKind::Embedded).await;
    let (stage, mut alice, mut fernand) = stage.unwrap();
    let mut carol = stage.online("carol").await;
    stage.enter(&mut carol, "carol").await;
    let lie = Iq::from_get("lie", Ping).with_to(stage.occupant("fernand").into());
    carol
        .send(lie.with_from(stage.occupant("alice").into()))
        .await;
    let asked = question(&mut fernand).await;
    assert_eq!(asked.from(), Some(&stage.occupant("carol").into()));
    let to = Jid::from(stage.room.clone());
    let mut lie = Message::groupchat(to).with_body("".into(), "lie".to_owned());
    lie.from = Some(stage.occupant("fernand").into());
    carol.send(lie).await;
    let heard = heard(&mut alice, "lie").await;
    assert_eq!(heard.from, Some(stage.occupant("carol").into()));
}

#[tokio::test]
async fn a_room_can_be_forgotten_without_a_word() {
    let stage = Stage::with_two(ServerKind::Embedded).await;
    let (stage, mut alice, mut fernand) = stage.unwrap();
    fernand.all_so_far().await;
    assert!(stage.server.forget_room(&stage.room));
    assert!(!stage.server.forget_room(&stage.room));
    assert!(fernand.all_so_far().await.is_empty());
    let answer = stage.ping(&mut fernand, "fernand").await;
    assert_eq!(condition(&answer), DefinedCondition::ItemNotFound);
    // The next one who comes makes another one.
    alice.all_so_far().await;
    let own = stage.enter(&mut alice, "alice").await;
    assert!(has(&own, Status::RoomHasBeenCreated), "{own:?}");
}

async fn no_room_outlives_the_server(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let mut server = Server::start(kind, Setup::new()).await.unwrap();
    let account = server.fresh_account("alice").await.unwrap();
    let seat = format!("room@{}/alice", server.rooms());
    for _ in 0..2 {
        let mut alice = Client::come_online(&server, &account, "tubes").await;
        let knock = Presence::available().with_payload(xmpp_parsers::muc::Muc::new());
        alice
            .send(knock.with_to(seat.parse::<Jid>().unwrap()))
            .await;
        let own = alice
            .presence(|p| p.from.as_ref().is_some_and(|from| from.as_str() == seat))
            .await;
        assert!(has(&own, Status::RoomHasBeenCreated), "{own:?}");
        server.restart().await.unwrap();
    }
}

async fn the_owner_alone_is_given_the_form(kind: ServerKind) {
    let Some((stage, mut alice, mut fernand)) = Stage::with_two(kind).await else {
        return;
    };
    let question = || Iq::Get {
        from: None,
        to: Some(stage.room.clone().into()),
        id: "form".to_owned(),
        payload: Element::bare("query", "http://jabber.org/protocol/muc#owner"),
    };
    let query = payload(alice.ask(question()).await);
    let form = query.get_child("x", "jabber:x:data").unwrap();
    let mut names = form.children().filter_map(|field| field.attr("var"));
    assert!(names.any(|name| name == "muc#roomconfig_whois"), "{form:?}");
    let answer = fernand.ask(question()).await;
    assert_eq!(condition(&answer), DefinedCondition::Forbidden);
}

/// So many bytes that nobody but the two understands.
fn riddle(name: &str, size: usize) -> Element {
    Element::builder(name, "urn:example:riddles")
        .append("x".repeat(size))
        .build()
}

/// The first message that says this.
async fn heard(who: &mut Client, body: &str) -> Message {
    who.find(|stanza| match stanza {
        Stanza::Message(message) if message.bodies.values().any(|said| said == body) => {
            Some(message.clone())
        }
        _ => None,
    })
    .await
}

fn payload(answer: Iq) -> Element {
    match answer {
        Iq::Result {
            payload: Some(payload),
            ..
        } => payload,
        other => panic!("no result: {other:?}"),
    }
}
