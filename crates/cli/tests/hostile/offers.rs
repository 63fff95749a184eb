//! Who offers tubes that nobody wants.

use crate::plan::{Plan, Standing};
use crate::withstanding::Sign;
use crate::words::{TUBES, offer, tell};

#[tokio::test(flavor = "multi_thread")]
async fn a_contacts_flood_of_offers_ends_at_the_limit() {
    let scene = Plan::new(Standing::Contact).set().await;
    let fernand = scene.fernand.clone();
    scene
        .withstands(
            Sign::Limit("invitations_per_contact"),
            async |carol, blow| {
                carol
                    .say(tell(&fernand, &offer(blow + 1, "x-flood", "")))
                    .await;
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_flood_of_offers_is_ignored() {
    let scene = Plan::new(Standing::Stranger).with(&["-v"]).set().await;
    let fernand = scene.fernand.clone();
    let ignored = "a stranger's offer is ignored";
    let said = scene
        .withstands(Sign::Log(ignored), async |carol, blow| {
            carol
                .say(tell(&fernand, &offer(blow + 1, "x-flood", "")))
                .await;
        })
        .await;
    said.assert_has_few(ignored);
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_are_taken_back_at_once_leave_nothing() {
    let scene = Plan::new(Standing::Contact).set().await;
    let fernand = scene.fernand.clone();
    scene
        .withstands(
            Sign::Event("tube_closed", "closed the tube"),
            async |carol, blow| {
                let number = blow % 8 + 1;
                let close = format!("<close xmlns='{TUBES}' tube='{number}' id='{number}'/>");
                carol
                    .say(tell(&fernand, &offer(number, "x-flood", "")))
                    .await;
                carol.say(tell(&fernand, &close)).await;
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_with_too_many_or_too_large_parameters_make_no_sense() {
    let scene = Plan::new(Standing::Contact)
        .by("ibb")
        .with_heavy_strikes(32)
        .set()
        .await;
    let fernand = scene.fernand.clone();
    let parameter = |name: String, kind, value: &str| {
        format!("<parameter name='{name}' type='{kind}'>{value}</parameter>")
    };
    let many: String = (0..2000)
        .map(|at| parameter(format!("p{at}"), "uint", "1"))
        .collect();
    let large = parameter("p".to_owned(), "str", &"x".repeat(200_000));
    let long = parameter("n".repeat(8000), "str", "x");
    let twice = parameter("p".to_owned(), "uint", "1").repeat(2);
    let wrong = parameter("p".to_owned(), "uint", "-99999999999999999999");
    let bytes = parameter("p".to_owned(), "bytes", &"=".repeat(10_000));
    let all = [many, large, long, twice, wrong, bytes];
    let nonsense = "an offer makes no sense";
    let said = scene
        .withstands(Sign::Log(nonsense), async |carol, blow| {
            let parameters = &all[usize::try_from(blow).unwrap() % all.len()];
            carol
                .say(tell(&fernand, &offer(blow + 1, "x-flood", parameters)))
                .await;
        })
        .await;
    said.assert_has_few(nonsense);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_an_offer_does_nothing_to_a_terminal() {
    let scene = Plan::new(Standing::Contact).by("ibb").set().await;
    let fernand = scene.fernand.clone();
    let named = Sign::Event("tube_offered", r"x-\u009b31m\u202e\u007f\u0085");
    scene
        .withstands(named, async |carol, blow| {
            let harm = "&#x9b;31m&#x202e;&#x7f;&#x85;";
            let parameter =
                format!("<parameter name='{harm}' type='str'>{harm}&#10;&#9;</parameter>");
            carol
                .say(tell(
                    &fernand,
                    &offer(blow + 1, &format!("x-{harm}"), &parameter),
                ))
                .await;
        })
        .await;
}
