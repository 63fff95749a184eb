//! Who has a connection, and says on it what makes no sense.

use std::cell::Cell;
use std::mem;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::attacker::{Attacker, BLOCK};
use crate::plan::{Plan, Standing};
use crate::scene::Scene;
use crate::withstanding::Sign;
use crate::witness::{self, Witness};
use crate::words::{Through, attribute, close, data, open, refusal, result, set, tell};

#[tokio::test(flavor = "multi_thread")]
async fn blocks_out_of_order_break_the_connection_that_they_are_of() {
    let sign = Sign::Event("connection_closed", "a block out of sequence");
    breaks_connections(sign, |sid| vec![data(sid, 1, "AAAA"), data(sid, 0, "AAAA")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_blocks_break_the_connection_that_they_are_of() {
    let sign = Sign::Event("connection_closed", "a block out of sequence");
    breaks_connections(sign, |sid| vec![data(sid, 0, "AAAA"); 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oversize_blocks_break_the_connection_that_they_are_of() {
    let sign = Sign::Event("connection_closed", "a block longer than agreed");
    let block = "A".repeat(usize::try_from(BLOCK).unwrap() * 8);
    breaks_connections(sign, |sid| vec![data(sid, 0, &block)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_are_no_base64_break_the_connection_that_they_are_of() {
    let sign = Sign::Event("connection_closed", "malformed data");
    let nonsense = ["A", "AA==AA==", "<a/>", "&#x202e;AAA", "AAAA="];
    let mut next = nonsense.iter().cycle();
    breaks_connections(sign, |sid| {
        let blocks = next.by_ref().take(1);
        blocks.map(|block| data(sid, 0, block)).collect()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_of_closes_end_each_connection_once() {
    // The service says nothing, so that it was all in good order.
    let sign = Sign::Event("connection_closed", r#""sent":0,"received":0,"error":null"#);
    let said = breaks_connections(sign, |sid| vec![close(sid); 20]).await;
    let closed = said
        .iter()
        .filter(|line| line.contains("connection_closed"));
    let opened = said
        .iter()
        .filter(|line| line.contains("connection_opened"));
    assert_eq!(closed.count(), opened.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_empty_blocks_costs_little() {
    let mut scene = Plan::new(Standing::Occupant).set().await;
    let alice = opened(&mut scene, "empty").await;
    let served = Sign::Event(
        "connection_closed",
        r#""received":0,"error":{"kind":"gone""#,
    );
    scene
        .withstands(served, async |carol, blow| {
            let block = data("empty", blow % 65_536, "");
            carol
                .say(set(&alice, &format!("empty{blow}"), &block))
                .await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_in_messages_that_nobody_can_hold_back_are_taken_as_far_as_there_is_room() {
    let mut scene = Plan::new(Standing::Occupant).set().await;
    let alice = opened(&mut scene, "messages").await;
    let block = "A".repeat(usize::try_from(BLOCK).unwrap() / 3 * 4);
    let strikes = Cell::new(0);
    // What Carol gets back she does not acknowledge, so that the service does not read on.
    let gone = Sign::Event("connection_closed", r#""sent":16384"#);
    let said = scene
        .withstands(gone, async |carol, blow| {
            strikes.set(blow + 1);
            let blocks =
                (0..IN_ONE).map(|at| data("messages", (blow * IN_ONE + at) % 65_536, &block));
            carol.say(tell(&alice, &blocks.collect::<String>())).await;
        })
        .await;
    let lines = said.events[0].iter();
    let closed = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let closed: Vec<_> = closed.filter(|event| event["sent"] == 16384).collect();
    let received = closed[0]["received"].as_u64().unwrap();
    assert!(
        received < strikes.get() * IN_ONE * u64::from(BLOCK) * 3 / 4,
        "{closed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_that_never_come_hold_up_their_own_connection_only() {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(32)
        .set()
        .await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let block = "A".repeat(usize::try_from(BLOCK).unwrap() / 3 * 4);
    let gone = Sign::Event("connection_closed", r#""kind":"gone""#);
    scene
        .withstands(gone, async |carol, blow| {
            let sid = format!("mute{blow}");
            carol.open(&alice, Through::Room, tube, &sid).await;
            let blocks =
                (0..3).map(|seq| set(&alice, &format!("{sid}-{seq}"), &data(&sid, seq, &block)));
            carol.say(blocks.collect::<String>()).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_that_come_twice_or_too_early_change_nothing() {
    let mut scene = Plan::new(Standing::Occupant)
        .with_light_strikes(128)
        .set()
        .await;
    let alice = opened(&mut scene, "twice").await;
    let closed = Sign::Event("connection_closed", r#""kind":"gone""#);
    scene
        .withstands(closed, async |carol, blow| {
            let said = set(
                &alice,
                &format!("said{blow}"),
                &data("twice", blow % 65_536, "AAAA"),
            );
            carol.say(said).await;
            let heard = carol
                .hears(&["<data", &format!("seq='{}'", blow % 65_536)])
                .await;
            let id = attribute(&heard, "id");
            let (prefix, number) = id.rsplit_once('-').unwrap();
            let number = u64::from_str_radix(number, 16).unwrap();
            let later = (1..8).map(|more| format!("{prefix}-{:x}", number + more));
            let acks = [id.to_owned(), id.to_owned()].into_iter().chain(later);
            let acks: String = acks.map(|id| result(&alice, &id)).collect();
            carol.say(acks).await;
        })
        .await;
}

/// Alice says no more to the witness than may be unacknowledged. Carol knows the numbers of those blocks, and
/// acknowledges them, and refuses them.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_for_blocks_of_others_are_none() {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(CYCLES + 1)
        .set()
        .await;
    let mut witness = Witness::with_stream(&scene).await;
    let alice = scene.alice.clone();
    let sign = Sign::Disregarded("answer");
    let mut asked = Vec::new();
    let mut heard = 0;
    let said = scene
        .withstands(sign, async move |carol, blow| {
            if asked.is_empty() {
                asked = leaves_unacknowledged(&mut witness).await;
                assert!(!asked.is_empty());
            }
            let answers = asked.iter().map(|asked| {
                let id = attribute(asked, "id");
                result(&alice, id) + &refusal(&alice, id)
            });
            carol.say(answers.collect::<String>()).await;
            carol.reaches(&alice).await;
            let more = unacknowledged(&mut witness).await;
            assert!(more.is_empty(), "{more:?}");
            if blow < CYCLES {
                acknowledges(&mut witness, mem::take(&mut asked), &mut heard).await;
            }
        })
        .await;
    let ended = witness::ends(&said);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["error"]["kind"], "gone", "{ended:?}");
}

/// The witness says more than may come back without an acknowledgement; what does.
async fn leaves_unacknowledged(witness: &mut Witness) -> Vec<String> {
    let block = "A".repeat(usize::try_from(BLOCK).unwrap());
    for _ in 0..SAID {
        let seq = witness.says(&block).await;
        let client = &mut witness.client;
        let acknowledged = ["type='result'", &format!("id='said{seq}'")];
        client.hears(&acknowledged).await;
    }
    unacknowledged(witness).await
}

/// What the witness says itself brings the rest, in order and whole.
async fn acknowledges(witness: &mut Witness, mut asked: Vec<String>, heard: &mut u64) {
    let mut left = SAID * usize::try_from(BLOCK).unwrap() / 4 * 3;
    while left > 0 {
        for asked in asked.drain(..) {
            assert_eq!(attribute(&asked, "seq"), (*heard % 65_536).to_string());
            *heard += 1;
            let (_, block) = asked.split_once("<data").unwrap();
            let (_, block) = block.split_once('>').unwrap();
            let (block, _) = block.split_once('<').unwrap();
            left -= STANDARD.decode(block).unwrap().len();
            let ack = result(&witness.alice, attribute(&asked, "id"));
            witness.client.say(ack).await;
        }
        if left > 0 {
            asked.push(witness.client.hears(&["<data"]).await);
        }
    }
}

/// Blocks that the witness has heard and that nobody has waited for, once no more come.
async fn unacknowledged(witness: &mut Witness) -> Vec<String> {
    let mut asked = Vec::new();
    let mut quiet = 0;
    while quiet < QUIET {
        let alice = witness.alice.clone();
        witness.client.reaches(&alice).await;
        let rest = witness.client.rest();
        let blocks = rest.into_iter().filter(|said| said.contains("<data"));
        let before = asked.len();
        asked.extend(blocks);
        quiet = if asked.len() == before { quiet + 1 } else { 0 };
    }
    asked
}

/// Each stream is a real one, which was asked for. It is opened time and again, and what Alice says on it is
/// not acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_opens_for_real_streams_opens_each_once() {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(64)
        .set()
        .await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let block = "A".repeat(usize::try_from(BLOCK).unwrap());
    let strikes = Cell::new(0);
    let opened = Sign::Event("connection_opened", "/carol");
    let said = scene
        .withstands(opened, async |carol, blow| {
            strikes.set(blow + 1);
            let sid = format!("real{blow}");
            carol.open(&alice, Through::Room, tube, &sid).await;
            let again =
                (0..OPENS).map(|at| set(&alice, &format!("{sid}-o{at}"), &open(&sid, BLOCK)));
            let blocks =
                (0..2).map(|seq| set(&alice, &format!("{sid}-{seq}"), &data(&sid, seq, &block)));
            carol.say(again.chain(blocks).collect::<String>()).await;
        })
        .await;
    let is_opened = |line: &&String| line.contains("connection_opened") && line.contains("/carol");
    let opened = said.events[0].iter().filter(is_opened).count();
    assert_eq!(u64::try_from(opened).unwrap(), strikes.get());
}

/// Carol has a connection of her own under this identifier; who serves it.
async fn opened(scene: &mut Scene, sid: &str) -> String {
    let (alice, tube) = (scene.alice.clone(), scene.number);
    scene.carol.open(&alice, Through::Room, tube, sid).await;
    alice
}

/// With each strike a connection is opened and this is said on it; what Alice tells of that.
async fn breaks_connections(
    sign: Sign,
    mut blocks: impl FnMut(&str) -> Vec<String>,
) -> Vec<String> {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(64)
        .set()
        .await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let strike = async |carol: &mut Attacker, blow: u64| {
        let sid = format!("broken{blow}");
        carol.open(&alice, Through::Room, tube, &sid).await;
        let said = blocks(&sid).into_iter().enumerate();
        let said = said.map(|(at, what)| set(&alice, &format!("{sid}-{at}"), &what));
        carol.say(said.collect::<String>()).await;
    };
    let mut said = scene.withstands(sign, strike).await;
    said.events.swap_remove(0)
}

/// Blocks that the witness says, of which more come back than may be under way without an acknowledgement.
const SAID: usize = 32;

/// How often the witness acknowledges them in the end itself.
const CYCLES: u64 = 6;

/// Questions that Alice answers while she says nothing else, until it is believed that she does not.
const QUIET: usize = 5;

/// How often a stream is opened that is open.
const OPENS: usize = 4;

/// Blocks that a message carries.
const IN_ONE: u64 = 4;
