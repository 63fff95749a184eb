//! A server that changes what it carries for Fernand, or says it in the name of others.

use std::mem;
use std::net::SocketAddr;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::honest::{is_served, until_served};
use crate::meddler::{Meddler, Toward};
use crate::outliving::Deed;
use crate::plan::{Plan, Standing};
use crate::program::{PATIENCE, Program};
use crate::scene::{Scene, server};
use crate::withstanding::Sign;
use crate::words::{attribute, offer, result};

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_name_of_others_are_not_taken_for_those_of_the_asked() {
    // What carries the honest tube are questions, and their answers.
    let (meddler, scene) = meddled("ibb").await;
    let forger = scene.carol.jid.clone();
    meddler.plot(move |toward, stanza| {
        let said = stanza.replace('"', "'");
        // Who has no name yet is nobody whom others answer.
        let is_asked =
            said.starts_with("<iq") && !said.contains("urn:ietf:params:xml:ns:xmpp-bind");
        let forged = (toward == Toward::Server && is_asked)
            .then(|| attribute(&said, "id"))
            .map(|id| result("fernand", id).replace("to='fernand'", &format!("from='{forger}'")));
        let forged = forged.map(|forged| (Toward::Client, forged));
        forged.into_iter().chain([(toward, stanza)]).collect()
    });
    let sign = Sign::Disregarded("answer");
    scene.withstands(sign, async |_, _| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_the_server_drops_are_missed() {
    breaks_a_stream(|blocks| drop(blocks.remove(0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_the_server_doubles_are_not_taken_twice() {
    breaks_a_stream(|blocks| {
        let last = blocks.last().cloned();
        blocks.extend(last);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_the_server_reorders_are_not_taken_as_they_come() {
    breaks_a_stream(|blocks| blocks.reverse()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_exchanged_is_refused() {
    let (meddler, scene) = meddled("socks5-direct").await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            is_served(tube).await;
            meddler.plot(|toward, stanza| match toward {
                Toward::Client => vec![(toward, with_another_key(&stanza))],
                Toward::Server => vec![(toward, stanza)],
            });
            is_refused(tube, &mut scene.programs[1]).await;
            meddler.relent();
        })
        .await;
}

/// Alice has gone. The server offers a tube in her name, and answers for her, with what she once said.
#[tokio::test(flavor = "multi_thread")]
async fn a_tube_that_the_server_offers_in_the_name_of_a_contact_carries_nothing() {
    let (meddler, mut scene) = meddled("ibb").await;
    let (mut answered, mut is_forged) = (None, false);
    let alice = scene.alice.clone();
    meddler.plot(move |toward, stanza| {
        let said = stanza.replace('"', "'");
        let is_answer = said.contains("<si") && said.contains("type='result'");
        match toward {
            Toward::Client if is_answer => {
                answered = Some(said);
                vec![(toward, stanza)]
            }
            Toward::Server if said.contains("<open") && is_forged => {
                let id = attribute(&said, "id").to_owned();
                let opened =
                    result("nobody", &id).replace("to='nobody'", &format!("from='{alice}'"));
                vec![(Toward::Client, opened)]
            }
            Toward::Server if said.contains("<si") && !is_answer => match &answered {
                // Of herself comes the first.
                None => vec![(toward, stanza)],
                Some(before) => {
                    is_forged = true;
                    let (old, new) = (attribute(before, "id"), attribute(&said, "id"));
                    let again = before.replacen(&format!("id='{old}'"), &format!("id='{new}'"), 1);
                    vec![(Toward::Client, with_another_key(&again))]
                }
            },
            _ => vec![(toward, stanza)],
        }
    });
    is_served(scene.tube).await;
    scene.programs[1].event("connection_closed").await;
    let offering = scene.programs.remove(0);
    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await, (Some(0), String::new()));
    scene.programs[0].event("tube_closed").await;
    let (alice, fernand) = (scene.alice.clone(), scene.fernand.clone());
    let offer = offer(scene.number + 1, "x-echo", "");
    meddler
        .say(format!(
            "<presence from='{alice}' to='{fernand}'/>\
             <message from='{alice}' to='{fernand}'>{offer}</message>"
        ))
        .await;
    scene.programs[0].event("listening").await;
    is_refused(scene.tube, &mut scene.programs[0]).await;
    scene.leave().await.assert_harmless();
}

/// The server does something to the first two blocks that are on their way together. No program takes what
/// comes then for the whole; and the next stream is a good one.
async fn breaks_a_stream(spoil: impl FnMut(&mut Vec<String>) + Send + 'static) {
    let (meddler, scene) = meddled("ibb").await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            is_served(tube).await;
            scene.programs[1].event("connection_closed").await;
            let mut program = TcpStream::connect(tube).await.unwrap();
            program.write_all(b"!").await.unwrap();
            assert_eq!(program.read_u8().await.unwrap(), b'!');
            // Many blocks are on their way from here on.
            meddler.plot(spoiling(spoil));
            let said = vec![b'a'; SAID];
            let (mut reader, mut writer) = program.split();
            let saying = async {
                // It may break off before that.
                let _ = writer.write_all(&said).await;
            };
            let mut heard = Vec::new();
            let hearing = timeout(PATIENCE, reader.read_to_end(&mut heard));
            let ((), ended) = tokio::join!(saying, hearing);
            assert!(ended.expect("an end").is_err(), "{} bytes", heard.len());
            let closed = scene.programs[1].event("connection_closed").await;
            eprintln!("{closed}");
            assert!(closed["error"]["message"].is_string(), "{closed}");
            meddler.relent();
            until_served(tube).await;
        })
        .await;
}

/// Collects two blocks towards the client, of which the first is acknowledged in its name, spoils them, and
/// lets everything pass from then on.
fn spoiling(
    mut spoil: impl FnMut(&mut Vec<String>) + Send + 'static,
) -> impl FnMut(Toward, String) -> Vec<(Toward, String)> + Send + 'static {
    let (mut blocks, mut is_over) = (Vec::new(), false);
    move |toward, stanza| {
        let is_block = toward == Toward::Client && stanza.contains("<data");
        if is_over || !is_block {
            return vec![(toward, stanza)];
        }
        let said = stanza.replace('"', "'");
        blocks.push(stanza);
        if blocks.len() < 2 {
            // There may be no other before this one was acknowledged.
            let acknowledged = result(attribute(&said, "from"), attribute(&said, "id"));
            return vec![(Toward::Server, acknowledged)];
        }
        is_over = true;
        spoil(&mut blocks);
        let spoilt = mem::take(&mut blocks).into_iter();
        spoilt.map(|block| (Toward::Client, block)).collect()
    }
}

/// A program is not served, and Fernand is told why.
async fn is_refused(tube: SocketAddr, accepting: &mut Program) {
    let mut program = TcpStream::connect(tube).await.unwrap();
    program.write_all(b"a secret").await.unwrap();
    let heard = timeout(PATIENCE, program.read_u8()).await.expect("an end");
    assert!(heard.is_err());
    loop {
        let closed = accepting.event("connection_closed").await;
        if closed["error"].is_null() {
            // Of a program that was served before.
            continue;
        }
        assert_eq!(closed["error"]["kind"], "untrusted", "{closed}");
        return;
    }
}

/// The same stanza, in which nobody's key stands in the place of the one that was said.
fn with_another_key(stanza: &str) -> String {
    let Some((before, rest)) = stanza.split_once("<secure") else {
        return stanza.to_owned();
    };
    let (name, rest) = rest.split_once("key=").unwrap();
    let mark = &rest[..1];
    let (_, after) = rest[1..].split_once(mark).unwrap();
    format!("{before}<secure{name}key={mark}{KEY}{mark}{after}")
}

/// Fernand's process has a meddler for a server.
async fn meddled(transport: &'static str) -> (Meddler, Scene) {
    let meddler = Meddler::before(server().await.address()).await;
    let plan = Plan::new(Standing::Contact).by(transport);
    let scene = plan.through(meddler.address).set().await;
    (meddler, scene)
}

/// Of the examples in RFC 8032.
const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// Bytes of many blocks.
const SAID: usize = 512 * 1024;
