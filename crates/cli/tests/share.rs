//! One side offers, the other accepts or connects: two processes and a real service.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::net::SocketAddr;
use std::time::Duration;

use program::{Account, PATIENCE, Program, friends, piped, words};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tubes_server::ServerKind;

/// A service that reads to the end of its input and replies with it backwards.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                socket.read_to_end(&mut bytes).await.unwrap();
                bytes.reverse();
                socket.write_all(&bytes).await.unwrap();
            });
        }
    });
    format!("tcp:{address}")
}

fn offer(account: &Account, to: &Account, address: &str) -> Program {
    let command = [
        "offer",
        address,
        "--to",
        &to.jid,
        "--service",
        "backwards",
        "--param",
        "n:uint=7",
    ];
    Program::start(&words(&account.with(&command)))
}

fn accept(account: &Account, from: &Account, more: &[&str]) -> Program {
    let command = ["accept", "--from", &from.jid, "--listen", "127.0.0.1:0"];
    Program::start(&words(&account.with(&[&command, more].concat())))
}

/// Where programs find the tube, from a `listening` event.
fn address(listening: &Value) -> SocketAddr {
    let address = listening["address"].as_str().unwrap();
    address.strip_prefix("tcp:").unwrap().parse().unwrap()
}

/// What a program gets back for these bytes.
async fn ask(tube: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(tube).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let read = socket.read_to_end(&mut reply);
    timeout(PATIENCE, read).await.expect("a reply").unwrap();
    reply
}

async fn shares(kind: ServerKind) {
    let Some((alice, fernand)) = friends(kind).await else {
        return;
    };
    let mut offering = offer(&alice, &fernand, &service().await);
    let mut accepting = accept(&fernand, &alice, &["--service", "backwards"]);

    let offered = accepting.event("tube_offered").await;
    assert_eq!(offered["direction"], "in");
    assert_eq!(offered["service"], "backwards");
    assert_eq!(offered["parameters"]["n"]["value"], 7);
    assert!(offered["peer"].as_str().unwrap().starts_with(&alice.jid));
    let tube = address(&accepting.event("listening").await);

    // A direct connection has a head start of 1.2 seconds: a busy machine may be late now and then.
    for connection in 1.. {
        assert_eq!(ask(tube, b"stressed").await, b"desserts");
        let opened = offering.event("connection_opened").await;
        assert_eq!(opened["connection"], connection);
        assert_eq!(opened["tube"], offered["tube"]);
        for side in [&mut offering, &mut accepting] {
            let closed = side.event("connection_closed").await;
            assert_eq!(
                (&closed["sent"], &closed["received"]),
                (&8.into(), &8.into())
            );
            assert_eq!(closed["error"], Value::Null);
        }
        let before = &opened["fell_back_from"];
        if opened["transport"] == "socks5-direct" && *before == serde_json::json!([]) {
            break;
        }
        assert!(connection < 3, "it is late each time: {opened}");
    }

    offering.signal(Signal::INT);
    assert_eq!(offering.end().await, (Some(130), String::new()));
    let closed = accepting.event("tube_closed").await;
    assert_eq!(closed["tube"], offered["tube"]);
    accepting.signal(Signal::TERM);
    assert_eq!(accepting.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn two_fresh_accounts_share_on_the_embedded_server() {
    shares(ServerKind::Embedded).await;
}

#[tokio::test]
async fn two_fresh_accounts_share_on_prosody() {
    shares(ServerKind::Prosody).await;
}

#[tokio::test]
async fn two_fresh_accounts_share_on_ejabberd() {
    shares(ServerKind::Ejabberd).await;
}

#[tokio::test]
async fn the_one_who_accepts_may_come_first() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let mut accepting = accept(&fernand, &alice, &[]);
    accepting.event("online").await;
    let _offering = offer(&alice, &fernand, &service().await);
    let tube = address(&accepting.event("listening").await);
    assert_eq!(ask(tube, b"live").await, b"evil");
}

#[tokio::test]
async fn a_limit_of_the_command_line_is_reached_and_told() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let here = service().await;
    let offer = ["offer", &here, "--to", &fernand.jid];
    let more = ["--service", "backwards", "--limit", "connections=1"];
    let mut offering = Program::start(&words(&alice.with(&[offer, more].concat())));
    let mut accepting = accept(&fernand, &alice, &[]);
    let tube = address(&accepting.event("listening").await);
    let mut first = TcpStream::connect(tube).await.unwrap();
    offering.event("connection_opened").await;

    let mut second = TcpStream::connect(tube).await.unwrap();
    let reached = offering.event("limit_reached").await;
    assert_eq!(reached["limit"], "connections");
    assert_eq!(reached["peer"], fernand.jid);
    let refused = timeout(PATIENCE, second.read(&mut [0; 1])).await.unwrap();
    assert!(!matches!(refused, Ok(1)));
    let closed = accepting.event("connection_closed").await;
    assert_eq!(closed["connection"], 2);
    assert_ne!(closed["error"], Value::Null);

    first.write_all(b"stressed").await.unwrap();
    first.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let reading = first.read_to_end(&mut reply);
    timeout(PATIENCE, reading).await.expect("a reply").unwrap();
    assert_eq!(reply, b"desserts");
}

#[tokio::test]
async fn once_ends_with_the_first_tube() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let offering = offer(&alice, &fernand, &service().await);
    let mut accepting = accept(&fernand, &alice, &["--once"]);
    accepting.event("listening").await;
    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await, (Some(0), String::new()));
    assert_eq!(accepting.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn the_next_tube_is_found_at_the_same_port() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let mut accepting = accept(&fernand, &alice, &[]);
    let offering = offer(&alice, &fernand, &service().await);
    let first = address(&accepting.event("listening").await);
    offering.signal(Signal::TERM);
    offering.end().await;
    accepting.event("tube_closed").await;
    // Bound as by a program that does not share: it cannot have the port in between.
    #[cfg(target_os = "linux")]
    {
        let another = TcpSocket::new_v4().unwrap().bind(first);
        assert_eq!(another.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    }
    let _offering = offer(&alice, &fernand, &service().await);
    let second = address(&accepting.event("listening").await);
    assert_eq!(first, second);
    assert_eq!(ask(second, b"pots").await, b"stop");
}

/// The contact ends, with or without having used the tube, and comes back.
async fn returns(used: bool) {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &service().await);
    let mut accepting = accept(&fernand, &alice, &[]);
    let tube = address(&accepting.event("listening").await);
    if used {
        assert_eq!(ask(tube, b"lager").await, b"regal");
    }
    accepting.signal(Signal::TERM);
    accepting.end().await;

    let mut accepting = accept(&fernand, &alice, &[]);
    let tube = address(&accepting.event("listening").await);
    assert_eq!(ask(tube, b"drawer").await, b"reward");
}

#[tokio::test]
async fn a_tube_is_offered_again_when_the_contact_returns() {
    returns(true).await;
}

#[tokio::test]
async fn an_unused_tube_is_offered_again_when_the_contact_returns() {
    returns(false).await;
}

#[tokio::test]
async fn an_offer_of_another_service_is_not_accepted() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &service().await);
    let mut accepting = accept(&fernand, &alice, &["--service", "forwards"]);
    accepting.event("tube_offered").await;
    accepting.signal(Signal::TERM);
    let (code, said) = accepting.end().await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

/// What a command says on standard output when it is given this on standard input, and that it
/// ends well.
async fn through(command: &[String], input: &[u8]) -> Vec<u8> {
    let (mut child, mut stdin, mut stdout) = piped(&words(command));
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let mut reply = Vec::new();
    let read = stdout.read_to_end(&mut reply);
    timeout(PATIENCE, read).await.expect("a reply").unwrap();
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert_eq!(status.unwrap().code(), Some(0));
    reply
}

#[tokio::test]
async fn connect_is_a_pipe_to_the_service() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let mut offering = offer(&alice, &fernand, &service().await);
    offering.event("online").await;
    let command = fernand.with(&["connect", &alice.jid, "backwards", "--wait", "60"]);
    assert_eq!(through(&command, b"parts").await, b"strap");
}

#[tokio::test]
async fn accept_on_standard_input_and_output_is_a_pipe_to_the_service() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &service().await);
    let command = fernand.with(&["accept", "--from", &alice.jid, "--listen", "-"]);
    assert_eq!(through(&command, b"straw").await, b"warts");
}

#[tokio::test]
async fn standard_input_and_output_can_be_the_service() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let mut accepting = accept(&fernand, &alice, &[]);
    let command = alice.with(&["offer", "-", "--to", &fernand.jid, "--service", "backwards"]);
    let program = async {
        let tube = address(&accepting.event("listening").await);
        ask(tube, b"question").await
    };
    let (asked, replied) = tokio::join!(through(&command, b"answer"), program);
    assert_eq!(asked, b"question");
    assert_eq!(replied, b"answer");
}

#[tokio::test]
async fn people_are_told_in_sentences() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &service().await);
    let command = fernand.with(&["accept", "--from", &alice.jid, "--listen", "127.0.0.1:0"]);
    let (_child, _stdin, stdout) = piped(&words(&command));
    let mut lines = BufReader::new(stdout).lines();
    for expected in [
        "online as ",
        "waiting for ",
        " offers backwards as tube ",
        "listening on tcp:127.0.0.1:",
    ] {
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect(expected);
            let line = line.unwrap().expect(expected);
            assert!(!line.starts_with('{'), "{line}");
            if line.contains(expected) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn connect_gives_up_when_nothing_is_offered() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let command = fernand.with(&["connect", &alice.jid, "backwards"]);
    let output = program::run_within(GIVES_UP, &words(&command)).await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains(&alice.jid) && last.contains("backwards within 30 s"),
        "{said}"
    );
}

/// For `connect` to wait half a minute, and to log in and out.
const GIVES_UP: Duration = Duration::from_secs(120);

/// An address where nobody listens, as long as the socket keeps it from being given to others.
fn nobody() -> (String, TcpSocket) {
    let keeper = TcpSocket::new_v4().unwrap();
    keeper.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("tcp:{}", keeper.local_addr().unwrap()), keeper)
}

#[tokio::test]
async fn a_service_that_is_not_there_ends_the_connection_with_a_reason() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let (nobody, _keeper) = nobody();
    let mut offering = offer(&alice, &fernand, &nobody);
    let mut accepting = accept(&fernand, &alice, &[]);
    let tube = address(&accepting.event("listening").await);
    let mut socket = TcpStream::connect(tube).await.unwrap();
    let read = timeout(PATIENCE, socket.read(&mut [0; 1]))
        .await
        .expect("an end");
    assert!(!matches!(read, Ok(1)));
    for side in [&mut offering, &mut accepting] {
        let closed = side.event("connection_closed").await;
        assert_ne!(closed["error"], Value::Null);
    }
}

#[tokio::test]
async fn connect_says_that_the_service_is_unavailable() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let (nobody, _keeper) = nobody();
    let mut offering = offer(&alice, &fernand, &nobody);
    offering.event("online").await;
    let command = fernand.with(&["connect", &alice.jid, "backwards", "--wait", "60"]);
    let output = program::run(&words(&command)).await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
}

/// ssh hangs its `ProxyCommand` up, and timeout(1) signals a process twice.
#[tokio::test]
async fn a_hangup_and_an_interrupt_that_comes_twice_end_it_properly() {
    for (signals, code) in [
        (vec![Signal::HUP], 0),
        (vec![Signal::INT, Signal::INT], 130),
    ] {
        let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
        let offering = offer(&alice, &fernand, &service().await);
        let mut accepting = accept(&fernand, &alice, &[]);
        accepting.event("listening").await;
        for signal in signals {
            offering.signal(signal);
        }
        // The other side hears of it, so it was no sudden death.
        accepting.event("tube_closed").await;
        assert_eq!(offering.end().await, (Some(code), String::new()));
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_before_anything_is_offered() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let command = fernand.with(&["accept", "--from", &alice.jid, "--listen", &address]);
    let (code, said) = Program::start(&words(&command)).end().await;
    assert_eq!(code, Some(1));
    assert!(said.contains(&address), "{said}");
}
