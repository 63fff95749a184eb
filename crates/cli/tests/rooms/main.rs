//! Everybody in a chat room: one offers, others use it, each a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../program/mod.rs"]
mod program;
mod stage;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use program::{Account, PATIENCE, complaint, piped, words};
use rustix::process::Signal;
use serde_json::{Value, json};
use stage::{Room, address, ask, bare, text};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use tubes::Event;
use tubes_server::ServerKind;

/// The tests once on each kind of server; nothing where it is not installed.
macro_rules! on_each_server {
    ($($test:ident),* $(,)?) => {
        on_each_server!(@ embedded Embedded $($test)*);
        on_each_server!(@ prosody Prosody $($test)*);
        on_each_server!(@ ejabberd Ejabberd $($test)*);
    };
    (@ $module:ident $kind:ident $($test:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    if let Some(room) = super::Room::new(tubes_server::ServerKind::$kind).await {
                        super::$test(room).await;
                    }
                }
            )*
        }
    };
}

mod ending;

on_each_server![
    two_in_a_room_share_and_programs_are_told_so,
    people_are_told_that_nobody_knows_who_it_is,
    a_wrong_password_of_the_room_names_the_option,
    a_service_that_is_not_there_is_unavailable,
    an_interrupt_leaves_the_room,
];

async fn two_in_a_room_share_and_programs_are_told_so(room: Room) {
    let (alice, fernand) = room.two().await;
    let mut offering = room.offer(&alice, &["--nick", "alice"]).await;
    let entered = offering.event("room_entered").await;
    let nick = "alice";
    assert_eq!(
        bare(&entered),
        json!({"event": "room_entered", "room": room.jid, "nick": nick})
    );
    let offered = offering.event("tube_offered").await;
    let number = offered["tube"].clone();
    let service = "x-echo";
    assert_eq!(
        bare(&offered),
        json!({
            "event": "tube_offered", "tube": number, "room": room.jid, "service": service,
            "direction": "out", "parameters": {"n": {"type": "uint", "value": 7}},
        })
    );

    let mut accepting = room.accept(&fernand, &[]);
    // Who comes in hears of the others first.
    let offered = accepting.event("tube_offered").await;
    let peer = format!("{}/alice", room.jid);
    assert_eq!(
        bare(&offered),
        json!({
            "event": "tube_offered", "tube": number, "room": room.jid, "peer": peer,
            "service": service, "direction": "in",
            "parameters": {"n": {"type": "uint", "value": 7}},
        })
    );
    // By default the name is the account's.
    let name = fernand.jid.split('@').next().unwrap();
    assert_eq!(accepting.event("room_entered").await["nick"], name);
    let tube = address(&accepting.event("listening").await);
    assert_eq!(ask(tube, b"to all of you").await, b"to all of you");
    let other = format!("{}/{name}", room.jid);
    for (side, peer) in [(&mut accepting, &peer), (&mut offering, &other)] {
        let opened = side.event("connection_opened").await;
        assert_eq!(opened["peer"], **peer);
        assert_eq!(
            (&opened["encrypted"], &opened["trust"]),
            (&json!(true), &json!("occupant"))
        );
        assert!(opened["key"].is_string());
        assert_eq!(side.event("connection_closed").await["error"], Value::Null);
    }

    offering.signal(Signal::TERM);
    let left = offering.event("room_left").await;
    assert_eq!(
        bare(&left),
        json!({"event": "room_left", "room": room.jid, "error": null})
    );
    assert_eq!(offering.end().await, (Some(0), String::new()));
    assert_eq!(accepting.event("tube_closed").await["tube"], number);
    accepting.signal(Signal::INT);
    assert_eq!(accepting.end().await, (Some(130), String::new()));
}

async fn people_are_told_that_nobody_knows_who_it_is(room: Room) {
    let (alice, fernand) = room.two().await;
    let mut offering = room.offer(&alice, &["--nick", "alice"]).await;
    offering.event("tube_offered").await;
    let command = room.acceptance(&[]);
    let (_child, _stdin, stdout) = piped(&words(&fernand.with(&words(&command))));
    let mut lines = BufReader::new(stdout).lines();
    for expected in [
        format!("waiting for somebody in {} to offer x-echo", room.jid),
        format!("{}/alice offers x-echo as tube ", room.jid),
        format!("in {} as ", room.jid),
        "listening on tcp:".to_owned(),
        "encrypted, unverified".to_owned(),
    ] {
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect(&expected);
            let line = line.unwrap().expect(&expected);
            if let Some((_, rest)) = line.split_once("listening on tcp:") {
                let tube = rest.split_whitespace().next().unwrap();
                assert_eq!(ask(tube.parse().unwrap(), b"hello").await, b"hello");
            }
            if line.contains(&expected) {
                break;
            }
        }
    }
}

async fn a_wrong_password_of_the_room_names_the_option(room: Room) {
    let (alice, fernand) = room.two().await;
    room.protect("sesame").await;
    let path = |account: &Account, word: &str| {
        let path = account.file("room-password");
        fs::write(&path, format!("{word}\n")).unwrap();
        path
    };
    let wrong = path(&fernand, "simsim");
    let protected = |path: &Path| ["--room-password-file".to_owned(), text(path)];
    for more in [&protected(&wrong)[..], &[]] {
        let command = room.acceptance(&words(more));
        let output = program::run(&words(&fernand.with(&words(&command)))).await;
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        let said = complaint(&output);
        assert!(said.contains("--room-password-file"), "{said}");
        assert!(said.contains(&room.jid), "{said}");
    }

    let right = protected(&path(&alice, "sesame"));
    let mut offering = room.offer(&alice, &words(&right)).await;
    offering.event("tube_offered").await;
    let right = protected(&path(&fernand, "sesame"));
    let mut accepting = room.accept(&fernand, &words(&right));
    let tube = address(&accepting.event("listening").await);
    assert_eq!(ask(tube, b"open").await, b"open");
}

async fn a_service_that_is_not_there_is_unavailable(room: Room) {
    let (_, fernand) = room.two().await;
    let nowhere = match room.server.kind() {
        ServerKind::Embedded => format!("room@nowhere.{}", room.server.rooms()),
        // They talk to no other servers here, and would say so. But nobody says anything there.
        _ => format!("room@{}", fernand.jid.split('@').nth(1).unwrap()),
    };
    let command = ["accept", "--room", &nowhere, "--listen", "127.0.0.1:0"];
    let output = program::run(&words(&fernand.with(&command))).await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&nowhere), "{said}");
}

async fn an_interrupt_leaves_the_room(mut room: Room) {
    let (alice, _) = room.two().await;
    for (nick, signal, code) in [("one", Signal::INT, 130), ("two", Signal::TERM, 0)] {
        let mut offering = room.offer(&alice, &["--nick", nick]).await;
        offering.event("tube_offered").await;
        let occupant = room.occupant(nick);
        room.hears(
            |event| matches!(event, Event::OccupantCame { occupant: who, .. } if *who == occupant),
        )
        .await;
        let begun = Instant::now();
        offering.signal(signal);
        room.hears(
            |event| matches!(event, Event::OccupantLeft { occupant: who } if *who == occupant),
        )
        .await;
        assert_eq!(offering.end().await, (Some(code), String::new()));
        assert!(begun.elapsed() < GOODBYE, "{:?}", begun.elapsed());
    }
}

/// Within this much an interrupted program is gone, on a busy machine: before a server would take a
/// silent one for dead.
const GOODBYE: Duration = Duration::from_secs(30);
