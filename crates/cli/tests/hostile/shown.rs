//! What people see of somebody who would rather have their terminal do it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::attacker::bare;
use crate::plan::{Plan, Standing};
use crate::program::{BINARY, PATIENCE, prepared};
use crate::withstanding::{Sign, is_harmful};
use crate::words::{offer, tell};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_contact_says_reaches_a_terminal_as_it_is() {
    let mut scene = Plan::new(Standing::Contact)
        .with_light_strikes(1)
        .set()
        .await;
    let carol = bare(&scene.carol.jid);
    let more = [
        "accept",
        "--from",
        &carol,
        "--service",
        "x-never",
        "--listen",
        "127.0.0.1:0",
        "-v",
    ];
    let words = scene.at_fernands(&more, "terminal");
    let mut command = prepared(Command::new(BINARY));
    let mut child = command.args(words).stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let terminal = scene.fernand.replace("/phone", "/terminal");
    let mut shown = Vec::new();
    let mut seeing = async |wanted: &str| {
        loop {
            let line = timeout(PATIENCE, lines.next_line()).await.expect(wanted);
            shown.push(line.unwrap().expect(wanted));
            if shown.last().unwrap().contains(wanted) {
                return;
            }
        }
    };
    seeing("waiting").await;
    let harm = "&#x9b;31m&#x202e;&#x7f;&#x85;";
    for number in 1..8 {
        let parameter = format!("<parameter name='{harm}' type='str'>{harm}&#10;&#9;</parameter>");
        let offered = offer(number, &format!("x-{harm}{number}"), &parameter);
        scene.carol.say(tell(&terminal, &offered)).await;
        // What makes no sense stands in the log.
        scene
            .carol
            .say(tell(&terminal, &offer(0, &format!("x-{harm}"), harm)))
            .await;
        scene.carol.reaches(&terminal).await;
        seeing(&format!("{number}\" as tube")).await;
    }
    child.start_kill().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert!(said.contains("an offer makes no sense"), "{said}");
    for line in shown.iter().map(String::as_str).chain(said.lines()) {
        assert!(!line.chars().any(is_harmful), "{line:?}");
    }
    // The two others were told nothing.
    let said = scene.withstands(Sign::Awaited, async |_, _| ()).await;
    for line in said.events.iter().flatten().chain(&said.complaints) {
        assert!(
            !line.contains("31m") && !line.contains("makes no sense"),
            "{line}"
        );
    }
}
