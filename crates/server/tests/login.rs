//! Logging in, on every server that is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod client;

use client::{Client, How, direct_tls, shared, start_tls};
use tubes_server::{Account, AccountError, Server, ServerKind, Setup};
use xmpp_parsers::sasl::DefinedCondition;

on_every_kind![
    logs_in_with_both_hash_functions,
    logs_in_over_direct_tls,
    refuses_a_wrong_password,
    refuses_an_unknown_account,
    refuses_plain_unless_told_otherwise,
    knows_names_and_passwords_that_need_escaping,
    has_no_second_account_of_a_name,
    logs_in_with_plain_and_under_stock_limits_where_asked_for,
    lets_clients_in_without_encryption_where_asked_for,
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

async fn logs_in_with_plain_and_under_stock_limits_where_asked_for(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let setup = Setup::new()
        .with_account("alice", "secret")
        .with_plain()
        .with_stock_limits();
    let server = Server::start(kind, setup).await.unwrap();
    let alice = Account {
        jid: format!("alice@{}", server.domain()).parse().unwrap(),
        password: "secret".to_owned(),
    };
    let tls = start_tls(&server).await;
    let client = Client::log_in_over(tls, &server, &alice, How::Plain, "").await;
    assert!(client.is_ok());
}

async fn lets_clients_in_without_encryption_where_asked_for(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let setup = Setup::new().without_required_encryption();
    let server = Server::start(kind, setup).await.unwrap();
    let tcp = client::connect(server.address()).await;
    let (features, _) = client::open(tokio::io::BufStream::new(tcp), &server).await;
    assert!(!features.starttls.unwrap().required);
    assert!(features.sasl_mechanisms.contains("SCRAM-SHA-256"));
}
