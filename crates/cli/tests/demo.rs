//! `tubes demo`, on every kind of server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::time::Duration;

use program::{events, run_within};
use tubes_server::ServerKind;

async fn proves_it(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    proves_it_directly(kind).await;
    for transport in ["socks5-proxy", "ibb"] {
        let options = ["--transports", transport];
        assert_eq!(proves_it_over(kind, &options).await, transport);
    }
}

async fn proves_it_directly(kind: ServerKind) {
    // A direct connection has a head start of 1.2 seconds: a busy machine may be late now and then.
    for _ in 0..3 {
        let transport = proves_it_over(kind, &[]).await;
        if transport == "socks5-direct" {
            return;
        }
        eprintln!("once more, after {transport}");
    }
    panic!("it is late each time");
}

/// By which transport it was proved.
async fn proves_it_over(kind: ServerKind, options: &[&str]) -> String {
    let name = kind.to_string();
    let demo = ["demo", "--size", "300000", "--server-kind", &name];
    let words = [&demo[..], &["--output", "json"], options].concat();
    let output = run_within(WHOLE, &words).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let events = events(&output);
    let proofs: Vec<_> = events
        .iter()
        .filter(|one| one["event"] == "proof")
        .collect();
    assert_eq!(proofs.len(), 2, "{events:?}");
    let transport = proofs[0]["transport"].as_str().unwrap().to_owned();
    for (proof, direction) in proofs.into_iter().zip(["out", "in"]) {
        assert_eq!(proof["direction"], direction);
        assert_eq!(proof["bytes"], 300_000);
        assert_eq!(proof["sent_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(proof["sent_sha256"], proof["received_sha256"]);
        assert_eq!(proof["transport"], transport);
    }
    for ended in ["connection_closed", "tube_closed"] {
        let ends: Vec<_> = events.iter().filter(|one| one["event"] == ended).collect();
        assert_eq!(ends.len(), 1, "{events:?}");
        assert!(ends[0]["error"].is_null(), "{events:?}");
    }
    transport
}

#[tokio::test]
async fn proves_it_on_the_embedded_server() {
    proves_it(ServerKind::Embedded).await;
}

#[tokio::test]
async fn proves_it_on_prosody() {
    proves_it(ServerKind::Prosody).await;
}

#[tokio::test]
async fn proves_it_on_ejabberd() {
    proves_it(ServerKind::Ejabberd).await;
}

#[tokio::test]
async fn tells_people_what_it_proved() {
    let output = run_within(WHOLE, &["demo", "--size", "1000"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "server",
        "alice",
        "fernand",
        "transport",
        "equal",
        "both ways",
    ] {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

/// For a server to start, which may take a minute and a half, and all that is proved there.
const WHOLE: Duration = Duration::from_secs(300);
