//! Who sends files that are meant to harm, or only offers them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::{sleep, timeout};

use crate::attacker::Attacker;
use crate::plan::{Plan, Standing};
use crate::program::PATIENCE;
use crate::withstanding::{Sign, is_harmful};
use crate::words::{close, data, file, open, set};

#[tokio::test(flavor = "multi_thread")]
async fn a_contacts_flood_of_files_ends_at_the_limit() {
    let scene = plan(Standing::Contact).set().await;
    let tablet = scene.tablet.clone().unwrap();
    scene
        .withstands(Sign::Limit("files_per_contact"), async |carol, blow| {
            let si = file(
                &format!("f{blow}"),
                &format!("name='file{blow}' size='1000'"),
                "",
            );
            carol.say(set(&tablet, &format!("si{blow}"), &si)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_flood_of_files_is_declined() {
    let scene = plan(Standing::Stranger).with(&["-v"]).set().await;
    let tablet = scene.tablet.clone().unwrap();
    let received = scene.received();
    let declined = "a stranger's file is declined";
    let said = scene
        .withstands(Sign::Log(declined), async |carol, blow| {
            let si = file(
                &format!("f{blow}"),
                &format!("name='file{blow}' size='1000'"),
                "",
            );
            carol.say(set(&tablet, &format!("si{blow}"), &si)).await;
            assert!(names(&received).is_empty());
        })
        .await;
    said.assert_has_few(declined);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_meant_to_harm_lead_nowhere_and_do_nothing_to_a_terminal() {
    let scene = plan(Standing::Contact).with_heavy_strikes(48).set().await;
    let tablet = scene.tablet.clone().unwrap();
    let received = scene.received();
    let outside = received.parent().unwrap().to_owned();
    let before = names(&outside);
    scene
        .withstands(
            Sign::Event("file_done", "received"),
            async move |carol, blow| {
                let name = HARMFUL[usize::try_from(blow).unwrap() % HARMFUL.len()];
                let si = file(&format!("f{blow}"), &format!("name='{name}' size='4'"), "");
                send(carol, &tablet, &format!("f{blow}"), &si, b"harm").await;
                let tame =
                    |name: &String| !name.contains(['/', '\\']) && !name.chars().any(is_harmful);
                let inside = names(&received);
                assert!(inside.iter().all(tame), "{inside:?}");
                assert_eq!(names(&outside), before);
                assert!(!Path::new("/tmp/tubes-escaped").exists());
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_cannot_be_are_no_files() {
    let scene = plan(Standing::Contact).with_heavy_strikes(64).set().await;
    let tablet = scene.tablet.clone().unwrap();
    let received = scene.received();
    let sign = Sign::Disregarded("file");
    scene
        .withstands(sign, async |carol, blow| {
            let size = IMPOSSIBLE[usize::try_from(blow).unwrap() % IMPOSSIBLE.len()];
            let si = file(&format!("f{blow}"), &format!("name='file' {size}"), "");
            let refused = carol.ask(&tablet, "set", &si).await;
            assert!(refused.contains("<bad-request"), "{size}: {refused}");
            assert!(names(&received).is_empty());
        })
        .await;
}

/// Which part is sent is for the receiver to say: whatever an offer says of that, the whole comes.
#[tokio::test(flavor = "multi_thread")]
async fn parts_that_an_offer_names_are_not_believed() {
    let scene = plan(Standing::Contact).with_heavy_strikes(32).set().await;
    let tablet = scene.tablet.clone().unwrap();
    let received = scene.received();
    let done = Sign::Event("file_done", "part-0");
    scene
        .withstands(done, async |carol, blow| {
            let part = PARTS[usize::try_from(blow).unwrap() % PARTS.len()];
            let name = format!("part-{blow}");
            let si = file(&name, &format!("name='{name}' size='4'"), part);
            send(carol, &tablet, &name, &si, b"harm").await;
            let arrived = async {
                while fs::read(received.join(&name)).ok().as_deref() != Some(b"harm") {
                    sleep(GLANCE).await;
                }
            };
            timeout(PATIENCE, arrived).await.expect(part);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_more_or_less_than_was_said_are_never_other_than_was_said() {
    let scene = plan(Standing::Contact).with_heavy_strikes(48).set().await;
    let tablet = scene.tablet.clone().unwrap();
    let received = scene.received();
    let cut_short = Sign::Event("file_failed", "ended before the last byte");
    scene
        .withstands(cut_short, async |carol, blow| {
            let size = ["3", "300", "18446744073709551615", "40", "0"];
            let size = size[usize::try_from(blow).unwrap() % size.len()];
            let name = format!("name='file-{blow}-{size}' size='{size}'");
            let si = file(&format!("f{blow}"), &name, "<range offset='2'/>");
            send(carol, &tablet, &format!("f{blow}"), &si, &[b'x'; 30]).await;
            for name in names(&received) {
                // What was not received to its end is hidden, and goes by another name.
                if let Some(("file", numbers)) = name.split_once('-') {
                    let (_, size) = numbers.split_once('-').unwrap();
                    let length = fs::metadata(received.join(&name)).unwrap().len();
                    assert_eq!(length.to_string(), size, "{name}");
                }
            }
        })
        .await;
}

/// Fernand receives what contacts send, also without encryption.
fn plan(standing: Standing) -> Plan {
    let existing = ["--existing", "number", "--encryption", "preferred"];
    Plan::new(standing)
        .by("socks5-direct,ibb")
        .receiving(&existing)
}

/// Sends a file as another client does, as far as it is taken.
pub(crate) async fn send(carol: &mut Attacker, to: &str, sid: &str, si: &str, contents: &[u8]) {
    let block = STANDARD.encode(contents);
    for what in [
        si.to_owned(),
        open(sid, 4096),
        data(sid, 0, &block),
        close(sid),
    ] {
        let answer = carol.ask(to, "set", &what).await;
        if !answer.contains("type='result'") {
            return;
        }
    }
}

/// What is in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_str().unwrap().to_owned())
        .collect()
}

/// As they stand in an attribute.
const HARMFUL: [&str; 16] = [
    "../escaped",
    "../../../../../../../../tmp/tubes-escaped",
    "/tmp/tubes-escaped",
    "..",
    ".",
    "a/../../escaped",
    "..\\escaped",
    "C:\\escaped",
    "&#x9b;31m&#x9b;2J",
    "&#10;&#9;&#13;",
    "photo&#x202e;gpj.exe",
    "&#x85;&#x7f;",
    ".bashrc",
    "-rf",
    "NUL",
    " ",
];

/// As they stand in the element.
const IMPOSSIBLE: [&str; 6] = [
    "size='-1'",
    "size='18446744073709551616'",
    "size='1e9'",
    "size=''",
    "size='0x10'",
    "",
];

const PARTS: [&str; 5] = [
    "<range offset='2'/>",
    "<range offset='-5'/>",
    "<range length='18446744073709551616'/>",
    "<range offset='one'/>",
    "<range offset='' length=''/>",
];

/// How often it is looked whether a file is there.
const GLANCE: Duration = Duration::from_millis(20);
