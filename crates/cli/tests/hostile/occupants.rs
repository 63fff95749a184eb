//! Occupants of a room, who are there by any name that is free.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::honest::is_served;
use crate::plan::{Plan, Standing};
use crate::program::PATIENCE;
use crate::scene::Scene;
use crate::withstanding::Sign;
use crate::words::{TUBES, agrees, attribute, offer, result, tell};

#[tokio::test(flavor = "multi_thread")]
async fn presences_that_offer_another_tube_each_time_leave_no_list() {
    let (scene, me) = in_the_room().await;
    let sign = Sign::Event("tube_offered", "x-flood");
    scene
        .withstands(sign, async |carol, blow| {
            carol.say(shows(&me, &tubes(blow..blow + 1, ""))).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifteen_hundred_tubes_of_one_occupant_few_are_followed() {
    let (scene, me) = in_the_room().await;
    let sign = Sign::Event("tube_offered", "x-flood");
    let said = scene
        .withstands(sign, async |carol, blow| {
            if blow % SELDOM == 0 {
                let first = blow * MANY;
                carol.say(shows(&me, &tubes(first..first + MANY, ""))).await;
            }
        })
        .await;
    let offered = said.events[1].iter().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let is_flood = event["event"] == "tube_offered" && event["service"] == "x-flood";
        is_flood.then(|| event["tube"].as_u64().unwrap())
    });
    let mut at_once = BTreeMap::<u64, usize>::new();
    for number in offered {
        *at_once.entry(number / MANY).or_default() += 1;
    }
    assert!(at_once.values().all(|count| *count <= FEW), "{at_once:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn giant_parameters_of_an_occupant_make_no_offer() {
    let (scene, me) = in_the_room().await;
    let giant = "a".repeat(200 * 1024);
    let parameter = format!("<parameter type='str' name='giant'>{giant}</parameter>");
    let sign = Sign::Disregarded("offer");
    let said = scene
        .withstands(sign, async |carol, blow| {
            if blow % SELDOM == 0 {
                let tubes = tubes(blow..blow + 1, &parameter);
                carol.say(shows(&me, &tubes)).await;
            }
        })
        .await;
    for line in said.events.iter().flatten() {
        assert!(!line.contains("giant"), "{line:.200}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_shouted_into_the_room_is_none() {
    let (scene, _) = in_the_room().await;
    let room = scene.room.clone().unwrap();
    let sign = Sign::Disregarded("offer");
    scene
        .withstands(sign, async |carol, blow| {
            let offer = offer(blow + 1, "x-echo", "");
            let shout = tell(&room, &offer).replace("<message", "<message type='groupchat'");
            carol.say(shout).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupant_that_changes_its_name_all_the_time_costs_little() {
    let (scene, _) = in_the_room().await;
    let room = scene.room.clone().unwrap();
    let sign = Sign::Event("tube_offered", "x-flood");
    scene
        .withstands(sign, async |carol, blow| {
            let me = format!("{room}/carol-{blow}");
            carol.say(shows(&me, &tubes(7..8, ""))).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupant_that_comes_and_goes_with_its_offers_leaves_nothing() {
    let (scene, me) = in_the_room().await;
    let sign = Sign::Event("tube_offered", "x-flood");
    scene
        .withstands(sign, async |carol, blow| {
            let muc = "<x xmlns='http://jabber.org/protocol/muc'/>";
            carol
                .say(format!("<presence type='unavailable' to='{me}'/>"))
                .await;
            carol.say(shows(&me, muc)).await;
            carol.say(shows(&me, &tubes(blow..blow + 1, ""))).await;
        })
        .await;
}

/// Alice has gone. Carol has her name now, and offers a tube of the same number.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_the_name_of_one_who_left_gets_nothing_of_what_was_meant_for_that_one() {
    let (mut scene, _) = in_the_room().await;
    is_served(scene.tube).await;
    let offering = scene.programs.remove(0);
    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await, (Some(0), String::new()));
    scene.programs[0].event("tube_closed").await;
    let (room, number) = (scene.room.clone().unwrap(), scene.number);
    scene.carol.enter(&room, "alice").await;
    let offer = offer(number, "x-echo", "");
    let tubes = format!("<tubes xmlns='{TUBES}'>{offer}</tubes>");
    scene.carol.say(shows(&scene.alice, &tubes)).await;
    scene.programs[0].event("listening").await;
    let mut program = TcpStream::connect(scene.tube).await.unwrap();
    program.write_all(b"a secret").await.unwrap();
    let asked = scene.carol.hears(&["<si", "type='set'"]).await;
    let profile = format!("<tube xmlns='{TUBES}'/>");
    scene.carol.say(agrees(&asked, &profile)).await;
    let asked = scene.carol.hears(&["<open", "type='set'"]).await;
    let (to, id) = (attribute(&asked, "from"), attribute(&asked, "id"));
    scene.carol.say(result(to, id)).await;
    let heard = timeout(PATIENCE, program.read_u8()).await.expect("an end");
    assert!(heard.is_err());
    let closed = scene.programs[0].event("connection_closed").await;
    assert_eq!(closed["error"]["kind"], "untrusted", "{closed}");
    scene.carol.reaches(&scene.fernand).await;
    for said in scene.carol.rest() {
        assert!(!said.contains("<data"), "{said}");
    }
    scene.leave().await.assert_harmless();
}

/// A scene in a room, and Carol's name there.
async fn in_the_room() -> (Scene, String) {
    // Of each strike all are told, and two processes tell it further.
    let plan = Plan::new(Standing::Occupant).with_heavy_strikes(BURST);
    let scene = plan.set().await;
    let me = format!("{}/carol", scene.room.clone().unwrap());
    (scene, me)
}

/// Carol shows herself in the room with this.
fn shows(me: &str, what: &str) -> String {
    format!("<presence to='{me}'>{what}</presence>")
}

/// Tubes of these numbers, as presences offer them in rooms.
fn tubes(numbers: std::ops::Range<u64>, parameters: &str) -> String {
    let all: String = numbers
        .map(|number| offer(number + 1, "x-flood", parameters))
        .collect();
    format!("<tubes xmlns='{TUBES}'>{all}</tubes>")
}

/// Strikes as fast as they are heard: more than anybody keeps.
const BURST: u64 = 512;

/// Strikes of which one is large.
const SELDOM: u64 = 32;

/// Tubes that an occupant offers at once, and how many of them are heard.
const MANY: u64 = 1500;
const FEW: usize = 64;
