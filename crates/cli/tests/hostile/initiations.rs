//! Who asks for bytestreams: too many, again and again the same, or through tubes that it has not.

use crate::plan::{Plan, Standing};
use crate::withstanding::Sign;
use crate::words::{IBB, Through, initiation, open, set};

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_flood_of_stream_initiations_costs_little() {
    let scene = Plan::new(Standing::Stranger).by("ibb").set().await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let sign = Sign::Disregarded("initiation");
    scene
        .withstands(sign, async |carol, blow| {
            let si = initiation(&format!("s{blow}"), Through::Contact, tube, &[IBB]);
            carol.say(set(&alice, &format!("si{blow}"), &si)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contacts_flood_of_stream_initiations_for_the_tube_of_another_costs_little() {
    let scene = Plan::new(Standing::Contact).set().await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    scene
        .withstands(Sign::Disregarded("initiation"), async |carol, blow| {
            let si = initiation(&format!("s{blow}"), Through::Contact, tube, &[IBB]);
            carol.say(set(&alice, &format!("si{blow}"), &si)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_initiations_that_nothing_follows_fill_the_places_of_the_one_who_asks() {
    let scene = Plan::new(Standing::Occupant).set().await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    scene
        .withstands(Sign::Limit("negotiations"), async |carol, blow| {
            let si = initiation(&format!("s{blow}"), Through::Room, tube, &[IBB]);
            carol.say(set(&alice, &format!("si{blow}"), &si)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_stream_initiations_under_one_identifier_opens_one() {
    let scene = Plan::new(Standing::Occupant).set().await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let in_use = Sign::Event("connection_closed", "the stream's identifier is in use");
    scene
        .withstands(in_use, async |carol, blow| {
            let si = initiation("the-same", Through::Room, tube, &[IBB]);
            carol.say(set(&alice, &format!("si{blow}"), &si)).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_opens_for_streams_that_nobody_asked_for_costs_little() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let alice = scene.alice.clone();
    let sign = Sign::Disregarded("stream");
    scene
        .withstands(sign, async |carol, blow| {
            let open = open(&format!("s{blow}"), 4096);
            carol.say(set(&alice, &format!("open{blow}"), &open)).await;
        })
        .await;
}
