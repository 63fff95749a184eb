//! Who says that it encrypts, and then does not, or only begins to.

use crate::attacker::BLOCK;
use crate::plan::{Plan, Standing};
use crate::withstanding::{Said, Sign};
use crate::words::{Through, attribute, data, open, result, sealed, set};

/// Each holds what it takes until Carol goes, or a minute has passed.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_stop_half_way_hold_up_their_own_connection_only() {
    // Of a record of 80 bytes, a ServerHello begins.
    let half = "FgMDAFACAABMAwMBAgM=";
    let gone = Sign::Event("connection_closed", r#""kind":"gone""#);
    shakes(gone, half).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_ends_the_connection_that_is_to_be_encrypted() {
    let garbage = "A".repeat(usize::try_from(BLOCK).unwrap());
    let untrusted = Sign::Event("connection_closed", r#""kind":"untrusted""#);
    shakes(untrusted, &garbage).await;
}

/// What would be served if nothing was agreed on is not served when encryption was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_clear_after_all_reaches_no_service() {
    let words = "R0VUIC8gSFRUUC8xLjENCg0K";
    let untrusted = Sign::Event("connection_closed", r#""kind":"untrusted""#);
    let said = shakes(untrusted, words).await;
    let opened = |line: &&String| line.contains("connection_opened") && line.contains("/carol");
    assert_eq!(said.events[0].iter().filter(opened).count(), 0);
}

/// Alice takes Carol for somebody who encrypts, and begins; and Carol says this.
async fn shakes(sign: Sign, answer: &str) -> Said {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(32)
        .set()
        .await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    scene
        .withstands(sign, async |carol, blow| {
            let sid = format!("sealed{blow}");
            for what in [sealed(&sid, Through::Room, tube, KEY), open(&sid, BLOCK)] {
                let agreed = carol.ask(&alice, "set", &what).await;
                assert!(agreed.contains("type='result'"), "{agreed}");
            }
            // She is the client of TLS, and speaks first.
            let hello = carol.hears(&["<data", &format!("sid='{sid}'")]).await;
            carol.say(result(&alice, attribute(&hello, "id"))).await;
            carol.say(set(&alice, &sid, &data(&sid, 0, answer))).await;
        })
        .await
}

/// Of the examples in RFC 8032; its secret half is known to everybody, and not to Carol.
const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
