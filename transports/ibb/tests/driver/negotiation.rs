//! How a bytestream is opened, and how it is not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_ibb::Ibb;
use tubes_testkit::Hub;
use tubes_transport::{ConnectError, Inbound, Kind, Patience, Question, Role, StreamId, Transport};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::{IBB, alice, connect, fernand, pattern, plan, receive, send, wires};

#[tokio::test]
async fn a_refused_open_leaves_the_wire_usable() {
    let (a, b, _hub) = Hub::pair(alice(), fernand());
    let (mut here, mut there) = wires(&a, &b);
    let decline = async {
        let Inbound::Ask(ask) = there.next().await.unwrap() else {
            panic!("not a question");
        };
        ask.refuse_with(ErrorType::Cancel, DefinedCondition::NotAcceptable);
    };
    let plan_a = || plan(Role::Requester, Kind::Ours, &a);
    let (refused, ()) = tokio::join!(connect(Ibb::new(), plan_a(), &mut here), decline);
    let Err(ConnectError::Refused(why)) = refused else {
        panic!("not refused");
    };
    assert_eq!(why.defined_condition, DefinedCondition::NotAcceptable);
    let (mine, theirs) = tokio::join!(
        connect(Ibb::new(), plan_a(), &mut here),
        connect(
            Ibb::new(),
            plan(Role::Responder, Kind::Ours, &b),
            &mut there
        ),
    );
    let mut theirs = theirs.unwrap();
    theirs.write_all(b"x").await.unwrap();
    assert_eq!(mine.unwrap().read(&mut [0]).await.unwrap(), 1);
}

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
    assert_eq!(there.next().await.unwrap().payload().name(), "close");
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

#[tokio::test]
async fn a_responder_leaves_another_transports_stanza_where_it_is() {
    let (a, b, _hub) = Hub::pair(alice(), fernand());
    let (here, mut there) = wires(&a, &b);
    let query: Element = "<query xmlns='http://jabber.org/protocol/bytestreams' sid='s1'/>"
        .parse()
        .unwrap();
    let patience = Patience::default();
    let _answer = here.ask(Question::Set, query.clone(), patience).await;
    let plan = plan(Role::Responder, Kind::Ours, &b);
    let failed = connect(Ibb::new(), plan, &mut there).await;
    assert!(matches!(failed, Err(ConnectError::Protocol(_))));
    assert_eq!(there.next().await.unwrap().payload(), &query);
}

/// The block sizes that were offered, in order.
fn opens(hub: &Hub) -> Vec<String> {
    hub.transcript()
        .iter()
        .filter_map(|(_, stanza)| stanza.get_child("open", IBB))
        .filter_map(|open| open.attr("block-size").map(str::to_owned))
        .collect()
}
