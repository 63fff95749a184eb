//! One side sends files, the other receives them: two processes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod asking;
mod disk;
mod killed;
mod leaving_out;
mod many;
mod presence;
#[path = "../program/mod.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use program::{Account, BINARY, PATIENCE, Program, complaint, friends, run, words};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tubes_server::{Server, ServerKind};
use tubes_testkit::{Flow, Heading, Link};

/// Bytes that do not repeat.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    });
    let mut bytes: Vec<u8> = words
        .take(length.div_ceil(8))
        .flat_map(u64::to_le_bytes)
        .collect();
    bytes.truncate(length);
    bytes
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn send(account: &Account, to: &str, files: &[&Path]) -> Program {
    let files: Vec<_> = files.iter().map(|path| text(path)).collect();
    let command = [&["send"], &files[..], &[to]].concat();
    Program::start(&words(&account.with(&command)))
}

fn receive(account: &Account, from: &Account, into: &Path, more: &[&str]) -> Program {
    let command = ["receive", "--from", &from.jid, "--into", text(into)];
    Program::start(&words(&account.with(&[&command, more].concat())))
}

/// Two people, a folder of the one and a folder of the other.
async fn party(kind: ServerKind) -> Option<(Account, Account, TempDir, TempDir)> {
    let (alice, fernand) = friends(kind).await?;
    Some((
        alice,
        fernand,
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    ))
}

/// An account that says little at a time, in-band, until its link is [let go](let_go): what it sends is
/// under way as long as a test wants.
async fn slowed(account: Account) -> (Account, Link) {
    let link = Link::to(account.server.parse().unwrap()).await.unwrap();
    slow_down(&link);
    (account.by("ibb").through(link.address()), link)
}

fn slow_down(link: &Link) {
    link.set_flow(Heading::ToServer, Flow::Throttled(SLOWLY));
}

fn let_go(link: &Link) {
    link.set_flow(Heading::ToServer, Flow::Free);
}

/// Waits until so much of a file is there.
async fn part_of(folder: &Path, bytes: u64) {
    let growing = async {
        loop {
            let entries = fs::read_dir(folder).unwrap();
            let lengths =
                entries.map(|entry| entry.unwrap().metadata().map_or(0, |part| part.len()));
            if lengths.max().unwrap_or_default() >= bytes {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, growing)
        .await
        .expect("a part of it comes");
}

async fn sends(kind: ServerKind) {
    let Some((alice, fernand, here, there)) = party(kind).await else {
        return;
    };
    let names = ["photo.jpg", "фото.jpg", "写真.jpg", "صورة.jpg", "empty"];
    let paths: Vec<_> = names.iter().map(|name| here.path().join(name)).collect();
    for (path, seed) in paths.iter().zip(1..) {
        let length = if path.ends_with("empty") { 0 } else { 100_001 };
        fs::write(path, content(seed, length)).unwrap();
    }
    let mut receiving = receive(&fernand, &alice, there.path(), &[]);
    receiving.event("online").await;
    let files: Vec<_> = paths.iter().map(|path| &**path).collect();
    let mut sending = send(&alice, &fernand.jid, &files);
    let mut received = Vec::new();
    for _ in names {
        let offered = sending.event("file_offered").await;
        assert_eq!(offered["direction"], "out");
        let done = receiving.event("file_done").await;
        assert_eq!(done["verified"], true);
        received.push(done["path"].as_str().unwrap().to_owned());
    }
    let started = sending.event("file_started").await;
    assert_eq!(started["encrypted"], true);
    assert_eq!(started["offset"], 0);
    assert_eq!(sending.end().await, (Some(0), String::new()));
    for name in names {
        let arrived = there.path().join(name);
        assert!(received.contains(&text(&arrived).to_owned()), "{name}");
        let sent = fs::read(here.path().join(name)).unwrap();
        assert_eq!(fs::read(arrived).unwrap(), sent, "{name}");
    }
    receiving.signal(Signal::TERM);
    assert_eq!(receiving.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn files_arrive_on_the_embedded_server() {
    sends(ServerKind::Embedded).await;
}

#[tokio::test]
async fn files_arrive_on_prosody() {
    sends(ServerKind::Prosody).await;
}

#[tokio::test]
async fn files_arrive_on_ejabberd() {
    sends(ServerKind::Ejabberd).await;
}

#[tokio::test]
async fn the_one_who_sends_may_come_first() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("a");
    fs::write(&path, "a").unwrap();
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    sending.event("file_offered").await;
    let receiving = receive(&fernand, &alice, there.path(), &["--once"]);
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert_eq!(receiving.end().await, (Some(0), String::new()));
    assert_eq!(fs::read(there.path().join("a")).unwrap(), b"a");
}

#[tokio::test]
async fn another_file_of_the_name_stays_and_the_sender_is_told() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("a");
    fs::write(&path, "new").unwrap();
    fs::write(there.path().join("a"), "old").unwrap();
    let mut receiving = receive(&fernand, &alice, there.path(), &[]);
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    let failed = sending.event("file_failed").await;
    assert_eq!(failed["error"]["kind"], "refused");
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77));
    assert!(said.contains("has a file of that name"), "{said}");
    let failed = receiving.event("file_failed").await;
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains("exists")
    );
    assert_eq!(fs::read(there.path().join("a")).unwrap(), b"old");
}

#[tokio::test]
async fn files_of_others_are_declined() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("a");
    fs::write(&path, "a").unwrap();
    // Fernand deals with Alice, and waits for somebody else.
    let command = ["receive", "--from", "nobody@example.org", "--into"];
    let command = [&command[..], &[text(there.path())]].concat();
    let known = Program::start(&words(&fernand.with(&[
        "accept",
        "--from",
        &alice.jid,
        "--listen",
        "127.0.0.1:0",
    ])));
    let mut receiving = Program::start(&words(&fernand.with(&command)));
    receiving.event("online").await;
    let sending = send(&alice, &fernand.jid, &[&path]);
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77), "{said}");
    assert!(said.contains("does not want"), "{said}");
    drop((known, receiving));
}

#[tokio::test]
async fn either_side_may_give_it_up_and_the_other_is_told() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    fs::write(&path, content(9, FILM)).unwrap();
    let (alice, link) = slowed(alice).await;
    let mut receiving = receive(&fernand, &alice, there.path(), &[]);
    let sending = send(&alice, &fernand.jid, &[&path]);
    part_of(there.path(), PART).await;
    sending.signal(Signal::INT);
    let_go(&link);
    assert_eq!(sending.end().await, (Some(130), String::new()));
    let failed = receiving.event("file_failed").await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("has given the file up"), "{message}");

    slow_down(&link);
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    sending.event("file_started").await;
    // One that is still agreeing to it has nothing to stop.
    receiving.event("file_started").await;
    receiving.signal(Signal::TERM);
    let_go(&link);
    assert_eq!(receiving.end().await.0, Some(0));
    let failed = sending.event("file_failed").await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("has stopped receiving"), "{message}");
    assert_eq!(sending.end().await.0, Some(1));
}

#[tokio::test]
async fn a_sender_that_is_told_to_end_does_not_say_that_it_is_done() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    fs::write(&path, content(9, FILM)).unwrap();
    // Nobody is there to take it yet.
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    sending.event("file_offered").await;
    sending.signal(Signal::TERM);
    assert_eq!(sending.end().await, (Some(130), String::new()));

    let (alice, link) = slowed(alice).await;
    let _receiving = receive(&fernand, &alice, there.path(), &[]);
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    sending.event("file_started").await;
    sending.signal(Signal::TERM);
    let_go(&link);
    assert_eq!(sending.end().await, (Some(130), String::new()));
}

#[tokio::test]
async fn what_has_no_size_is_refused_with_advice() {
    let (alice, fernand, here, _) = party(ServerKind::Embedded).await.unwrap();
    let missing = here.path().join("missing");
    for (file, advice) in [
        ("-", "write it to a file"),
        ("/dev/zero", "size is unknown"),
        (text(&missing), "there is no file"),
    ] {
        let output = run(&words(&alice.with(&["send", file, &fernand.jid]))).await;
        assert_eq!(output.status.code(), Some(2), "{file}");
        let said = complaint(&output);
        assert!(said.contains(advice), "{said}");
    }
}

#[tokio::test]
async fn without_a_terminal_nobody_can_be_asked() {
    let (alice, ..) = party(ServerKind::Embedded).await.unwrap();
    let output = run(&words(&alice.with(&["receive"]))).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("--accept-all"));
}

#[tokio::test]
async fn a_word_on_a_file_reaches_whoever_receives_it() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("a");
    fs::write(&path, "a").unwrap();
    let mut receiving = receive(&fernand, &alice, there.path(), &["--once"]);
    let word = "from the \"trip\" <b>\nto you";
    let command = ["send", text(&path), &fernand.jid, "--description", word];
    let sending = Program::start(&words(&alice.with(&command)));
    let offered = receiving.event("file_offered").await;
    assert_eq!(offered["description"], word);
    assert_eq!(sending.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn progress_is_told_to_programs() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    fs::write(&path, content(3, FILM)).unwrap();
    let (alice, link) = slowed(alice).await;
    let mut receiving = receive(&fernand, &alice, there.path(), &["--once"]);
    let sending = send(&alice, &fernand.jid, &[&path]);
    let told = receiving.event("file_progress").await;
    let_go(&link);
    assert_eq!(told["size"], json!(FILM));
    assert!(told["bytes"].as_u64().unwrap() > 0, "{told}");
    assert_ne!(told["file"], Value::Null);
    assert_eq!(sending.end().await.0, Some(0));
}

/// Bytes that take some time in-band.
const FILM: usize = 12 * 1024 * 1024;

/// Bytes a second of who is slowed down: for a film more than half a minute.
const SLOWLY: usize = 320 * 1024;

/// Bytes of which to speak, and long before the end.
const PART: u64 = 1024 * 1024;
