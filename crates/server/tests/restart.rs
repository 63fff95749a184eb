//! Servers die, and come back as they were.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;

use std::io::ErrorKind;

use client::Client;
use tokio::net::TcpStream;
use tubes_server::{AccountError, Server, ServerKind, Setup};

on_every_kind![
    a_killed_server_breaks_connections_and_listens_no_more,
    comes_back_at_the_same_place_with_the_same_accounts,
    can_be_killed_and_restarted_again_and_again,
    leaves_nothing_behind_although_it_was_killed,
];

async fn a_killed_server_breaks_connections_and_listens_no_more(kind: ServerKind) {
    let Some(mut server) = started(kind).await else {
        return;
    };
    let account = server.fresh_account("alice").await.unwrap();
    let mut alice = Client::come_online(&server, &account, "desk").await;
    server.kill().await.unwrap();
    alice.lost().await;
    for address in [server.address(), server.direct_tls_address()] {
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    // A dead server stays dead.
    server.kill().await.unwrap();
}

async fn comes_back_at_the_same_place_with_the_same_accounts(kind: ServerKind) {
    let Some(mut server) = started(kind).await else {
        return;
    };
    let account = server.fresh_account("alice").await.unwrap();
    let before = Client::come_online(&server, &account, "desk").await;
    let (address, direct) = (server.address(), server.direct_tls_address());
    server.restart().await.unwrap();
    assert_eq!(server.address(), address);
    assert_eq!(server.direct_tls_address(), direct);
    drop(before);
    drop(Client::come_online(&server, &account, "desk").await);
    let name = account.jid.node().unwrap().as_str();
    let again = server.add_account(name, "other").await;
    assert!(matches!(again, Err(AccountError::Exists(_))), "{again:?}");
}

async fn can_be_killed_and_restarted_again_and_again(kind: ServerKind) {
    let Some(mut server) = started(kind).await else {
        return;
    };
    let account = server.fresh_account("alice").await.unwrap();
    for _ in 0..2 {
        server.kill().await.unwrap();
        server.restart().await.unwrap();
        drop(Client::log_in(&server, &account, "").await);
    }
}

async fn leaves_nothing_behind_although_it_was_killed(kind: ServerKind) {
    let Some(mut server) = started(kind).await else {
        return;
    };
    let folder = server.folder().map(std::path::PathBuf::from);
    server.kill().await.unwrap();
    server.stop().await;
    assert!(folder.is_none_or(|folder| !folder.exists()));
}

async fn started(kind: ServerKind) -> Option<Server> {
    if !kind.wanted().unwrap() {
        return None;
    }
    Some(Server::start(kind, Setup::new()).await.unwrap())
}
