//! Whole bytestreams between two sessions that are joined in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod losing;
mod negotiation;

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tubes_ibb::Ibb;
use tubes_testkit::{Fate, Hub};
use tubes_transport::{
    Bytestream, ConnectError, Gone, Kind, Plan, Role, Stanzas, StreamId, Transport, Wire,
};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

const IBB: &str = "http://jabber.org/protocol/ibb";

fn alice() -> FullJid {
    "alice@tubes.example/desk".parse().unwrap()
}

fn fernand() -> FullJid {
    "fernand@tubes.example/lab".parse().unwrap()
}

fn plan(role: Role, kind: Kind, stanzas: &Stanzas) -> Plan {
    let (local, peer) = match role {
        Role::Requester => (alice(), fernand()),
        Role::Responder => (fernand(), alice()),
    };
    Plan {
        role,
        stream: StreamId::from("s1"),
        account: local.clone(),
        local,
        peer,
        kind,
        offer: None,
        stanzas: stanzas.clone(),
    }
}

async fn connect(ibb: Ibb, plan: Plan, wire: &mut Wire) -> Result<Bytestream, ConnectError> {
    let attempt = ibb.prepare(plan).await?;
    attempt.connect(None, wire).await
}

fn wires(a: &Stanzas, b: &Stanzas) -> (Wire, Wire) {
    let stream = StreamId::from("s1");
    let here = a.claim(fernand().into(), stream.clone()).unwrap();
    let there = b.claim(alice().into(), stream).unwrap();
    (here, there)
}

/// Alice asks, Fernand answers; both are of this kind.
async fn open(ibb: Ibb, kind: Kind) -> (Bytestream, Bytestream, Hub) {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let (mut here, mut there) = wires(&a, &b);
    let (here, there) = tokio::join!(
        connect(ibb, plan(Role::Requester, kind, &a), &mut here),
        connect(ibb, plan(Role::Responder, kind, &b), &mut there),
    );
    (here.unwrap(), there.unwrap(), hub)
}

/// Bytes that repeat nowhere near, so that a lost or doubled block shows.
fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

async fn send(mut to: impl AsyncWrite + Unpin, bytes: Vec<u8>) {
    to.write_all(&bytes).await.unwrap();
    to.shutdown().await.unwrap();
}

async fn receive(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn echoes() {
    let (mut a, mut b, _hub) = open(Ibb::new(), Kind::Ours).await;
    assert_eq!(a.label(), "ibb");
    assert!(a.half_close() && a.receipt());
    for word in ["one", "two", "three"] {
        a.write_all(word.as_bytes()).await.unwrap();
        let mut heard = vec![0; word.len()];
        b.read_exact(&mut heard).await.unwrap();
        b.write_all(&heard).await.unwrap();
        a.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, word.as_bytes());
    }
}

#[tokio::test]
async fn one_direction_ends_before_the_other_between_our_own_kind() {
    let (a, b, hub) = open(Ibb::new(), Kind::Ours).await;
    let (a_in, a_out) = tokio::io::split(a);
    send(a_out, b"question".to_vec()).await;
    let (b_in, b_out) = tokio::io::split(b);
    assert_eq!(receive(b_in).await, b"question");
    let answer = pattern(100_000, 3);
    let (_, heard) = tokio::join!(send(b_out, answer.clone()), receive(a_in));
    assert!(heard == answer);
    let closes = passed(&hub, "close");
    // The answer to the one close ended the other direction.
    assert_eq!(closes, [alice()]);
}

#[tokio::test]
async fn to_others_a_close_is_the_end_of_both_directions() {
    let (a, mut b, _hub) = open(Ibb::new(), Kind::Other).await;
    assert!(!a.half_close() && a.receipt());
    let (a_in, a_out) = tokio::io::split(a);
    send(a_out, b"last".to_vec()).await;
    assert_eq!(receive(&mut b).await, b"last");
    let why = b.write_all(b"too late").await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::BrokenPipe);
    // Nothing was lost, so there is nothing to complain of.
    b.shutdown().await.unwrap();
    assert!(receive(a_in).await.is_empty());
}

#[tokio::test]
async fn a_reader_that_never_reads_stops_the_writer() {
    let (mut a, b, _hub) = open(Ibb::new(), Kind::Ours).await;
    let mut written = 0;
    let chunk = [7; 4096];
    // The clock jumps only when nothing can go on any more.
    tokio::time::pause();
    let idle = Duration::from_secs(3600);
    while let Ok(wrote) = tokio::time::timeout(idle, a.write(&chunk)).await {
        written += wrote.unwrap();
        assert!(written < 1 << 20);
    }
    assert!(written >= 64 * 1024, "{written}");
    drop(b);
}

#[tokio::test]
async fn dropping_breaks_the_stream_for_the_peer_after_what_was_sent() {
    let (mut a, mut b, _hub) = open(Ibb::new(), Kind::Ours).await;
    a.write_all(b"unfinished").await.unwrap();
    a.flush().await.unwrap();
    drop(a);
    let mut heard = Vec::new();
    let why = b.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!(heard, b"unfinished");
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    let why = b.write_all(b"x").await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn dropping_after_shutdown_stops_the_peers_writer_only() {
    let (mut a, b, _hub) = open(Ibb::new(), Kind::Ours).await;
    a.write_all(b"all").await.unwrap();
    a.shutdown().await.unwrap();
    drop(a);
    let (b_in, mut b_out) = tokio::io::split(b);
    let why = loop {
        if let Err(why) = b_out.write_all(&[0; 4096]).await {
            break why;
        }
    };
    assert_eq!(why.kind(), ErrorKind::BrokenPipe);
    assert_eq!(receive(b_in).await, b"all");
}

#[tokio::test]
async fn what_was_shut_down_arrives_after_both_ends_are_dropped_in_order() {
    let (mut a, mut b, hub) = open(Ibb::new(), Kind::Ours).await;
    b.shutdown().await.unwrap();
    assert_eq!(a.read(&mut [0]).await.unwrap(), 0);
    let bytes = pattern(300_000, 5);
    let (_, heard) = tokio::join!(send(a, bytes.clone()), receive(&mut b));
    assert!(heard == bytes);
    drop(b);
    assert!(passed(&hub, "close").len() == 1, "no abort");
}

#[tokio::test]
async fn a_lost_session_breaks_both_ends_and_says_why() {
    let (mut a, mut b, hub) = open(Ibb::new(), Kind::Ours).await;
    a.write_all(b"sent").await.unwrap();
    a.flush().await.unwrap();
    hub.cut();
    let mut heard = Vec::new();
    let why = b.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!(heard, b"sent");
    assert_eq!(why.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(why.to_string(), Gone::Session.to_string());
    let why = a.read(&mut [0]).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionAborted);
    let why = a.write_all(b"x").await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn what_was_answered_before_the_peer_went_counts() {
    // Of two things that are there luck decides which is heard first.
    for _ in 0..32 {
        let (a, mut b, hub) = open(Ibb::new(), Kind::Other).await;
        let is_closed = AtomicBool::new(false);
        hub.set_filter(move |stanza| {
            let is_close = stanza.has_child("close", IBB);
            match is_closed.fetch_or(is_close, Ordering::Relaxed) {
                true => Fate::CutAfter,
                false => Fate::Pass,
            }
        });
        let (read, write) = tokio::io::split(a);
        send(write, b"last".to_vec()).await;
        assert_eq!(receive(&mut b).await, b"last");
        assert!(receive(read).await.is_empty());
    }
}

#[tokio::test]
async fn a_full_block_fits_what_prosody_reads_at_a_time() {
    let (mut a, mut b, hub) = open(Ibb::new(), Kind::Ours).await;
    let bytes = pattern(100_000, 7);
    let mut heard = vec![0; bytes.len()];
    let reading = async { b.read_exact(&mut heard).await.map(drop) };
    tokio::try_join!(a.write_all(&bytes), reading).unwrap();
    let lengths = hub.transcript().into_iter().map(|(_, stanza)| {
        let mut text = Vec::new();
        stanza.write_to(&mut text).unwrap();
        text.len()
    });
    let longest = lengths.max().unwrap();
    assert!((7900..=8192).contains(&longest), "{longest}");
}

/// Who said an element of this name, in order.
fn passed(hub: &Hub, name: &str) -> Vec<FullJid> {
    let said = |stanza: &Element| stanza.children().any(|child| child.is(name, IBB));
    let transcript = hub.transcript().into_iter();
    transcript
        .filter(|(_, stanza)| said(stanza))
        .map(|(from, _)| from)
        .collect()
}
