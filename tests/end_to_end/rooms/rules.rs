//! Rooms that forbid what tubes are made of.

use tubes::FailureKind;
use tubes_server::{Server, ServerKind};

use super::{both, is_served, leave};
use crate::stage::{exchange, on, patiently};

/// Prosody has no such rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_room_without_private_queries_says_what_is_to_be_allowed_on_the_embedded_server() {
    on(ServerKind::Embedded, says_what_is_to_be_allowed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_without_private_queries_says_what_is_to_be_allowed_on_ejabberd() {
    on(ServerKind::Ejabberd, says_what_is_to_be_allowed).await;
}

async fn says_what_is_to_be_allowed(server: &'static Server) {
    let (alice, mut fernand) = both(server).await;
    let room = alice.own.to_bare();
    let (_, address) = fernand.accept_of(&alice.own).await;
    alice.person.command(&room, &queries("0")).await;
    let refused = patiently("it is refused", exchange(&address)).await;
    assert!(refused.is_err());
    let (_, _, error) = fernand.person.connection_closed().await;
    let error = error.unwrap();
    assert_eq!(error.kind, FailureKind::Refused);
    let named = [room.as_str(), "private queries", "allow_query_users"];
    for word in named {
        assert!(error.message.contains(word), "{word}: {error}");
    }
    // The tube is still there, and is of use as soon as the owner has listened.
    alice.person.command(&room, &queries("1")).await;
    is_served(&address).await;
    leave(alice, fernand).await;
}

/// The owner's form.
fn queries(allowed: &str) -> String {
    format!(
        "<query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='allow_query_users'><value>{allowed}</value></field></x></query>"
    )
}
