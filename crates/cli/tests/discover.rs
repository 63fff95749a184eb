//! `tubes discover`: who is online, what each can do, and why nobody is there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use program::{Account, Program, complaint, discover, events, friends, run, words};
use rustix::process::Signal;
use serde_json::json;
use tubes_server::{Server, ServerKind, Setup};

/// Fernand offers something, Alice looks at him; they have never met.
async fn finds_an_offer(kind: ServerKind) {
    let Some((alice, fernand)) = friends(kind).await else {
        return;
    };
    let offer = [
        "offer",
        "localhost:9",
        "--to",
        &alice.jid,
        "--service",
        "http",
    ];
    let mut offering = Program::start(&words(&fernand.with(&offer)));
    let online = offering.event("online").await;

    let look = alice.with(&["discover", &fernand.jid, "--output", "json"]);
    let output = discover(&words(&look), r#""services":["http"]"#).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut events = events(&output);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].as_object_mut().unwrap().remove("time");
    let expected = json!({
        "event": "resource", "jid": online["jid"], "answered": true, "tubes": true, "files": false, "ours": true,
        "services": ["http"], "transports": events[0]["transports"],
    });
    assert_eq!(events[0], expected);
    let transports = events[0]["transports"].as_array().unwrap();
    assert!(transports.contains(&json!("ibb")), "{transports:?}");

    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await.0, Some(0));
}

#[tokio::test]
async fn finds_an_offer_on_the_embedded_server() {
    finds_an_offer(ServerKind::Embedded).await;
}

#[tokio::test]
async fn finds_an_offer_on_prosody() {
    finds_an_offer(ServerKind::Prosody).await;
}

#[tokio::test]
async fn finds_an_offer_on_ejabberd() {
    finds_an_offer(ServerKind::Ejabberd).await;
}

#[tokio::test]
async fn tells_people_in_a_sentence_what_each_program_does() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let accept = ["accept", "--from", &alice.jid, "--listen", "127.0.0.1:0"];
    let mut accepting = Program::start(&words(&fernand.with(&accept)));
    accepting.event("online").await;
    let look = alice.with(&["discover", &fernand.jid]);
    let output = discover(&words(&look), "does tubes").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with(&format!("{}/tubes-", fernand.jid)),
        "{said}"
    );
    assert!(
        said.contains("does tubes, as this program does; names no service"),
        "{said}"
    );
}

/// What `discover` has on standard output, beside somebody who is there and does tubes, with these
/// options; which of it says so.
async fn discovered(options: &[&str], told: &str) -> String {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let accept = ["accept", "--from", &alice.jid, "--listen", "127.0.0.1:0"];
    let mut accepting = Program::start(&words(&fernand.with(&accept)));
    accepting.event("online").await;
    let mut look = vec!["discover", &fernand.jid];
    look.extend(options);
    let output = discover(&words(&alice.with(&look)), told).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // Only so it is known that there was something to tell.
    assert!(!output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn gives_programs_nothing_but_resources_however_much_is_logged() {
    let said = discovered(&["-v", "--output", "json"], r#""answered":true"#).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(r#""event":"resource""#), "{said}");
}

#[tokio::test]
async fn gives_people_nothing_but_resources_however_much_is_logged() {
    let said = discovered(&["-v"], "does tubes").await;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("does tubes"), "{said}");
}

#[tokio::test]
async fn finds_the_other_programs_of_its_own_account() {
    let server = Server::start(ServerKind::Embedded, Setup::new())
        .await
        .unwrap();
    let alice = Account::new(&server, "alice").await;
    let accept = [
        "accept",
        "--from",
        "fernand@tubes.test",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut accepting = Program::start(&words(&alice.with(&accept)));
    let online = accepting.event("online").await;
    let look = alice.with(&["discover", &alice.jid, "--output", "json"]);
    let output = discover(&words(&look), r#""answered":true"#).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(events(&output)[0]["jid"], online["jid"]);
    server.stop().await;
}

#[tokio::test]
async fn somebody_who_never_answered_is_not_seen_yet() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let output = run(&words(&alice.with(&[
        "discover",
        &fernand.jid,
        "--output",
        "json",
    ])))
    .await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let line = complaint(&output);
    assert!(
        line.contains(&fernand.jid) && line.contains("not yet let"),
        "{line}"
    );
    assert_eq!(events(&output)[0]["kind"], "unreachable");
}

#[tokio::test]
async fn without_subscription_the_option_is_named() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let look = alice.with(&["discover", &fernand.jid, "--no-subscribe"]);
    let output = run(&words(&look)).await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--no-subscribe"), "{said}");
}

#[tokio::test]
async fn a_friend_who_left_is_offline() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let accept = ["accept", "--from", &alice.jid, "--listen", "127.0.0.1:0"];
    let mut accepting = Program::start(&words(&fernand.with(&accept)));
    accepting.event("online").await;
    let look = alice.with(&["discover", &fernand.jid, "--output", "json"]);
    let output = discover(&words(&look), r#""answered":true"#).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    accepting.signal(Signal::TERM);
    assert_eq!(accepting.end().await.0, Some(0));

    let output = run(&words(&look)).await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(complaint(&output).contains("is offline"), "{output:?}");
}
