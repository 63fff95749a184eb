//! Logging in, on every server that is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;

use client::{Client, How, direct_tls, start_tls};
use tubes_server::{AccountError, Server, ServerKind, Setup};
use xmpp_parsers::sasl::DefinedCondition;

async fn shared(kind: ServerKind) -> Option<&'static Server> {
    if !kind.wanted().unwrap() {
        return None;
    }
    Some(Server::shared(kind).await.unwrap())
}

/// The same test for every kind of server.
macro_rules! on_every_kind {
    ($($name:ident),+ $(,)?) => {
        mod embedded { $( #[tokio::test] async fn $name() { super::$name(super::ServerKind::Embedded).await; } )+ }
        mod prosody { $( #[tokio::test] async fn $name() { super::$name(super::ServerKind::Prosody).await; } )+ }
        mod ejabberd { $( #[tokio::test] async fn $name() { super::$name(super::ServerKind::Ejabberd).await; } )+ }
    };
}

on_every_kind![
    logs_in_with_both_hash_functions,
    logs_in_over_direct_tls,
    refuses_a_wrong_password,
    refuses_an_unknown_account,
    refuses_plain_unless_told_otherwise,
    knows_names_and_passwords_that_need_escaping,
    has_no_second_account_of_a_name,
];

async fn logs_in_with_both_hash_functions(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let alice = server.fresh_account("alice").await.unwrap();
    for how in [How::Sha1, How::Sha256] {
        let tls = start_tls(server).await;
        let client = Client::log_in_over(tls, server, &alice, how, "tubes")
            .await
            .unwrap();
        assert_eq!(client.jid.to_string(), format!("{}/tubes", alice.jid));
    }
}

async fn logs_in_over_direct_tls(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let alice = server.fresh_account("alice").await.unwrap();
    let tls = direct_tls(server).await;
    let client = Client::log_in_over(tls, server, &alice, How::Sha256, "")
        .await
        .unwrap();
    assert_eq!(client.jid.to_bare(), alice.jid);
}

async fn refuses_a_wrong_password(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let mut alice = server.fresh_account("alice").await.unwrap();
    alice.password.push('!');
    let tls = start_tls(server).await;
    let refused = Client::log_in_over(tls, server, &alice, How::Sha256, "").await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.defined_condition, DefinedCondition::NotAuthorized);
}

async fn refuses_an_unknown_account(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let mut nobody = server.fresh_account("alice").await.unwrap();
    nobody.jid = format!("nobody@{}", server.domain()).parse().unwrap();
    let tls = direct_tls(server).await;
    let refused = Client::log_in_over(tls, server, &nobody, How::Sha1, "").await;
    assert!(refused.is_err());
}

async fn refuses_plain_unless_told_otherwise(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let alice = server.fresh_account("alice").await.unwrap();
    let tls = direct_tls(server).await;
    let refused = Client::log_in_over(tls, server, &alice, How::Plain, "").await;
    assert!(refused.is_err());
}

async fn knows_names_and_passwords_that_need_escaping(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    let name = format!("a=b,c%-_{:x}é", rand::random::<u32>());
    let alice = server
        .add_account(&name, "\"quoted\" \\ ] =,é")
        .await
        .unwrap();
    let tls = direct_tls(server).await;
    let client = Client::log_in_over(tls, server, &alice, How::Sha256, "")
        .await
        .unwrap();
    assert_eq!(client.jid.to_bare(), alice.jid);
}

async fn has_no_second_account_of_a_name(kind: ServerKind) {
    let Some(server) = shared(kind).await else {
        return;
    };
    server.add_account("taken", "first").await.unwrap();
    let again = server.add_account("taken", "second").await;
    assert!(matches!(again, Err(AccountError::Exists(_))), "{again:?}");
    let shapeless = server.add_account("a@b", "password").await;
    assert!(
        matches!(shapeless, Err(AccountError::Invalid(_))),
        "{shapeless:?}"
    );
}

#[tokio::test]
async fn logs_in_with_plain_where_it_is_offered() {
    let setup = Setup::new().with_account("alice", "secret").with_plain();
    let server = Server::start(ServerKind::Embedded, setup).await.unwrap();
    let alice = tubes_server::Account {
        jid: format!("alice@{}", server.domain()).parse().unwrap(),
        password: "secret".to_owned(),
    };
    let tls = start_tls(&server).await;
    assert!(
        Client::log_in_over(tls, &server, &alice, How::Plain, "")
            .await
            .is_ok()
    );
}
