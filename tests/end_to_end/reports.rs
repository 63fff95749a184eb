//! What the applications on both sides are told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Direction, Event, Offer, Parameters, Value};
use tubes_server::Server;

use crate::stage::{Content, Family, Person, Service, Stream, pair, patiently, share, transport};

crate::on_each_server_and_transport!(
    an_offer_arrives_as_it_was_made,
    each_connection_is_reported_once_with_what_it_carried,
    a_connection_is_reported_with_its_peer_and_transport,
);

async fn an_offer_arrives_as_it_was_made(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let (mut alice, mut fernand) = pair(server).await;
    let made = parameters();
    let offer = Offer::new(fernand.jid.clone(), "x-été <&>", service.address());
    let offer = offer.with_parameters(made.clone());
    alice.tubes.offer(offer).await.unwrap();
    let sent = offer_of(&mut alice, Direction::Out).await;
    let arrived = offer_of(&mut fernand, Direction::In).await;
    assert_eq!(arrived, sent);
    assert_eq!((arrived.1.as_str(), arrived.2), ("x-été <&>", made));
    fernand.leave().await;
    alice.leave().await;
}

async fn each_connection_is_reported_once_with_what_it_carried(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let service = service.serve(|mut stream| async move {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).await?;
        stream
            .write_all(&[question.clone(), question].concat())
            .await?;
        stream.shutdown().await
    });
    let mut shared = share(server, &service.address).await;
    for (connection, length) in [(1, 0), (2, 1), (3, 70_000)] {
        ask(shared.program().await, length).await;
        let length = u64::try_from(length).unwrap();
        let at_fernand = closed(&mut shared.fernand).await;
        assert_eq!(at_fernand, (connection, length, 2 * length));
        let at_alice = closed(&mut shared.alice).await;
        assert_eq!(at_alice, (connection, 2 * length, length));
    }
    let (of_alice, of_fernand) = shared.leave().await;
    for rest in [of_alice, of_fernand] {
        let closed = |event: &Event| matches!(event, Event::ConnectionClosed { .. });
        assert!(!rest.iter().any(closed), "{rest:#?}");
        let opened = |event: &&Event| matches!(event, Event::ConnectionOpened { .. });
        assert_eq!(rest.iter().filter(opened).count(), 3, "{rest:#?}");
    }
}

async fn a_connection_is_reported_with_its_peer_and_transport(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(server, &service.address()).await;
    let alice = shared.alice.online().await;
    let fernand = shared.fernand.online().await;
    let program = shared.program().await;
    let served = service.accept().await;
    let at_alice = opened(&mut shared.alice).await;
    let at_fernand = opened(&mut shared.fernand).await;
    assert_eq!((at_alice.0, at_fernand.0), (fernand, alice));
    let carried_by = transport().to_string();
    assert_eq!((at_alice.1, at_fernand.1), (&*carried_by, &*carried_by));
    // Only the offerer has a connection to the service.
    assert!(at_alice.2.is_some());
    assert_eq!(at_fernand.2, None);
    drop((program, served));
    shared.leave().await;
}

/// The number, the service and the parameters of the next offer.
async fn offer_of(person: &mut Person, way: Direction) -> (u32, String, Parameters) {
    person
        .event(|event| match event {
            Event::TubeOffered {
                number,
                service,
                direction,
                parameters,
                ..
            } if *direction == way => Some((*number, service.clone(), parameters.clone())),
            _ => None,
        })
        .await
}

/// The peer, the transport and the source of the next connection.
async fn opened(person: &mut Person) -> (tubes::FullJid, &'static str, Option<String>) {
    person
        .event(|event| match event {
            Event::ConnectionOpened {
                peer,
                transport,
                source,
                ..
            } => Some((peer.clone(), *transport, source.clone())),
            _ => None,
        })
        .await
}

/// The number of the next connection that ends well, and the bytes sent and received.
async fn closed(person: &mut Person) -> (u64, u64, u64) {
    person
        .event(|event| match event {
            Event::ConnectionClosed {
                connection,
                sent,
                received,
                error: None,
                ..
            } => Some((*connection, *sent, *received)),
            _ => None,
        })
        .await
}

/// Asks something of this length and hears the answer out.
async fn ask(mut program: Stream, length: usize) {
    program.write_all(&Content::of(1, length)).await.unwrap();
    program.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let reading = program.read_to_end(&mut answer);
    patiently("the service has answered", reading)
        .await
        .unwrap();
    assert_eq!(answer.len(), 2 * length);
}

/// One of each type, and what is easily lost on the way.
fn parameters() -> Parameters {
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("path", Value::Str(" /a b?c=<d>&\"é\" \n".to_owned())),
        ("key", Value::Bytes(vec![0, 255, b'<', 128])),
        ("least", Value::Int(i32::MIN)),
        ("most", Value::Uint(u32::MAX)),
        ("yes", Value::Bool(true)),
        ("no", Value::Bool(false)),
    ] {
        parameters.insert(name, value).unwrap();
    }
    parameters
}
