//! Who gets which message and which IQ from the embedded server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Client;
use futures_util::SinkExt;
use tokio_xmpp::Stanza;
use tubes_server::{Account, Server, ServerKind};
use xmpp_parsers::{
    disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery},
    iq::Iq,
    jid::Jid,
    message::{Message, MessageType},
    minidom::Element,
    ping::Ping,
    presence::Presence,
    stanza_error::{DefinedCondition, StanzaError},
    stream_error::DefinedCondition as StreamCondition,
};

async fn server() -> &'static Server {
    Server::shared(ServerKind::Embedded).await.unwrap()
}

async fn account(name: &str) -> Account {
    server().await.fresh_account(name).await.unwrap()
}

async fn online(account: &Account, resource: &str) -> Client {
    Client::come_online(server().await, account, resource).await
}

fn info(to: impl Into<Jid>) -> Iq {
    Iq::from_get("info", DiscoInfoQuery { node: None }).with_to(to.into())
}

fn condition(answer: &Iq) -> DefinedCondition {
    match answer {
        Iq::Error { error, .. } => error.defined_condition.clone(),
        other => panic!("no error: {other:?}"),
    }
}

async fn message(client: &mut Client) -> Message {
    client
        .find(|stanza| match stanza {
            Stanza::Message(message) => Some(message.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn an_iq_reaches_the_full_jid_and_its_answer_comes_back() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let (mut alice, mut fernand) = (online(&alice, "a").await, online(&fernand, "f").await);
    alice
        .send(Iq::from_get("one", Ping).with_to(fernand.jid.clone().into()))
        .await;
    let asked = fernand
        .find(|stanza| match stanza {
            Stanza::Iq(iq @ Iq::Get { .. }) => Some(iq.clone()),
            _ => None,
        })
        .await;
    assert_eq!(asked.from().unwrap(), &Jid::from(alice.jid.clone()));
    fernand
        .send(Iq::empty_result(alice.jid.clone().into(), asked.id()))
        .await;
    alice
        .find(|stanza| matches!(stanza, Stanza::Iq(iq) if iq.id() == "one").then_some(()))
        .await;
}

#[tokio::test]
async fn the_server_says_who_a_stanza_is_from() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let (mut alice, mut fernand) = (online(&alice, "a").await, online(&fernand, "f").await);
    let mut lie = Message::chat(Jid::from(fernand.jid.clone()));
    lie.from = Some(fernand.jid.clone().into());
    alice.send(lie).await;
    let from = message(&mut fernand).await.from.unwrap();
    assert_eq!(from, Jid::from(alice.jid.clone()));
}

#[tokio::test]
async fn an_iq_to_nobody_is_answered_with_service_unavailable() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let mut alice = online(&alice, "a").await;
    let absent = fernand.jid.with_resource_str("absent").unwrap();
    let answer = alice.ask(info(absent.clone())).await;
    assert_eq!(condition(&answer), DefinedCondition::ServiceUnavailable);
    assert_eq!(answer.from().unwrap(), &Jid::from(absent));
    let unknown: Jid = format!("nobody@{}/x", server().await.domain())
        .parse()
        .unwrap();
    let answer = alice.ask(info(unknown)).await;
    assert_eq!(condition(&answer), DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn another_domain_is_not_found() {
    let mut alice = online(&account("alice").await, "a").await;
    let far: Jid = "fernand@elsewhere.test/x".parse().unwrap();
    let answer = alice.ask(info(far)).await;
    assert_eq!(condition(&answer), DefinedCondition::RemoteServerNotFound);
}

#[tokio::test]
async fn the_domain_and_the_own_account_are_described() {
    let server = server().await;
    let mut alice = online(&account("alice").await, "a").await;
    for (to, category) in [
        (server.domain().clone(), "server"),
        (alice.jid.to_bare(), "account"),
    ] {
        let Iq::Result { payload, .. } = alice.ask(info(to)).await else {
            panic!("not described");
        };
        let info = DiscoInfoResult::try_from(payload.unwrap()).unwrap();
        assert_eq!(info.identities.first().unwrap().category, category);
    }
    let items = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let items = Iq::from_get("items", items).with_to(server.domain().clone().into());
    assert!(matches!(alice.ask(items).await, Iq::Result { .. }));
}

#[tokio::test]
async fn strangers_learn_nothing_of_an_account() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let mut alice = online(&alice, "a").await;
    let answer = alice.ask(info(fernand.jid)).await;
    assert_eq!(condition(&answer), DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn an_unknown_question_is_refused() {
    let mut alice = online(&account("alice").await, "a").await;
    let payload: Element = "<riddle xmlns='urn:example:riddles'/>".parse().unwrap();
    let question = |to| Iq::Get {
        from: None,
        to,
        id: "riddle".to_owned(),
        payload: payload.clone(),
    };
    let answer = alice.ask(question(None)).await;
    assert_eq!(condition(&answer), DefinedCondition::ServiceUnavailable);
    let domain = server().await.domain().clone();
    let answer = alice.ask(question(Some(domain.into()))).await;
    assert_eq!(condition(&answer), DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn a_message_to_an_absent_resource_comes_back() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let mut alice = online(&alice, "a").await;
    let _fernand = online(&fernand, "present").await;
    let absent = fernand.jid.with_resource_str("absent").unwrap();
    alice.send(Message::normal(Jid::from(absent.clone()))).await;
    let answer = message(&mut alice).await;
    assert_eq!(answer.type_, MessageType::Error);
    assert_eq!(answer.from.unwrap(), Jid::from(absent));
    let error = answer
        .payloads
        .into_iter()
        .find_map(|p| StanzaError::try_from(p).ok());
    let condition = error.unwrap().defined_condition;
    assert_eq!(condition, DefinedCondition::ServiceUnavailable);
}

#[tokio::test]
async fn a_message_to_the_account_reaches_all_who_want_it() {
    let (alice, fernand) = (account("alice").await, account("fernand").await);
    let mut alice = online(&alice, "a").await;
    let (mut one, mut two) = (online(&fernand, "one").await, online(&fernand, "two").await);
    let mut shy = Client::log_in(server().await, &fernand, "shy").await;
    shy.be_present(Presence::available().with_priority(-1))
        .await;
    alice
        .send(Message::chat(Jid::from(fernand.jid.clone())))
        .await;
    message(&mut one).await;
    message(&mut two).await;
    // It went to all three or to two under one lock, so the answer to a ping comes after it.
    let so_far = shy.all_so_far().await;
    assert!(
        !so_far
            .iter()
            .any(|stanza| matches!(stanza, Stanza::Message(_))),
        "{so_far:?}"
    );
}

#[tokio::test]
async fn a_resource_taken_twice_goes_to_the_newcomer() {
    let alice = account("alice").await;
    let mut old = online(&alice, "a").await;
    let mut new = online(&alice, "a").await;
    assert_eq!(old.end().await, StreamCondition::Conflict);
    let answer = new.ask(Iq::from_get("still", Ping)).await;
    assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_stanza_that_is_none_is_refused_and_the_stream_goes_on() {
    let mut alice = online(&account("alice").await, "a").await;
    let nothing_asked = Iq::Result {
        from: None,
        to: None,
        id: "x".to_owned(),
        payload: None,
    };
    alice.send(nothing_asked).await;
    let stanza: Element = "<iq xmlns='jabber:client' type='get' id='empty'/>"
        .parse()
        .unwrap();
    alice.stream.send(&stanza).await.unwrap();
    let answer = alice
        .find(|stanza| match stanza {
            Stanza::Iq(iq) if iq.id() == "empty" => Some(iq.clone()),
            _ => None,
        })
        .await;
    assert_eq!(condition(&answer), DefinedCondition::BadRequest);
}
