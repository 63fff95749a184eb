//! What answers at the server's address, and does not let anybody in.
//!
//! There is no honest tube yet. So what counts is that the command ends, in time, with one line that says
//! why and the exit code for it, and what it took until then. These tests measure nothing of others, and
//! run beside each other.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::program::Program;
use crate::withstanding::is_harmful;

#[tokio::test]
async fn features_with_an_attribute_of_a_mebibyte_take_little_memory() {
    let giant = "a".repeat(MEBIBYTE);
    let features = format!("{HEADER}<stream:features long='{giant}'>");
    let said = gives_up(Talk::OverAndOver(features, "<a/>".to_owned())).await;
    assert_eq!(said.code, BROKEN);
    said.names(&["more data than any login needs"]);
}

#[tokio::test]
async fn features_that_never_end_are_refused_before_they_take_memory() {
    let mechanism = "<mechanism>X-ENDLESS</mechanism>".repeat(1024);
    let features = format!("{HEADER}<stream:features><mechanisms xmlns='{SASL}'>");
    let said = gives_up(Talk::OverAndOver(features, mechanism)).await;
    assert_eq!(said.code, BROKEN);
    said.names(&["more data than any login needs"]);
}

#[tokio::test]
async fn features_of_ten_thousand_levels_are_no_way_to_log_in() {
    let (down, up) = ("<a>".repeat(LEVELS), "</a>".repeat(LEVELS));
    let features = format!("{HEADER}<stream:features>{down}{up}</stream:features>");
    let said = gives_up(Talk::Then(features, Finally::Waits)).await;
    assert_eq!(said.code, NOT_AUTHORISED);
    said.names(&["no safe way to authenticate"]);
}

#[tokio::test]
async fn entities_that_are_declared_at_the_login_are_no_xml_of_xmpp() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE bomb [<!ENTITY a 'aaaaaaaaaa'>\
        <!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    let said = gives_up(Talk::Then(format!("{bomb}{HEADER}"), Finally::Waits)).await;
    assert_eq!(said.code, BROKEN);
    said.names(&["broke the protocol"]);
}

#[tokio::test]
async fn a_login_that_is_cut_off_within_a_tag_is_said_to_be_broken() {
    let features = format!("{HEADER}<stream:features><mech");
    let said = gives_up(Talk::Then(features, Finally::HangsUp)).await;
    assert!([UNAVAILABLE, BROKEN].contains(&said.code));
    said.names(&["waiting for the server's first words"]);
}

#[tokio::test]
async fn a_stream_that_is_closed_before_anything_is_offered_lets_nobody_in() {
    let closed = format!("{HEADER}</stream:stream>");
    let said = gives_up(Talk::Then(closed, Finally::Waits)).await;
    assert!([UNAVAILABLE, BROKEN].contains(&said.code));
    said.names(&["waiting for the server's first words"]);
}

#[tokio::test]
async fn a_server_of_one_byte_a_second_is_given_up() {
    let said = gives_up(Talk::ByteByByte(HEADER.to_owned())).await;
    assert_eq!(said.code, UNAVAILABLE);
    said.names(&["timed out", "waiting for the server's first words"]);
}

#[tokio::test]
async fn a_server_that_never_says_a_word_is_given_up() {
    let said = gives_up(Talk::Then(String::new(), Finally::Waits)).await;
    assert_eq!(said.code, UNAVAILABLE);
    said.names(&["timed out", "waiting for the server's first words"]);
}

#[tokio::test]
async fn a_tls_handshake_that_stops_in_the_middle_is_given_up() {
    let impostor = Impostor::that(Talk::HalfOfTls).await;
    let said = impostor.meets("direct").await;
    assert_eq!(said.code, UNAVAILABLE);
    said.names(&["timed out", "encryption"]);
}

#[tokio::test]
async fn what_answers_a_tls_handshake_with_other_words_does_not_speak_tls() {
    let impostor = Impostor::that(Talk::Then(HEADER.to_owned(), Finally::Waits)).await;
    let said = impostor.meets("direct").await;
    assert_eq!(said.code, BROKEN);
    said.names(&["does not speak TLS"]);
}

#[tokio::test]
async fn a_server_that_never_goes_ahead_with_tls_is_given_up() {
    let said = Impostor::that(Talk::StartTls("".to_owned(), ""));
    let said = said.await.meets("starttls").await;
    assert_eq!(said.code, UNAVAILABLE);
    said.names(&["timed out", "encryption"]);
}

#[tokio::test]
async fn a_tls_handshake_that_stops_after_it_was_asked_for_is_given_up() {
    let said = Impostor::that(Talk::StartTls(PROCEED.to_owned(), HALF));
    let said = said.await.meets("starttls").await;
    assert_eq!(said.code, UNAVAILABLE);
    said.names(&["timed out", "encryption"]);
}

/// Somebody in between could say them, who does not have the server's key.
#[tokio::test]
async fn words_in_clear_between_tls_and_what_asks_for_it_are_not_heard() {
    let features = format!(
        "{HEADER}<stream:features><mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism>\
         </mechanisms></stream:features>"
    );
    let said = Impostor::that(Talk::StartTls(format!("{PROCEED}{features}"), ""));
    let said = said.await.meets("starttls").await;
    assert_eq!(said.code, BROKEN);
}

/// Newlines, a C1 control that many terminals obey, and a change of direction.
#[tokio::test]
async fn a_servers_last_words_do_nothing_to_a_terminal() {
    let error = format!(
        "{HEADER}<stream:error><see-other-host xmlns='{STREAMS}'>{HARMFUL}</see-other-host>\
         <text xmlns='{STREAMS}'>{HARMFUL}</text><own xmlns='own'>{HARMFUL}</own></stream:error>"
    );
    let said = gives_up(Talk::Then(error, Finally::Waits)).await;
    said.names(&["the server ended the stream"]);
}

#[tokio::test]
async fn the_words_of_a_refusal_do_nothing_to_a_terminal() {
    let features = format!(
        "{HEADER}<stream:features><mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism>\
         </mechanisms></stream:features>"
    );
    let refusal =
        format!("<failure xmlns='{SASL}'><not-authorized/><text>{HARMFUL}</text></failure>");
    let said = gives_up(Talk::Then(features + &refusal, Finally::Waits)).await;
    assert_eq!(said.code, NOT_AUTHORISED);
    said.names(&["refused by the server"]);
}

#[tokio::test]
async fn the_names_of_mechanisms_do_nothing_to_a_terminal() {
    let features = format!(
        "{HEADER}<stream:features><mechanisms xmlns='{SASL}'><mechanism>{HARMFUL}</mechanism>\
         </mechanisms></stream:features>"
    );
    let said = gives_up(Talk::Then(features, Finally::Waits)).await;
    said.names(&["no safe way to authenticate"]);
}

/// What is said to a client.
#[derive(Clone)]
enum Talk {
    ByteByByte(String),
    /// The beginning of what a server says of TLS.
    HalfOfTls,
    /// This, and then that again and again.
    OverAndOver(String, String),
    /// This, to whoever asks for TLS, and that, to what is said then.
    StartTls(String, &'static str),
    Then(String, Finally),
}

#[derive(Clone, Copy)]
enum Finally {
    HangsUp,
    Waits,
}

/// Takes every client for whatever it is, and talks.
struct Impostor {
    address: SocketAddr,
    folder: TempDir,
}

/// How the command ended.
struct Said {
    code: i32,
    complaint: String,
}

async fn gives_up(talk: Talk) -> Said {
    Impostor::that(talk).await.meets("none").await
}

impl Impostor {
    async fn that(talk: Talk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(talk.clone().to(client));
            }
        });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("password"), "secret\n").unwrap();
        Self { address, folder }
    }

    /// Alice tries to log in; and her command ends as it should.
    async fn meets(self, tls: &str) -> Said {
        let password = self.folder.path().join("password");
        let (password, server) = (password.to_string_lossy(), self.address.to_string());
        let begun = Instant::now();
        let program = Program::start(&[
            "offer",
            "127.0.0.1:9",
            "--to",
            "fernand@tubes.test",
            "--service",
            "x-echo",
            "--account",
            "alice@tubes.test",
            "--password-file",
            &password,
            "--server",
            &server,
            "--tls",
            tls,
        ]);
        let status = format!("/proc/{}/status", program.pid().as_raw_pid());
        let ending = program.end_with_all();
        tokio::pin!(ending);
        let mut most = 0;
        let (code, events, complaint) = loop {
            match timeout(GLANCE, &mut ending).await {
                Ok(ended) => break ended,
                Err(_) => most = most.max(peak(&status).unwrap_or_default()),
            }
        };
        eprintln!("{:?}, {} KiB: {complaint}", begun.elapsed(), most / 1024);
        assert!(begun.elapsed() <= PATIENT, "{:?}", begun.elapsed());
        assert!(most <= MEMORY, "{most} bytes");
        let of_the_log = |line: &&str| line.contains(" WARN ");
        let lines: Vec<_> = complaint.lines().skip_while(of_the_log).collect();
        assert_eq!(lines.len(), 1, "{complaint}");
        for said in events.iter().chain([&complaint]) {
            let harmful = |char: &char| is_harmful(*char) && *char != '\n';
            let found = said.chars().find(harmful);
            assert!(found.is_none(), "{found:?} in {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        assert!(events.iter().any(|line| line.contains("\"error\"")));
        Said {
            code: code.unwrap(),
            complaint,
        }
    }
}

impl Talk {
    /// Whoever gives up hears no more.
    async fn to(self, mut client: TcpStream) {
        match self {
            Self::ByteByByte(words) => {
                for byte in words.bytes() {
                    if client.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Self::HalfOfTls => {
                let _ = client.write_all(HALF.as_bytes()).await;
                wait_for_its_end(client).await;
            }
            Self::StartTls(answer, then) => {
                let features = format!("<stream:features>{STARTTLS}</stream:features>");
                let _ = client
                    .write_all((HEADER.to_owned() + &features).as_bytes())
                    .await;
                let mut heard = Vec::new();
                while !String::from_utf8_lossy(&heard).contains("<starttls") {
                    if !matches!(client.read_buf(&mut heard).await, Ok(1..)) {
                        return;
                    }
                }
                let _ = client.write_all(answer.as_bytes()).await;
                let _ = client.read(&mut [0; 1]).await;
                let _ = client.write_all(then.as_bytes()).await;
                wait_for_its_end(client).await;
            }
            Self::OverAndOver(first, then) => {
                let mut said = client.write_all(first.as_bytes()).await;
                while said.is_ok() {
                    said = client.write_all(then.as_bytes()).await;
                }
            }
            Self::Then(words, finally) => {
                let _ = client.write_all(words.as_bytes()).await;
                match finally {
                    Finally::HangsUp => drop(client.shutdown().await),
                    Finally::Waits => wait_for_its_end(client).await,
                }
            }
        }
    }
}

impl Said {
    fn names(&self, words: &[&str]) {
        for word in words {
            assert!(self.complaint.contains(word), "{}", self.complaint);
        }
    }
}

/// The most bytes of memory that a process had; none when it is gone.
fn peak(status: &str) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().trim_end_matches(" kB");
    Some(kib.parse::<u64>().ok()? * 1024)
}

/// Without a word.
async fn wait_for_its_end(mut client: TcpStream) {
    let mut heard = [0; 1024];
    while let Ok(1..) = client.read(&mut heard).await {}
}

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' from='tubes.test' version='1.0'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// Of a handshake record of 80 bytes, a ServerHello of TLS 1.2 begins.
const HALF: &str = "\x16\x03\x03\0\x50\x02\0\0\x4c\x03\x03\x01\x02\x03";

/// What XML allows and a terminal may obey.
const HARMFUL: &str = "one\nline\u{9b}31m\u{202e}two";

const MEBIBYTE: usize = 1024 * 1024;

const LEVELS: usize = 10_000;

/// Of sysexits.h.
const UNAVAILABLE: i32 = 69;
const BROKEN: i32 = 76;
const NOT_AUTHORISED: i32 = 77;

/// What a process may take before it has logged in, in all.
const MEMORY: u64 = 64 * 1024 * 1024;

/// The longest of its patiences, and some air for a busy machine.
const PATIENT: Duration = Duration::from_secs(30);

/// How often the memory is looked at.
const GLANCE: Duration = Duration::from_millis(2);
