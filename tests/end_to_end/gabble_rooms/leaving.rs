//! A Gabble leaves, and what it had goes with it: a name is no identity.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::FailureKind;
use tubes_protocol::ns;
use tubes_server::Server;
use tubes_session::Showing;
use tubes_transport::AskError;
use xmpp_parsers::stanza_error::DefinedCondition;

use super::{Room, another, breaks, closings, is_refused, is_served_by};
use crate::stage::{
    BOTH, Content, Gabble, Joining, Multiple, TUBE, connect, in_room, patiently, stream_tube,
};

crate::on_each_server!(
    its_tubes_go_with_it_whatever_it_says,
    who_takes_its_name_offers_another_tube,
    who_takes_its_name_hears_nothing_of_its_connections,
    who_takes_its_name_has_not_joined_our_tube,
);

async fn its_tubes_go_with_it_whatever_it_says(server: &Server) {
    // It says what it had; or nothing at all.
    for lists in [true, false] {
        let mut room = Room::on(server).await;
        let tube = stream_tube(TUBE, "x-echo");
        let (joined, address) = room.lists(tube.clone()).await;
        let (mut program, _) = room.is_served(TUBE, &address).await;
        match lists {
            true => room.gabble.leaves_with([tube]).await,
            false => room.gabble.shows(Showing::Unavailable, &[]).await,
        }
        breaks(&mut program).await;
        let why = room.alice.closed(joined).await.unwrap();
        assert_eq!(why.kind, FailureKind::Gone);
        is_refused(&address).await;
        assert_eq!(closings(&room.alice.leave().await, joined), []);
    }
}

async fn who_takes_its_name_offers_another_tube(server: &Server) {
    let mut room = Room::on(server).await;
    let tube = stream_tube(TUBE, "x-echo");
    let (former, at_former) = room.lists(tube.clone()).await;
    let (mut program, _) = room.is_served(TUBE, &at_former).await;
    room.gabble.leaves_with([tube.clone()]).await;
    let mut newcomer = another(server, &room.jid, "fernand").await;
    newcomer.lists([tube]).await;
    let latter = room.alice.offered_by(&newcomer.full).await;
    assert_ne!(latter, former);
    breaks(&mut program).await;
    is_refused(&at_former).await;
    let why = room.alice.closed(former).await.unwrap();
    assert_eq!(why.kind, FailureKind::Gone);
    // The first that it is asked is for the tube that is its own.
    let address = room.alice.accepts(latter).await;
    is_served_by(&mut newcomer, TUBE, &address).await;
    // And withdraws that, not the other.
    newcomer.lists([]).await;
    let why = room.alice.closed(latter).await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
}

/// Neither of one that is open, nor of one that is being asked for.
async fn who_takes_its_name_hears_nothing_of_its_connections(server: &Server) {
    let mut room = Room::on(server).await;
    let (former, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    let mut open = connect(&address).await.unwrap();
    let methods = &BOTH[..1];
    let negotiation = room.gabble.is_initiated(TUBE, Multiple::Yes, methods).await;
    let told = room.gabble.is_told_hosts(&negotiation).await;
    let (_, mut stream) = room.gabble.dials(&negotiation, told).await;
    let mut asked_for = connect(&address).await.unwrap();
    let asked = room.gabble.is_asked_for(TUBE).await;
    // Whose connections wind down do not do so for long: who comes next is online by then.
    let mut newcomer = Gabble::on(server, "carol").await;
    room.gabble.leaves_with([]).await;
    newcomer.enters(&room.jid, "fernand").await;
    breaks(&mut asked_for).await;
    drop(asked);
    // The open one has a socket of its own, and winds down there.
    open.write_all(b"hello").await.unwrap();
    open.shutdown().await.unwrap();
    let mut heard = Vec::new();
    let hearing = stream.read_to_end(&mut heard);
    patiently("it winds down", hearing).await.unwrap();
    drop(stream);
    room.alice.closed(former).await.unwrap();
    newcomer.lists([stream_tube(TUBE, "x-echo")]).await;
    let latter = room.alice.offered_by(&newcomer.full).await;
    let address = room.alice.accepts(latter).await;
    is_served_by(&mut newcomer, TUBE, &address).await;
}

async fn who_takes_its_name_has_not_joined_our_tube(server: &Server) {
    let mut our = in_room(Joining::on(server)).await;
    let (alice, tube) = (our.at_alice.clone(), our.tube);
    let methods = &BOTH[1..];
    let initiating = our.gabble.initiates(&alice, tube, Multiple::Yes, methods);
    let (negotiation, _) = initiating.await;
    let mut stream = our.gabble.opens_in_band(&negotiation, 4096).await;
    let said = Content::of(1, 40);
    let conversing = our.gabble.converses_in_band(&mut stream, &said, said.len());
    assert_eq!(conversing.await, said);
    our.gabble.leaves_with([]).await;
    let newcomer = another(server, &alice.to_bare(), "fernand").await;
    let why = our.alice.connection_closed().await.2.unwrap();
    assert_eq!(why.kind, FailureKind::Gone);
    let sid = &negotiation.sid;
    let data = format!(
        "<data xmlns='{}' sid='{sid}' seq='1'>aGVsbG8=</data>",
        ns::IBB
    );
    let asked = newcomer.ask(&alice, &data).await;
    let Err(AskError::Refused(why)) = patiently("the data is answered", asked).await else {
        panic!("the newcomer goes on with what is not its own");
    };
    assert_eq!(why.defined_condition, DefinedCondition::ItemNotFound);
}
