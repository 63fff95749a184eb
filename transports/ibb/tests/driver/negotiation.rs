//! How a bytestream is opened, and how it is not.

use tokio::io::AsyncWriteExt;
use tubes_ibb::Ibb;
use tubes_testkit::Hub;
use tubes_transport::{ConnectError, Inbound, Kind, Role, StreamId, Transport};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::{IBB, alice, connect, fernand, pattern, plan, receive, send, wires};

#[tokio::test]
async fn offers_smaller_blocks_to_a_peer_that_wants_them() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let (mut here, mut there) = wires(&a, &b);
    let narrow = Ibb::new().with_largest_block(3000);
    let (mine, theirs) = tokio::join!(
        connect(Ibb::new(), plan(Role::Requester, Kind::Ours, &a), &mut here),
        connect(narrow, plan(Role::Responder, Kind::Ours, &b), &mut there),
    );
    let sizes: Vec<_> = opens(&hub);
    assert_eq!(sizes, ["5888", "4096", "2048"]);
    let bytes = pattern(10_000, 6);
    let (_, heard) = tokio::join!(send(mine.unwrap(), bytes.clone()), async {
        let mut theirs = theirs.unwrap();
        let heard = receive(&mut theirs).await;
        theirs.shutdown().await.unwrap();
        heard
    });
    assert!(heard == bytes);
}

#[tokio::test]
async fn gives_up_on_a_peer_that_wants_no_block_at_all() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let (mut here, mut there) = wires(&a, &b);
    let refuse = async {
        loop {
            if let Ok(Inbound::Ask(ask)) = there.next().await {
                ask.refuse_with(ErrorType::Modify, DefinedCondition::ResourceConstraint);
            }
        }
    };
    let connecting = connect(Ibb::new(), plan(Role::Requester, Kind::Ours, &a), &mut here);
    let failed = tokio::select! {
        failed = connecting => failed,
        () = refuse => unreachable!(),
    };
    assert!(matches!(failed, Err(ConnectError::Refused(_))));
    assert_eq!(opens(&hub).last().unwrap(), "256");
}

#[tokio::test]
async fn a_dropped_connect_takes_its_offer_back_and_releases_the_claim() {
    let (a, b, hub) = Hub::pair(alice(), fernand());
    let (mut here, mut there) = wires(&a, &b);
    let attempt = Ibb::new()
        .prepare(plan(Role::Requester, Kind::Ours, &a))
        .await
        .unwrap();
    let asked = {
        let connecting = attempt.connect(None, &mut here);
        tokio::select! {
            _ = connecting => panic!("nobody answered"),
            asked = there.next() => asked.unwrap(),
        }
    };
    assert_eq!(asked.payload().name(), "open");
    // Not an end: whoever accepted meanwhile would have an empty stream.
    let said = there.next().await.unwrap();
    let close = said.payload();
    assert_eq!(close.name(), "close");
    assert!(close.has_child("abort", "urn:x-tubes:0"));
    drop(here);
    assert!(a.claim(fernand().into(), StreamId::from("s1")).is_some());
    drop((asked, hub));
}

#[tokio::test]
async fn a_responder_that_nobody_opens_to_gives_up() {
    let (a, b, _hub) = Hub::pair(alice(), fernand());
    let (_here, mut there) = wires(&a, &b);
    tokio::time::pause();
    let plan = plan(Role::Responder, Kind::Ours, &b);
    let failed = connect(Ibb::new(), plan, &mut there).await;
    assert!(matches!(failed, Err(ConnectError::TimedOut(_))));
}

/// The block sizes that were offered, in order.
fn opens(hub: &Hub) -> Vec<String> {
    hub.transcript()
        .iter()
        .filter_map(|(_, stanza)| stanza.get_child("open", IBB))
        .filter_map(|open| open.attr("block-size").map(str::to_owned))
        .collect()
}
