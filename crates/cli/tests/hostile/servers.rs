//! A server that has let Fernand in, and is up to no good from then on.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::honest::until_served;
use crate::measuring::is_measured;
use crate::meddler::Meddler;
use crate::outliving::Deed;
use crate::plan::{Plan, Standing};
use crate::scene::{Scene, server};
use crate::withstanding::Sign;

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_a_mebibyte_are_left_out() {
    let giant = "a".repeat(MEBIBYTE);
    let message = format!("<message from='tubes.test'><body long='{giant}'/></message>");
    withstands_words(LEFT_OUT, message.into_bytes(), RARELY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_text_of_five_mebibytes_the_end_is_left_out() {
    let giant = "a".repeat(5 * MEBIBYTE);
    let message = format!("<message from='tubes.test'><body>{giant}</body></message>");
    withstands_words(LEFT_OUT, message.into_bytes(), 4 * RARELY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_levels_the_deepest_are_left_out() {
    let (down, up) = ("<a>".repeat(LEVELS), "</a>".repeat(LEVELS));
    let message = format!("<message from='tubes.test'>{down}{up}</message>");
    withstands_words(LEFT_OUT, message.into_bytes(), RARELY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_thousand_attributes_and_elements_most_are_left_out() {
    let attributes: String = (0..LEVELS).map(|at| format!(" a{at}=''")).collect();
    let elements = "<a/>".repeat(10 * LEVELS);
    let message = format!("<message from='tubes.test'><b{attributes}/>{elements}</message>");
    withstands_words(LEFT_OUT, message.into_bytes(), RARELY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_stanza_is_left_out_and_floods_no_log() {
    let (meddler, scene) = behind_a_meddler(&[]).await;
    let nonsense = "Received invalid stanza";
    let said = scene
        .withstands(Sign::Log(nonsense), async |_, _| {
            let message = "<message type='nonsense' from='carol@tubes.test/x'/>";
            meddler.say(message.to_owned()).await;
        })
        .await;
    said.assert_has_few(nonsense);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stanza_that_does_not_end_takes_little_memory() {
    let (meddler, scene) = behind_a_meddler(&[]).await;
    scene
        .outlives(LEFT_OUT, Deed::Spares, async |_: &mut Scene| {
            meddler
                .say("<message from='tubes.test'><body>".to_owned())
                .await;
            // More than it may take in all.
            for _ in 0..96 {
                meddler.say(vec![b'a'; MEBIBYTE]).await;
            }
            meddler.say("</body></message>".to_owned()).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_that_is_declared_ends_the_connection_and_not_the_session() {
    let bomb = "<!DOCTYPE bomb [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>\
        <message from='tubes.test'><body>&b;</body></message>";
    loses_the_connection(bomb, Next::Waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_within_a_tag_is_replaced() {
    loses_the_connection("<message from='tubes.te", Next::HangsUp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_closed_in_the_middle_of_everything_is_replaced() {
    loses_the_connection("</stream:stream>", Next::Waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dismisses_whoever_logs_in_is_not_stormed() {
    let (meddler, scene) = behind_a_meddler(&[]).await;
    let mut before = 0;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            before = meddler.logins();
            let busy = scene.vitals()[1].busy();
            meddler.dismisses_with(Some("</stream:stream>"));
            let begun = Instant::now();
            meddler.hang_up().await;
            while meddler.logins() < before + DISMISSALS {
                sleep(GLANCE).await;
            }
            // Jitter may halve the pauses of 1, 2 and 4 seconds.
            let pauses = begun.elapsed();
            assert!(pauses >= Duration::from_millis(3400), "{pauses:?}");
            let busy = scene.vitals()[1].busy() - busy;
            // Where others want the processors, too, the same work takes longer.
            let most = if is_measured() {
                pauses / 10
            } else {
                pauses / 2
            };
            assert!(busy <= most, "busy for {busy:?} of {pauses:?}");
            meddler.dismisses_with(None);
            let offline = scene.programs[1].event("offline").await;
            assert!(offline["retry_in_ms"].is_u64(), "{offline}");
            scene.programs[1].event("online").await;
        })
        .await;
}

/// What the server says now and then is left out, and nothing else suffers.
async fn withstands_words(sign: Sign, words: Vec<u8>, how_often: u64) {
    let (meddler, scene) = behind_a_meddler(&[]).await;
    scene
        .withstands(sign, async |_, blow| {
            if blow.is_multiple_of(how_often) {
                meddler.say(words.clone()).await;
            }
        })
        .await;
}

/// What the server does when it has said that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    HangsUp,
    /// It is for the client to end the connection.
    Waits,
}

/// What the server says ends the connection; the next one does as the first did.
async fn loses_the_connection(words: &'static str, next: Next) {
    let (meddler, scene) = behind_a_meddler(&[]).await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            until_served(tube).await;
            meddler.say(words).await;
            if next == Next::HangsUp {
                meddler.hang_up().await;
            }
            let offline = scene.programs[1].event("offline").await;
            assert!(offline["retry_in_ms"].is_u64(), "{offline}");
            scene.programs[1].event("online").await;
            until_served(tube).await;
        })
        .await;
}

/// Fernand's process has this one for a server.
async fn behind_a_meddler(more: &[&str]) -> (Meddler, Scene) {
    let meddler = Meddler::before(server().await.address()).await;
    let plan = Plan::new(Standing::Contact).with(more);
    let scene = plan.through(meddler.address).set().await;
    (meddler, scene)
}

const LEFT_OUT: Sign = Sign::Log("a stanza is too deep, too long or too large");

const MEBIBYTE: usize = 1024 * 1024;

const LEVELS: usize = 10_000;

/// Strikes of which one says something large.
const RARELY: u64 = 32;

/// How often a server dismisses somebody before it comes to its senses.
const DISMISSALS: usize = 3;

/// How often it is looked whether something is so.
const GLANCE: Duration = Duration::from_millis(20);
