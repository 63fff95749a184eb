//! Who speaks into the streams of others, and answers what others were asked.

use std::cell::Cell;

use crate::plan::{Plan, Standing};
use crate::scene::Scene;
use crate::withstanding::Sign;
use crate::witness::{self, SID, Witness};
use crate::words::{
    IBB, Through, attribute, close, data, initiation, open, refusal, result, set, tell,
};

#[tokio::test(flavor = "multi_thread")]
async fn data_of_a_wrong_sender_does_not_get_into_the_stream_of_another() {
    meddling(NO_PEER, |_, sid, blow| {
        let data = data(sid, blow % 8, "AAAA");
        (data.clone(), data)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_of_a_wrong_sender_end_nothing_of_another() {
    meddling(NO_PEER, |_, sid, blow| {
        let abort =
            format!("<close xmlns='{IBB}' sid='{sid}'><abort xmlns='urn:x-tubes:0'/></close>");
        match blow % 2 {
            0 => (close(sid), abort),
            _ => (abort, close(sid)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identifier_of_anothers_stream_opens_a_stream_of_ones_own() {
    meddling(
        Sign::Event("connection_opened", "/carol"),
        |scene, sid, blow| match blow % 3 {
            0 => (open(sid, 4096), close(sid)),
            1 => (close(sid), open(sid, 4096)),
            _ => (
                initiation(sid, Through::Room, scene.number, &[IBB]),
                close(sid),
            ),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_questions_that_others_were_asked_are_not_heard() {
    // What carries the honest tube are questions, and their answers.
    let plan = Plan::new(Standing::Contact).by("ibb");
    let scene = plan.with_heavy_strikes(64).set().await;
    let sign = Sign::Disregarded("answer");
    let told = Cell::new(0);
    scene
        .withstands(sign, async |carol, blow| {
            carol.say(announcement(blow)).await;
            // To be asked something is enough to know which numbers questions have at present.
            for asked in carol.rest() {
                if asked.contains("disco#info") && asked.contains("type='get'") {
                    let (prefix, number) = attribute(&asked, "id").rsplit_once('-').unwrap();
                    let number = u64::from_str_radix(number, 16).unwrap();
                    let near = number.saturating_sub(BEFORE)..number + AFTER;
                    let from = attribute(&asked, "from");
                    let answers = near.map(|number| {
                        let id = format!("{prefix}-{number:x}");
                        refusal(from, &id) + &result(from, &id)
                    });
                    carol.say(answers.collect::<String>()).await;
                    told.set(told.get() + 1);
                }
            }
        })
        .await;
    assert!(told.get() > 2, "{told:?}");
}

/// A presence that makes whoever sees it ask what Carol can do.
fn announcement(blow: u64) -> String {
    format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
         node='urn:example:nobody' ver='AAAAAAAAAAAAAAAAAAAAAAAA{blow:04}'/></presence>"
    )
}

/// Carol asks for this and tells that, again and again, of a stream that is not hers, while that is used.
async fn meddling(sign: Sign, said: impl Fn(&Scene, &str, u64) -> (String, String)) {
    let scene = Plan::new(Standing::Occupant).set().await;
    let mut witness = Witness::with_stream(&scene).await;
    let alice = scene.alice.clone();
    let all: Vec<_> = (0..CYCLE).map(|blow| said(&scene, SID, blow)).collect();
    let said = scene
        .withstands(sign, async move |carol, blow| {
            let (asked, told) = &all[usize::try_from(blow % CYCLE).unwrap()];
            carol.say(set(&alice, &format!("asked{blow}"), asked)).await;
            carol.say(tell(&alice, told)).await;
            if blow % LOOK == 0 {
                witness.is_served().await;
            }
        })
        .await;
    // That of the witness was ended by nobody but itself.
    let ended = witness::ends(&said);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["error"]["kind"], "gone", "{ended:?}");
}

const NO_PEER: Sign = Sign::Disregarded("stream");

/// Questions before the one that Carol was asked, and after it, that she answers, too.
const BEFORE: u64 = 8;
const AFTER: u64 = 8;

/// Strikes that differ from one another.
const CYCLE: u64 = 24;

/// After how many strikes the witness uses its stream.
const LOOK: u64 = 8;
