//! Servers come and go, and leave nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;

use std::{
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use client::Client;
use tokio::net::TcpStream;
use tubes_server::{Server, ServerKind, Setup, StartError};
use xmpp_parsers::stream_error::DefinedCondition;

on_every_kind![
    leaves_nothing_behind,
    two_of_a_kind_run_at_the_same_time,
    does_not_outlive_a_killed_process,
    ends_the_stream_of_a_client_whose_stanza_is_too_big,
];

async fn leaves_nothing_behind(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let host = match kind {
        // Its port is one of those that are given to whoever asks for any; no other test listens at this host.
        ServerKind::Embedded => Ipv4Addr::new(127, 7, 7, 7),
        _ => Ipv4Addr::LOCALHOST,
    };
    let setup = Setup::new()
        .with_accounts(&[("alice", "secret")])
        .with_host(host);
    let server = Server::start(kind, setup).await.unwrap();
    let fernand = server.fresh_account("fernand").await.unwrap();
    let client = Client::log_in(&server, &fernand, "").await;
    let address = server.address();
    let folder = server.folder().map(PathBuf::from);
    if let Some(folder) = &folder {
        assert!(folder.exists() && processes_naming(folder) > 0);
    }
    server.stop().await;
    drop(client);
    assert!(TcpStream::connect(address).await.is_err());
    if let Some(folder) = folder {
        assert!(!folder.exists());
        assert_eq!(processes_naming(&folder), 0);
    }
}

async fn two_of_a_kind_run_at_the_same_time(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let start = || Server::start(kind, Setup::new());
    let (one, other) = tokio::join!(start(), start());
    for server in [one.unwrap(), other.unwrap()] {
        let alice = server.fresh_account("alice").await.unwrap();
        drop(Client::log_in(&server, &alice, "").await);
    }
}

async fn ends_the_stream_of_a_client_whose_stanza_is_too_big(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let setup = Setup::new().with_stanza_size(20_000);
    let server = Server::start(kind, setup).await.unwrap();
    let account = server.fresh_account("alice").await.unwrap();
    let mut alice = Client::come_online(&server, &account, "tubes").await;
    let message = |size| {
        let to = xmpp_parsers::jid::Jid::from(alice.jid.clone());
        xmpp_parsers::message::Message::chat(to).with_body("".into(), "x".repeat(size))
    };
    let (fits, too_big) = (message(15_000), message(30_000));
    alice.send(fits).await;
    alice
        .find(|stanza| matches!(stanza, tokio_xmpp::Stanza::Message(_)).then_some(()))
        .await;
    alice.send(too_big).await;
    assert_eq!(alice.end().await, DefinedCondition::PolicyViolation);
}

async fn does_not_outlive_a_killed_process(kind: ServerKind) {
    if kind == ServerKind::Embedded || !kind.wanted().unwrap() {
        return;
    }
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "holds_a_server_until_it_is_killed",
            "--nocapture",
        ])
        .env(HOLD, kind.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(process.stdout.take().unwrap()).lines();
    let folder = said
        .map_while(Result::ok)
        .find_map(|line| Some(PathBuf::from(line.split_once(HOLD)?.1)))
        .unwrap();
    assert!(processes_naming(&folder) > 0);
    process.kill().unwrap();
    process.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while folder.exists() || processes_naming(&folder) > 0 {
        assert!(Instant::now() < deadline, "{} is left", folder.display());
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// The process that the test above kills; by itself it does nothing.
#[tokio::test]
async fn holds_a_server_until_it_is_killed() {
    let Ok(kind) = std::env::var(HOLD) else {
        return;
    };
    let server = Server::shared(kind.parse().unwrap()).await.unwrap();
    println!("{HOLD}{}", server.folder().unwrap().display());
    std::future::pending().await
}

#[tokio::test]
async fn refuses_a_domain_that_is_none() {
    for domain in ["", "alice@tubes.test", "tubes test"] {
        let setup = Setup::new().with_domain(domain);
        let refused = Server::start(ServerKind::Embedded, setup).await;
        assert!(matches!(refused, Err(StartError::Domain(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn says_so_when_it_shuts_down() {
    let server = Server::start(ServerKind::Embedded, Setup::new())
        .await
        .unwrap();
    let account = server.fresh_account("alice").await.unwrap();
    let mut alice = Client::log_in(&server, &account, "tubes").await;
    let (_, said) = tokio::join!(server.stop(), alice.end());
    assert_eq!(said, DefinedCondition::SystemShutdown);
}

/// The server's processes, and the shell that watches over them, have its folder in their
/// command lines.
fn processes_naming(folder: &Path) -> usize {
    let name = folder.to_str().unwrap();
    let names = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(names).count()
}

const HOLD: &str = "TUBES_SERVER_TEST_HOLDS";

/// Longer than a server takes to end, on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing tells when the last process is gone: all of `/proc` is read, but not without a rest.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
