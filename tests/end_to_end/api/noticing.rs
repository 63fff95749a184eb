//! What a client reports of connections.

use std::slice;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tubes::{ClientEvent, ConnectionEnd, Monitoring, Offer, Parameters, TubeConnection};
use tubes_server::Server;

use super::joining::{accepted, added, chat};
use super::{Heard, SERVICE, monitoring_server, offer};
use crate::stage::{Family, Service, echo, pair, patiently};

crate::on_each_server!(
    a_connection_that_ends_well_is_told_from_one_that_breaks,
    without_monitoring_a_client_reports_no_connection,
);

async fn a_connection_that_ends_well_is_told_from_one_that_breaks(server: &Server) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alice, fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes.export(&service, Parameters::default()).unwrap();
    super::added(&tubes, &alice).await;
    let client = chat().with_monitoring().build();
    assert_eq!(client.monitoring(), Monitoring::On);
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    offer(&tubes, &alice, &fernand).await;
    let tube = accepted(&mut heard).await.id;
    for breaks in [false, true] {
        let mut program = client.connect(tube).await.unwrap();
        let (served, _) = patiently("it is reached", service.accept()).await.unwrap();
        let connection = opened(&mut heard).await;
        assert_eq!(connection.contact.to_bare(), alice.jid);
        assert_eq!(client.connections(), slice::from_ref(&connection));
        if breaks {
            // The service resets it.
            set_socket_linger(&served, Some(Duration::ZERO)).unwrap();
        }
        drop(served);
        let mut rest = Vec::new();
        let reading = program.read_to_end(&mut rest);
        let read = patiently("it is over", reading).await;
        assert_eq!(read.is_err(), breaks);
        drop(program);
        let (of, end) = closed(&mut heard).await;
        assert_eq!(of, connection);
        assert_eq!(matches!(end, ConnectionEnd::Broken(_)), breaks, "{end:?}");
        assert!(client.connections().is_empty());
    }
    fernand.leave().await;
    alice.leave().await;
}

async fn without_monitoring_a_client_reports_no_connection(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, mut fernand) = pair(server).await;
    let client = chat().build();
    assert_eq!(client.monitoring(), Monitoring::Off);
    let mut heard = Heard::by(client.watch().1);
    added(&client, &fernand).await;
    let offer = Offer::new(fernand.jid.clone(), SERVICE, service.address.clone());
    alice.tubes.offer(offer).await.unwrap();
    let tube = accepted(&mut heard).await.id;
    let mut program = client.connect(tube).await.unwrap();
    program.write_all(b"x").await.unwrap();
    let answered = program.read_u8();
    assert_eq!(patiently("it is answered", answered).await.unwrap(), b'x');
    assert!(client.connections().is_empty());
    drop(program);
    assert_eq!(fernand.connection_closed().await.2, None);
    patiently("the client is closed", client.close()).await;
    drop(client);
    let rest = heard.rest().await;
    let of_connections = |event: &ClientEvent| {
        matches!(
            event,
            ClientEvent::ConnectionOpened { .. } | ClientEvent::ConnectionClosed { .. }
        )
    };
    assert!(!rest.iter().any(of_connections), "{rest:#?}");
    fernand.leave().await;
    alice.leave().await;
}

/// The next connection that is reported.
async fn opened(heard: &mut Heard<ClientEvent>) -> TubeConnection {
    heard
        .event(|event| match event {
            ClientEvent::ConnectionOpened { connection } => Some(connection.clone()),
            _ => None,
        })
        .await
}

/// The next connection that is no more, and how it ended.
async fn closed(heard: &mut Heard<ClientEvent>) -> (TubeConnection, ConnectionEnd) {
    heard
        .event(|event| match event {
            ClientEvent::ConnectionClosed { connection, end } => {
                Some((connection.clone(), end.clone()))
            }
            _ => None,
        })
        .await
}
