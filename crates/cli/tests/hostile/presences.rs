//! Who shows itself, asks to be seen, and writes, all the time.

use xmpp_parsers::caps::{self, Caps};
use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::minidom::Element;

use crate::attacker::{Attacker, bare};
use crate::outliving::Deed;
use crate::plan::{Plan, Standing, desk};
use crate::scene::Scene;
use crate::withstanding::Sign;
use crate::words::{IBB, TUBES, attribute, result};

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
    let sign = Sign::Disregarded("presence");
    scene
        .withstands(sign, async move |_, blow| {
            let one = usize::try_from(blow).unwrap() % crowd.len();
            let whom = &both[usize::try_from(blow).unwrap() % both.len()];
            crowd[one].say(presence(whom, &able(blow))).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_able_of_something_else_all_the_time_is_asked_one_question() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let sign = Sign::Disregarded("announcement");
    scene
        .withstands(sign, async |carol, blow| {
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

/// Carol announces what another program of Fernand's will, before that comes, and says that it means nothing.
/// Alice asks that program all the same, and offers it the tube.
#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_lies_about_what_it_can_do_is_not_believed_for_others() {
    let scene = Plan::new(Standing::Contact).set().await;
    let sign = Sign::Disregarded("capabilities");
    scene
        .outlives(sign, Deed::Spares, async |scene: &mut Scene| {
            let alice = scene.alice.clone();
            let nothing = able_of(["urn:xmpp:ping"]);
            // She was asked as she came.
            is_told(&mut scene.carol, &alice, &nothing).await;
            for number in 0..PROGRAMS {
                let truth = able_of([TUBES, SI, IBB, &format!("{TUBES}/stream#x-{number}")]);
                let announced = announcement(&truth);
                scene
                    .carol
                    .say(format!("<presence>{announced}</presence>"))
                    .await;
                is_told(&mut scene.carol, &alice, &nothing).await;
                scene.carol.reaches(&alice).await;
                let account = &scene.accounts[1];
                let mut program = desk(scene.server, account, &format!("desk{number}")).await;
                program
                    .say(format!("<presence>{announced}</presence>"))
                    .await;
                is_told(&mut program, &alice, &truth).await;
                program.hears(&["<message", "x-echo"]).await;
            }
        })
        .await;
}

/// What Carol says of herself is true each time, and large.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_capabilities_that_are_true_leaves_no_list() {
    let plan = Plan::new(Standing::Contact).with_heavy_strikes(CAPABILITIES);
    let mut scene = plan.set().await;
    let fernand = scene.fernand.clone();
    // She was asked as she came.
    is_told(&mut scene.carol, &fernand, &able_of(["urn:xmpp:ping"])).await;
    scene
        .withstands(Sign::Awaited, async |carol, blow| {
            let services = (0..SERVICES).map(|at| format!("{TUBES}/stream#x-{blow}-{at:0>96}"));
            let truth = able_of(services);
            carol.say(presence(&fernand, &announcement(&truth))).await;
            is_told(carol, &fernand, &truth).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_begins_a_new_life_with_each_presence_costs_little() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let sign = Sign::Disregarded("announcement");
    scene
        .withstands(sign, async |carol, blow| {
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
    let sign = Sign::Disregarded("subscription");
    scene
        .withstands(sign, async |carol, blow| {
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
    let sign = Sign::Disregarded("message");
    scene
        .withstands(sign, async |carol, blow| {
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

/// Somebody asks somebody what it can do, and is told that.
async fn is_told(client: &mut Attacker, asker: &str, what: &DiscoInfoResult) {
    let from = format!("from='{asker}'");
    let asked = client.hears(&["disco#info", "type='get'", &from]).await;
    let described = String::from(&Element::from(what.clone()));
    let answer = result(asker, attribute(&asked, "id"));
    let answer = answer.replace("/>", &format!(">{described}</iq>"));
    client.say(answer).await;
}

/// What somebody can do who has these features.
fn able_of<S: ToString>(features: impl IntoIterator<Item = S>) -> DiscoInfoResult {
    DiscoInfoResult {
        node: None,
        identities: vec![Identity::new("client", "pc", "en", "Nobody")],
        features: features
            .into_iter()
            .map(|feature| feature.to_string())
            .collect(),
        extensions: Vec::new(),
    }
}

/// Announces what somebody can do, by its hash.
fn announcement(what: &DiscoInfoResult) -> String {
    let hash = caps::hash_caps(&caps::compute_disco(what), Algo::Sha_1).unwrap();
    let caps = Caps::new("urn:example:nobody", hash);
    String::from(&Element::from(caps))
}

fn presence(to: &str, payload: &str) -> String {
    format!("<presence to='{to}'>{payload}</presence>")
}

/// What makes whoever is told it ask what this is.
fn able(blow: u64) -> String {
    format!(
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example:nobody' \
         ver='AAAAAAAAAAAAAAAAAAAA{blow:08}'/>"
    )
}

/// Programs of Fernand's that come.
const PROGRAMS: usize = 8;

/// So many that the first of them are forgotten, and the services in each.
const CAPABILITIES: u64 = 1100;
const SERVICES: usize = 64;

/// XEP-0095.
const SI: &str = "http://jabber.org/protocol/si";

/// Resources of one account that are logged in at a time.
const RESOURCES: usize = 24;
