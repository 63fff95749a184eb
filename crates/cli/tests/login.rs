//! Logins that fail: the exit code says how, one line says why, and an event does for programs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::process::Output;

use program::{Program, complaint, events, friends, run, words};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tubes_server::ServerKind;

const OFFER: [&str; 6] = [
    "offer",
    "localhost:22",
    "--to",
    "fernand@tubes.test",
    "--service",
    "ssh",
];

async fn offer(options: &[String]) -> Output {
    run(&[words(options), vec!["--output", "json"]].concat()).await
}

/// Checks the exit code, the only event, and that both say this much.
fn failed(output: &Output, code: i32, kind: &str, named: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let events = events(output);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "error");
    assert_eq!(events[0]["kind"], kind);
    let line = complaint(output);
    for word in named {
        assert!(line.contains(word), "`{word}` is not in: {line}");
        assert!(events[0]["message"].as_str().unwrap().contains(word));
    }
}

async fn wrong_password(kind: ServerKind) {
    let Some((alice, _)) = friends(kind).await else {
        return;
    };
    fs::write(alice.file("password"), "wrong").unwrap();
    let output = offer(&alice.with(&OFFER)).await;
    failed(&output, 77, "refused", &[&alice.jid, "password"]);
    assert!(!complaint(&output).contains("wrong\n"));
}

#[tokio::test]
async fn a_wrong_password_is_not_authorised_on_the_embedded_server() {
    wrong_password(ServerKind::Embedded).await;
}

#[tokio::test]
async fn a_wrong_password_is_not_authorised_on_prosody() {
    wrong_password(ServerKind::Prosody).await;
}

#[tokio::test]
async fn a_wrong_password_is_not_authorised_on_ejabberd() {
    wrong_password(ServerKind::Ejabberd).await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_not_authorised_and_the_option_is_named() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    let mut options = alice.with(&OFFER);
    let ca_file = options.iter().position(|word| word == "--ca-file").unwrap();
    options.drain(ca_file..ca_file + 2);
    failed(
        &offer(&options).await,
        77,
        "untrusted",
        &["certificate", "--ca-file"],
    );
}

#[tokio::test]
async fn an_unknown_host_is_unavailable() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    let mut options = alice.with(&OFFER);
    let server = options.iter().position(|word| word == "--server").unwrap();
    options[server + 1] = "nowhere.invalid:5222".to_owned();
    failed(
        &offer(&options).await,
        69,
        "unreachable",
        &["nowhere.invalid", "--server"],
    );
}

#[tokio::test]
async fn a_port_without_a_server_is_unavailable() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    // Bound, and so not given to others; nobody listens.
    let keeper = TcpSocket::new_v4().unwrap();
    keeper.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = keeper.local_addr().unwrap().to_string();
    let mut options = alice.with(&OFFER);
    let server = options.iter().position(|word| word == "--server").unwrap();
    options[server + 1] = nobody.clone();
    failed(&offer(&options).await, 69, "unreachable", &[&nobody]);
}

#[tokio::test]
async fn a_ca_file_without_a_certificate_is_named() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    fs::write(alice.file("ca.pem"), "nothing").unwrap();
    let output = offer(&alice.with(&OFFER)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("ca.pem"));
}

#[tokio::test]
async fn a_login_that_hangs_can_be_interrupted() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0)] {
        let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = alice.with(&OFFER);
        let server = options.iter().position(|word| word == "--server").unwrap();
        options[server + 1] = silent.local_addr().unwrap().to_string();
        let offering = Program::start(&words(&options));
        let _connection = silent.accept().await.unwrap();
        offering.signal(signal);
        assert_eq!(offering.end().await, (Some(code), String::new()));
    }
}

/// tokio-xmpp logs the whole login at the level of traces; with PLAIN that is the password.
#[tokio::test]
async fn the_log_never_shows_the_login() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    fs::write(alice.file("password"), "wrong").unwrap();
    let output = program::run_logging("trace", &words(&alice.with(&OFFER))).await;
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("DEBUG"), "nothing was logged: {log}");
    assert!(!log.contains("TRACE tokio_xmpp"), "{log}");
}

/// It speaks XMPP, offers to take the password, and nothing to protect it.
#[tokio::test]
async fn a_server_that_wants_encryption_first_is_met_by_dropping_the_option_that_leaves_it_out() {
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    let hint = "(it offers: nothing); leave --tls none out";
    let plain = [&OFFER[..], &["--tls", "none"]].concat();
    let output = offer(&alice.with(&plain)).await;
    failed(&output, 77, "refused", &[&alice.jid, hint]);
}

#[tokio::test]
async fn a_server_without_tls_is_not_given_the_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(WITHOUT_TLS.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        // However the client ends it, what it said is what counts.
        let _ = client.read_to_end(&mut heard).await;
        String::from_utf8(heard).unwrap()
    });
    let (alice, _) = friends(ServerKind::Embedded).await.unwrap();
    let mut options = alice.with(&OFFER);
    let at = options.iter().position(|word| word == "--server").unwrap();
    options[at + 1] = server;
    failed(&offer(&options).await, 77, "untrusted", &["encryption"]);
    assert!(!heard.await.unwrap().contains("<auth"));
}

const WITHOUT_TLS: &str = "<?xml version='1.0'?>\
    <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    id='1' from='tubes.test' version='1.0'><stream:features>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
    </mechanisms></stream:features>";
