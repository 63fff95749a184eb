//! Who meddles with attempts of others that are under way.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::hosts::{Dialled, own_address};
use crate::liar::{Lie, shake_hands};
use crate::plan::{Plan, Standing};
use crate::program::PATIENCE;
use crate::withstanding::Sign;
use crate::witness::{NAME, Witness};
use crate::words::{SOCKS5, Through, initiation, set, tell};

/// Alice has agreed to dial the witness, and waits for its hosts. Carol knows how the bytestream is called, and
/// names hosts of her own for it, and has it activated.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_activations_of_a_wrong_sender_are_not_those_of_the_peer() {
    if own_address().is_loopback() {
        // Nothing else is dialled for others.
        return;
    }
    let plan = Plan::new(Standing::Occupant).by("socks5-direct,ibb");
    let scene = plan.with_heavy_strikes(16).set().await;
    let mut witness = Witness::of(&scene).await;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (me, room) = (own_address(), scene.room.clone().unwrap());
    let trap = Dialled::anywhere().await;
    let lie = format!(
        "<streamhost jid='{room}/carol' host='{me}' port='{}'/>",
        trap.port
    );
    let truth = format!("<streamhost jid='{room}/{NAME}' host='{me}' port='{port}'/>");
    let activate = format!("<activate>{alice}</activate>");
    let sign = Sign::Disregarded("stream");
    scene
        .withstands(sign, async |carol, blow| {
            let sid = format!("pending{blow}");
            let query = |said: &str| {
                format!("<query xmlns='{SOCKS5}' sid='{sid}' mode='tcp'>{said}</query>")
            };
            let client = &mut witness.client;
            let si = initiation(&sid, Through::Room, tube, &[SOCKS5]);
            let agreed = client.ask(&alice, "set", &si).await;
            assert!(agreed.contains("type='result'"), "{agreed}");
            for said in [&lie, &activate] {
                let refused = carol.ask(&alice, "set", &query(said)).await;
                assert!(refused.contains("type='error'"), "{refused}");
                carol.say(tell(&alice, &query(said))).await;
            }
            carol.reaches(&alice).await;
            client.say(set(&alice, &sid, &query(&truth))).await;
            let dialled = timeout(PATIENCE, listener.accept()).await;
            let (mut stream, _) = dialled.expect("it is dialled").unwrap();
            shake_hands(&mut stream, Lie::No).await.unwrap();
            let used = client.hears(&[&format!("id='{sid}'")]).await;
            assert!(used.contains(&format!("{room}/{NAME}")), "{used}");
            stream.write_all(b"!").await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'!');
        })
        .await;
    assert!(trap.all().is_empty(), "{:?}", trap.all());
}
