//! Who shows itself, asks to be seen, and writes, all the time.

use crate::attacker::{Attacker, bare};
use crate::scene::{Plan, Standing};
use crate::withstanding::Sign;
use crate::words::attribute;

#[tokio::test(flavor = "multi_thread")]
async fn presences_of_many_resources_of_a_stranger_are_passed_over() {
    let scene = Plan::new(Standing::Stranger).by("ibb").set().await;
    let both = scene.names();
    let account = bare(&scene.carol.jid);
    let mut crowd = Vec::new();
    for resource in 0..RESOURCES {
        let resource = format!("resource{resource}");
        crowd.push(Attacker::log_in(scene.server, &account, &scene.password, &resource).await);
    }
    let silence = Sign::Silence("a stranger's presence is nobody's business");
    scene
        .withstands(silence, async move |_, blow| {
            let one = usize::try_from(blow).unwrap() % crowd.len();
            let whom = &both[usize::try_from(blow).unwrap() % both.len()];
            crowd[one].say(presence(whom, &able(blow))).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_able_of_something_else_all_the_time_is_asked_one_question() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let silence = Sign::Silence("what a contact is able of is told once it has said so");
    scene
        .withstands(silence, async |carol, blow| {
            carol
                .say(format!("<presence>{}</presence>", able(blow)))
                .await;
            // Whoever hears all asks no more than it is answered.
            let asked = carol
                .rest()
                .into_iter()
                .filter(|said| said.contains("disco#info"));
            assert!(asked.count() <= 4);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_lies_about_what_it_can_do_is_not_believed_for_others() {
    let scene = Plan::new(Standing::Contact)
        .by("ibb")
        .with_heavy_strikes(128)
        .set()
        .await;
    let features: String = (0..64)
        .map(|at| {
            format!("<feature var='http://telepathy.freedesktop.org/xmpp/tubes/stream#{at}'/>")
        })
        .collect();
    let silence = Sign::Silence("nobody has asked what Carol can do");
    scene
        .withstands(silence, async |carol, blow| {
            carol
                .say(format!("<presence>{}</presence>", able(blow)))
                .await;
            for asked in carol.rest() {
                if asked.contains("disco#info") && asked.contains("type='get'") {
                    let (id, from) = (attribute(&asked, "id"), attribute(&asked, "from"));
                    carol
                        .say(format!(
                            "<iq type='result' id='{id}' to='{from}'>\
                             <query xmlns='http://jabber.org/protocol/disco#info'>{features}\
                             </query></iq>"
                        ))
                        .await;
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_begins_a_new_life_with_each_presence_costs_little() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let silence = Sign::Silence("whoever was never able of tubes is not missed");
    scene
        .withstands(silence, async |carol, blow| {
            let life = format!("<session xmlns='urn:x-tubes:0' id='life-{blow}'/>");
            carol
                .say(format!("<presence>{life}{}</presence>", able(blow % 2)))
                .await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_subscription_requests_is_neither_granted_nor_costly() {
    let scene = Plan::new(Standing::Stranger).by("ibb").set().await;
    let both: Vec<_> = scene.names().iter().map(|jid| bare(jid)).collect();
    let silence = Sign::Silence("who may see whom is decided elsewhere");
    scene
        .withstands(silence, async |carol, blow| {
            let whom = &both[usize::try_from(blow).unwrap() % both.len()];
            let kinds = [
                "subscribe",
                "unsubscribe",
                "subscribed",
                "unsubscribed",
                "probe",
            ];
            let said = kinds.map(|kind| format!("<presence type='{kind}' to='{whom}'/>"));
            carol.say(said.concat()).await;
            let rest = carol.rest();
            let granted =
                |said: &String| said.contains("<presence") && said.contains("type='subscribed'");
            assert!(!rest.iter().any(granted), "{rest:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_long_messages_is_passed_over() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let both = scene.names();
    let body = "x&#x202e;&#x9b;31m".repeat(512);
    let silence = Sign::Silence("chat is for others");
    scene
        .withstands(silence, async |carol, blow| {
            let whom = &both[usize::try_from(blow).unwrap() % both.len()];
            let children = "<a xmlns='urn:example:a'/>".repeat(32);
            carol
                .say(format!(
                    "<message type='chat' to='{whom}'><body>{body}</body>{children}</message>"
                ))
                .await;
        })
        .await;
}

fn presence(to: &str, payload: &str) -> String {
    format!("<presence to='{to}'>{payload}</presence>")
}

/// What makes whoever is told it ask what this is.
fn able(blow: u64) -> String {
    format!(
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example:nobody' \
         ver='AAAAAAAAAAAAAAAAAAAA{blow:07}='/>"
    )
}

/// Resources of one account that are logged in at a time.
const RESOURCES: usize = 24;
