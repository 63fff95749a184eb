//! Who sees whom, on every server that is installed: rosters, subscriptions, presence.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;

use client::{Client, shared};
use tokio_xmpp::Stanza;
use tubes_server::{Account, Server, ServerKind};
use xmpp_parsers::{
    iq::Iq,
    jid::{BareJid, Jid},
    presence::{Presence, Show, Type},
    roster::{Ask, Item, Roster, Subscription},
};

/// Two accounts that do not know each other yet.
async fn strangers(server: &Server) -> (Account, Account) {
    let alice = server.fresh_account("alice").await.unwrap();
    (alice, server.fresh_account("fernand").await.unwrap())
}

/// Two online clients that see each other.
async fn friends(server: &Server) -> (Client, Client) {
    let (alice, fernand) = strangers(server).await;
    let mut alice = Client::come_online(server, &alice, "a").await;
    let mut fernand = Client::come_online(server, &fernand, "f").await;
    befriend(&mut alice, &mut fernand).await;
    befriend(&mut fernand, &mut alice).await;
    (alice, fernand)
}

/// `who` asks to see `whom`, who grants it.
async fn befriend(who: &mut Client, whom: &mut Client) {
    who.send(Presence::subscribe().with_to(whom.jid.to_bare()))
        .await;
    let asker = Jid::from(who.jid.to_bare());
    whom.presence(|p| p.type_ == Type::Subscribe && p.from.as_ref() == Some(&asker))
        .await;
    whom.send(Presence::subscribed().with_to(asker)).await;
    who.presence(|p| p.type_ == Type::Subscribed).await;
    sees(who, whom, &Type::None).await;
}

/// Waits until `who` learns that `whom` is there, or is there no more.
async fn sees(who: &mut Client, whom: &Client, what: &Type) -> Presence {
    let from = Jid::from(whom.jid.clone());
    who.presence(|p| p.type_ == *what && p.from.as_ref() == Some(&from))
        .await
}

/// Waits for a roster push that says so of the contact.
async fn pushed(client: &mut Client, jid: &BareJid, subscription: &Subscription, ask: &Ask) {
    client
        .find(|stanza| {
            let Stanza::Iq(Iq::Set { payload, .. }) = stanza else {
                return None;
            };
            let roster = Roster::try_from(payload.clone()).ok()?;
            let [item] = &roster.items[..] else {
                return None;
            };
            let right = item.jid == *jid && item.subscription == *subscription && item.ask == *ask;
            right.then_some(())
        })
        .await;
}

async fn roster(client: &mut Client) -> Vec<Item> {
    let query = Roster {
        ver: None,
        items: Vec::new(),
    };
    match client.ask(Iq::from_get("all", query)).await {
        Iq::Result { payload, .. } => Roster::try_from(payload.unwrap()).unwrap().items,
        other => panic!("no roster: {other:?}"),
    }
}

fn item(jid: &BareJid, name: &str, subscription: Subscription) -> Roster {
    let item = Item {
        jid: jid.clone(),
        name: Some(name.to_owned()),
        subscription,
        ask: Ask::None,
        groups: Vec::new(),
        approved: None,
    };
    Roster {
        ver: None,
        items: vec![item],
    }
}

on_every_kind![
    a_subscription_is_asked_for_and_granted,
    a_request_waits_for_a_contact_who_is_offline,
    both_see_each_other_when_they_come_back,
    a_change_of_presence_reaches_the_friends,
    a_cut_connection_makes_unavailable,
    giving_up_a_subscription_ends_it_on_both_sides,
    revoking_a_subscription_hides_the_account,
    a_refused_request_is_forgotten,
    the_roster_is_changed_and_pushed_to_all_resources,
    removing_a_contact_ends_both_subscriptions,
    directed_presence_reaches_a_stranger_and_ends_with_the_session,
    own_resources_see_each_other,
];

async fn a_subscription_is_asked_for_and_granted(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut alice = Client::come_online(server, &alice, "a").await;
    let mut fernand = Client::come_online(server, &fernand, "f").await;
    let (a, f) = (alice.jid.to_bare(), fernand.jid.to_bare());
    alice.send(Presence::subscribe().with_to(f.clone())).await;
    pushed(&mut alice, &f, &Subscription::None, &Ask::Subscribe).await;
    let asked = fernand.presence(|p| p.type_ == Type::Subscribe).await;
    assert_eq!(asked.from.unwrap(), Jid::from(a.clone()));
    fernand
        .send(Presence::subscribed().with_to(a.clone()))
        .await;
    pushed(&mut fernand, &a, &Subscription::From, &Ask::None).await;
    pushed(&mut alice, &f, &Subscription::To, &Ask::None).await;
    sees(&mut alice, &fernand, &Type::None).await;
}

async fn a_request_waits_for_a_contact_who_is_offline(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut alice = Client::come_online(server, &alice, "a").await;
    alice
        .send(Presence::subscribe().with_to(fernand.jid.clone()))
        .await;
    pushed(
        &mut alice,
        &fernand.jid,
        &Subscription::None,
        &Ask::Subscribe,
    )
    .await;
    let mut fernand = Client::come_online(server, &fernand, "f").await;
    let asked = fernand.presence(|p| p.type_ == Type::Subscribe).await;
    assert_eq!(asked.from.unwrap(), Jid::from(alice.jid.to_bare()));
}

async fn both_see_each_other_when_they_come_back(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut one = Client::come_online(server, &alice, "a").await;
    let mut other = Client::come_online(server, &fernand, "f").await;
    befriend(&mut one, &mut other).await;
    befriend(&mut other, &mut one).await;
    other.cut();
    let gone = fernand.jid.clone();
    one.presence(|p| {
        p.type_ == Type::Unavailable && p.from.as_ref().is_some_and(|f| f.to_bare() == gone)
    })
    .await;
    let mut other = Client::come_online(server, &fernand, "again").await;
    sees(&mut one, &other, &Type::None).await;
    sees(&mut other, &one, &Type::None).await;
}

async fn a_change_of_presence_reaches_the_friends(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (mut alice, mut fernand) = friends(server).await;
    fernand
        .send(Presence::available().with_show(Show::Away))
        .await;
    alice.presence(|p| p.show == Some(Show::Away)).await;
    fernand.send(Presence::unavailable()).await;
    sees(&mut alice, &fernand, &Type::Unavailable).await;
}

async fn a_cut_connection_makes_unavailable(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (mut alice, fernand) = friends(server).await;
    let gone = Jid::from(fernand.jid.clone());
    fernand.cut();
    alice
        .presence(|p| p.type_ == Type::Unavailable && p.from.as_ref() == Some(&gone))
        .await;
}

async fn giving_up_a_subscription_ends_it_on_both_sides(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (mut alice, mut fernand) = friends(server).await;
    let (a, f) = (alice.jid.to_bare(), fernand.jid.to_bare());
    alice.send(Presence::unsubscribe().with_to(f.clone())).await;
    pushed(&mut alice, &f, &Subscription::From, &Ask::None).await;
    pushed(&mut fernand, &a, &Subscription::To, &Ask::None).await;
    // Prosody 0.12 leaves out what RFC 6121 §3.3.3 asks for here.
    if kind != ServerKind::Prosody {
        sees(&mut alice, &fernand, &Type::Unavailable).await;
    }
}

async fn revoking_a_subscription_hides_the_account(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (mut alice, mut fernand) = friends(server).await;
    let (a, f) = (alice.jid.to_bare(), fernand.jid.to_bare());
    alice
        .send(Presence::new(Type::Unsubscribed).with_to(f.clone()))
        .await;
    pushed(&mut alice, &f, &Subscription::To, &Ask::None).await;
    pushed(&mut fernand, &a, &Subscription::From, &Ask::None).await;
    sees(&mut fernand, &alice, &Type::Unavailable).await;
}

async fn a_refused_request_is_forgotten(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut alice = Client::come_online(server, &alice, "a").await;
    let mut fernand = Client::come_online(server, &fernand, "f").await;
    alice
        .send(Presence::subscribe().with_to(fernand.jid.to_bare()))
        .await;
    fernand.presence(|p| p.type_ == Type::Subscribe).await;
    fernand
        .send(Presence::new(Type::Unsubscribed).with_to(alice.jid.to_bare()))
        .await;
    alice.presence(|p| p.type_ == Type::Unsubscribed).await;
    pushed(
        &mut alice,
        &fernand.jid.to_bare(),
        &Subscription::None,
        &Ask::None,
    )
    .await;
    assert_eq!(roster(&mut fernand).await, Vec::new());
}

async fn the_roster_is_changed_and_pushed_to_all_resources(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut one = Client::come_online(server, &alice, "one").await;
    let mut two = Client::come_online(server, &alice, "two").await;
    let set = Iq::from_set("set", item(&fernand.jid, "Fernand", Subscription::None));
    assert!(matches!(one.ask(set).await, Iq::Result { .. }));
    pushed(&mut one, &fernand.jid, &Subscription::None, &Ask::None).await;
    pushed(&mut two, &fernand.jid, &Subscription::None, &Ask::None).await;
    let items = roster(&mut two).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].name.as_deref(), Some("Fernand"));
}

async fn removing_a_contact_ends_both_subscriptions(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (mut alice, mut fernand) = friends(server).await;
    let (a, f) = (alice.jid.to_bare(), fernand.jid.to_bare());
    let set = Iq::from_set("remove", item(&f, "", Subscription::Remove));
    assert!(matches!(alice.ask(set).await, Iq::Result { .. }));
    pushed(&mut alice, &f, &Subscription::Remove, &Ask::None).await;
    pushed(&mut fernand, &a, &Subscription::None, &Ask::None).await;
    sees(&mut fernand, &alice, &Type::Unavailable).await;
    assert_eq!(roster(&mut alice).await, Vec::new());
}

async fn directed_presence_reaches_a_stranger_and_ends_with_the_session(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let (alice, fernand) = strangers(server).await;
    let mut alice = Client::come_online(server, &alice, "a").await;
    let mut fernand = Client::come_online(server, &fernand, "f").await;
    alice
        .send(Presence::available().with_to(fernand.jid.clone()))
        .await;
    sees(&mut fernand, &alice, &Type::None).await;
    let gone = Jid::from(alice.jid.clone());
    alice.cut();
    fernand
        .presence(|p| p.type_ == Type::Unavailable && p.from.as_ref() == Some(&gone))
        .await;
}

async fn own_resources_see_each_other(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let alice = server.fresh_account("alice").await.unwrap();
    let mut one = Client::come_online(server, &alice, "one").await;
    let mut two = Client::come_online(server, &alice, "two").await;
    sees(&mut one, &two, &Type::None).await;
    sees(&mut two, &one, &Type::None).await;
}
