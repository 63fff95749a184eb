//! Who is sent a file, and is a bad receiver.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tubes_server::Server;

use crate::attacker::{Attacker, bare};
use crate::outliving::Deed;
use crate::plan::{Plan, Standing};
use crate::program::{Program, words};
use crate::scene::Scene;
use crate::vitals::Vitals;
use crate::withstanding::{Before, Said, Sign};
use crate::words::{agrees, attribute, data, result, set};

/// Silence is no yes, however long it lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_says_a_last_word_has_received_nothing() {
    let failed = is_sent_a_file(Word::Never, Reads::Everything).await;
    assert_eq!(failed["error"]["kind"], "gone", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_ends_without_a_last_word_has_received_nothing() {
    let failed = is_sent_a_file(Word::Last(""), Reads::Everything).await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("without having said"), "{failed}");
}

/// It may have been said by somebody who has seen nothing but the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_has_everything_before_the_last_byte_has_received_nothing() {
    is_sent_a_file(Word::First("received\n"), Reads::Little).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_word_that_nobody_knows_is_not_yes() {
    let failed = is_sent_a_file(Word::Last("received\nand more"), Reads::Everything).await;
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("without having said"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_is_meant_to_harm_does_nothing_to_a_terminal() {
    is_sent_a_file(Word::Last("failed \u{9b}31m\u{202e}\n"), Reads::Everything).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stops_reading_holds_up_its_own_file_only() {
    let failed = is_sent_a_file(Word::Never, Reads::Little).await;
    assert_eq!(failed["error"]["kind"], "gone", "{failed}");
}

/// When a receiver says what it makes of the file, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    First(&'static str),
    Last(&'static str),
    Never,
}

/// How much of the file it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Everything,
    Little,
}

/// Fernand sends a file to Carol, who is of our own kind, and does not encrypt; how it failed. Who has not
/// said a last word goes without one.
async fn is_sent_a_file(word: Word, reads: Reads) -> Value {
    let scene = Plan::new(Standing::Contact).set().await;
    let mut failed = Value::Null;
    scene
        .outlives(Sign::Awaited, Deed::Spares, async |scene: &mut Scene| {
            let letter = scene.accounts[1].file("letter");
            fs::write(&letter, vec![b'l'; SIZE]).unwrap();
            let send = ["send", &letter.to_string_lossy(), &scene.carol.jid];
            let send = [&send[..], &["--encryption", "off"]].concat();
            let send = scene.at_fernands(&send, "sender");
            let mut program = Program::start(&words(&send));
            program.event("online").await;
            let before = Before::of(Vitals::of(program.pid()));
            let receiver = Receiver {
                client: &mut scene.carol,
                word,
                reads,
                blocks: 0,
                seq: 0,
            };
            receiver.receive().await;
            before.assert_little();
            if word == Word::Never || reads == Reads::Little {
                let account = bare(&scene.carol.jid);
                leave(&mut scene.carol, scene.server, &account, &scene.password).await;
            }
            failed = program.event("file_failed").await;
            let (code, events, complaint) = program.end_with_all().await;
            assert!(!matches!(code, Some(0) | None), "{code:?}");
            assert!(!events.iter().any(|line| line.contains("file_done")));
            let said = Said {
                events: vec![events],
                complaints: vec![complaint],
            };
            said.assert_harmless();
        })
        .await;
    eprintln!("{failed}");
    failed
}

/// Carol goes, and another of her programs comes.
async fn leave(carol: &mut Attacker, server: &Server, account: &str, password: &str) {
    carol.say("<presence type='unavailable'/>").await;
    carol.settle().await;
    *carol = Attacker::log_in(server, account, password, "elsewhere").await;
}

struct Receiver<'a> {
    client: &'a mut Attacker,
    word: Word,
    reads: Reads,
    blocks: usize,
    seq: u64,
}

impl Receiver<'_> {
    /// Answers whatever it is asked, until it has taken what it takes, and said what it says.
    async fn receive(mut self) {
        loop {
            let asked = self.client.hears(&["<iq", "/sender'"]).await;
            let (from, id) = (attribute(&asked, "from"), attribute(&asked, "id"));
            if !asked.contains("type='get'") && !asked.contains("type='set'") {
                continue;
            }
            let answer = if asked.contains("disco#info") {
                result(from, id).replace("/>", &format!(">{ABLE}</iq>"))
            } else if asked.contains("<si") {
                agrees(&asked, KIND)
            } else if asked.contains("<data") {
                self.blocks += 1;
                if self.reads == Reads::Little && self.blocks > LITTLE {
                    return;
                }
                result(from, id)
            } else if asked.contains("<close") {
                // Its answer would be the end of the other direction.
                if let Word::Last(word) = self.word {
                    self.say(&asked, word).await;
                    self.client.say(result(from, id)).await;
                }
                return;
            } else {
                result(from, id)
            };
            self.client.say(answer).await;
            if let (Word::First(word), 1) = (self.word, self.blocks) {
                self.say(&asked, word).await;
            }
        }
    }

    async fn say(&mut self, asked: &str, word: &str) {
        if word.is_empty() {
            return;
        }
        let (from, sid) = (attribute(asked, "from"), attribute(asked, "sid"));
        let block = data(sid, self.seq, &STANDARD.encode(word));
        let said = set(from, &format!("word{}", self.seq), &block);
        self.seq += 1;
        self.client.say(said).await;
    }
}

/// What a program does that takes files, and is of our own kind.
const ABLE: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
    <identity category='client' type='pc'/>\
    <feature var='http://jabber.org/protocol/si'/>\
    <feature var='http://jabber.org/protocol/si/profile/file-transfer'/>\
    <feature var='http://jabber.org/protocol/ibb'/>\
    <feature var='urn:x-tubes:0'/></query>";

/// That it is of our own kind, in an answer.
const KIND: &str = "<kind xmlns='urn:x-tubes:0'/>";

/// Bytes of the file: many blocks.
const SIZE: usize = 512 * 1024;

/// Blocks that are read by who reads few.
const LITTLE: usize = 4;
