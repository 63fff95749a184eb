//! Who is behind each connection, for those who look all the time and for those who come late.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::slice;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tubes::{ConnectionEnd, FailureKind, Monitoring, Parameters, Protection};
use tubes::{ServerEvent, StreamTubeClient, StreamTubeServer, TubeConnection};
use tubes_server::Server;

use super::{Heard, SERVICE, accepted, added, joining, monitoring_server, offer, opened};
use crate::stage::{Family, Person, Service, Stream, connect, echo, pair, patiently};

crate::on_each_server_and_transport!(
    a_connection_is_matched_to_its_contact_by_its_source,
    several_contacts_are_told_apart_by_the_sources_of_their_connections,
    connections_without_a_source_stand_together_under_none,
    without_monitoring_no_connection_is_reported,
    a_connection_that_breaks_has_not_ended_well,
    whoever_comes_late_sees_the_connections_there_are_and_hears_of_their_end,
    no_connection_is_missed_however_soon_it_comes,
);

async fn a_connection_is_matched_to_its_contact_by_its_source(server: &Server) {
    let mut party = Party::on(server).await;
    let (program, mut served, source) = party.connection().await;
    let behind = patiently("it is known", party.tubes.behind(source))
        .await
        .unwrap();
    assert_eq!(behind, opened(&mut party.heard).await);
    assert_eq!(behind.contact.to_bare(), party.fernand.jid);
    assert_eq!(behind.tube.account, party.alice.jid);
    assert_eq!(behind.source, Some(source));
    assert!(matches!(behind.protection, Protection::Encrypted { .. }));
    let there = party.tubes.connections();
    assert_eq!(
        there.into_iter().collect::<Vec<_>>(),
        [(Some(source), vec![behind.clone()])]
    );

    drop(program);
    served.read_to_end(&mut Vec::new()).await.unwrap();
    drop(served);
    assert_eq!(
        closed(&mut party.heard).await,
        (behind, ConnectionEnd::Disconnected)
    );
    assert!(party.tubes.connections().is_empty());
    party.leave().await;
}

async fn several_contacts_are_told_apart_by_the_sources_of_their_connections(server: &Server) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alice, mut fernand) = pair(server).await;
    let mut carol = Person::on(server, "carol").await;
    alice.tubes.befriend(&carol.jid).await;
    carol.tubes.befriend(&alice.jid).await;
    let tubes = monitoring_server();
    tubes.export(&service, Parameters::default()).unwrap();
    added(&tubes, &alice).await;
    let (mut open, mut expected) = (Vec::new(), BTreeMap::new());
    for person in [&mut fernand, &mut carol] {
        offer(&tubes, &alice, person).await;
        let address = accepted(person).await;
        for _ in 0..2 {
            let program = connect(&address).await.unwrap();
            let accepting = service.accept();
            let (served, source) = patiently("it is reached", accepting).await.unwrap();
            patiently("it is known", tubes.behind(source))
                .await
                .unwrap();
            open.push((program, served));
            expected.insert(Some(source), vec![person.jid.clone()]);
        }
    }
    let contacts = |connections: Vec<TubeConnection>| {
        let contacts = connections.into_iter();
        contacts.map(|connection| connection.contact.to_bare())
    };
    let there = tubes.connections().into_iter();
    let there = there.map(|(source, connections)| (source, contacts(connections).collect()));
    assert_eq!(there.collect::<BTreeMap<_, Vec<_>>>(), expected);
    drop(open);
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn connections_without_a_source_stand_together_under_none(server: &Server) {
    let service = Service::listen(Family::Unix).await.unwrap();
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address(), Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    offer(&tubes, &alice, &fernand).await;
    let address = accepted(&mut fernand).await;
    let mut programs = Vec::new();
    for _ in 0..2 {
        programs.push((connect(&address).await.unwrap(), service.accept().await));
        assert_eq!(opened(&mut heard).await.source, None);
    }
    let there = tubes.connections();
    assert_eq!(there.len(), 1);
    let contacts = there[&None]
        .iter()
        .map(|connection| connection.contact.to_bare());
    assert_eq!(
        contacts.collect::<Vec<_>>(),
        [fernand.jid.clone(), fernand.jid.clone()]
    );
    fernand.leave().await;
    alice.leave().await;
}

async fn without_monitoring_no_connection_is_reported(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (mut alice, mut fernand) = pair(server).await;
    let tubes = StreamTubeServer::builder()
        .services_for_contacts([SERVICE])
        .build();
    assert_eq!(tubes.monitoring(), Monitoring::Off);
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let heard = Heard::by(tubes.watch().1);
    let tube = offer(&tubes, &alice, &fernand).await;
    let address = accepted(&mut fernand).await;
    let mut program = connect(&address).await.unwrap();
    program.write_all(b"hello").await.unwrap();
    program.read_exact(&mut [0; 5]).await.unwrap();
    assert!(tubes.connections().is_empty());
    drop(program);
    assert_eq!(alice.connection_closed().await.2, None);
    patiently("the tube is gone", tubes.withdraw(tube.id)).await;
    patiently("the server is closed", tubes.close()).await;
    drop(tubes);
    let rest = heard.rest().await;
    let of_connections = |event: &ServerEvent| {
        matches!(
            event,
            ServerEvent::ConnectionOpened { .. } | ServerEvent::ConnectionClosed { .. }
        )
    };
    assert!(!rest.iter().any(of_connections), "{rest:#?}");
    assert!(
        matches!(rest.last(), Some(ServerEvent::TubeClosed { .. })),
        "{rest:#?}"
    );
    fernand.leave().await;
    alice.leave().await;
}

async fn a_connection_that_breaks_has_not_ended_well(server: &Server) {
    let mut party = Party::on(server).await;
    let (_program, served, _) = party.connection().await;
    let connection = opened(&mut party.heard).await;
    // The service resets it.
    set_socket_linger(&served, Some(Duration::ZERO)).unwrap();
    drop(served);
    let (of, end) = closed(&mut party.heard).await;
    assert_eq!(of, connection);
    let ConnectionEnd::Broken(why) = end else {
        panic!("it ended well");
    };
    assert_eq!(why.kind, FailureKind::Io);
    party.leave().await;
}

async fn whoever_comes_late_sees_the_connections_there_are_and_hears_of_their_end(server: &Server) {
    let mut party = Party::on(server).await;
    let (program, served, source) = party.connection().await;
    let connection = opened(&mut party.heard).await;
    let (state, feed) = party.tubes.watch();
    assert_eq!(state.tubes.len(), 1);
    assert_eq!(
        state.by_source()[&Some(source)],
        slice::from_ref(&connection)
    );
    drop((program, served));
    let ServerEvent::ConnectionClosed { connection: of, .. } = Heard::by(feed).next().await else {
        panic!("something else was next");
    };
    assert_eq!(of, connection);
    party.leave().await;
}

async fn no_connection_is_missed_however_soon_it_comes(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let (alice, fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let mut heard = Heard::by(tubes.watch().1);
    let client = StreamTubeClient::builder()
        .services_for_contacts([SERVICE])
        .build();
    let mut taken = Heard::by(client.watch().1);
    client.add(&fernand.tubes).await.unwrap();
    let connecting = async {
        for _ in 0..TUBES {
            let tube = joining::accepted(&mut taken).await;
            let mut connection = client.connect(tube.id).await.unwrap();
            connection.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let ended = connection.read_to_end(&mut rest);
            patiently("the echo is done", ended).await.unwrap();
        }
    };
    let offering = async {
        for _ in 0..TUBES {
            offer(&tubes, &alice, &fernand).await;
        }
    };
    tokio::join!(connecting, offering);
    let (mut began, mut ended) = (Vec::new(), Vec::new());
    for _ in 0..TUBES {
        began.push(opened(&mut heard).await.tube.id);
        let (connection, end) = closed(&mut heard).await;
        assert_eq!(end, ConnectionEnd::Disconnected);
        ended.push(connection.tube.id);
    }
    // They may end in another order.
    ended.sort();
    began.sort();
    assert_eq!(ended, began);
    fernand.leave().await;
    alice.leave().await;
}

/// Alice's server, and Fernand, who has accepted its tube.
pub(super) struct Party {
    pub(super) alice: Person,
    pub(super) fernand: Person,
    pub(super) tubes: StreamTubeServer,
    pub(super) heard: Heard<ServerEvent>,
    pub(super) service: TcpListener,
    address: tubes::Address,
}

impl Party {
    pub(super) async fn on(server: &Server) -> Self {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (alice, mut fernand) = pair(server).await;
        let tubes = monitoring_server();
        tubes.export(&service, Parameters::default()).unwrap();
        added(&tubes, &alice).await;
        let heard = Heard::by(tubes.watch().1);
        offer(&tubes, &alice, &fernand).await;
        let address = accepted(&mut fernand).await;
        Self {
            alice,
            fernand,
            tubes,
            heard,
            service,
            address,
        }
    }

    /// A connection of Fernand's: both ends, and where it comes from.
    pub(super) async fn connection(&self) -> (Stream, TcpStream, SocketAddr) {
        let program = connect(&self.address).await.unwrap();
        let accepting = self.service.accept();
        let (served, source) = patiently("it is reached", accepting).await.unwrap();
        (program, served, source)
    }

    pub(super) async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

/// The next connection that is no more, and how it ended.
async fn closed(heard: &mut Heard<ServerEvent>) -> (TubeConnection, ConnectionEnd) {
    heard
        .event(|event| match event {
            ServerEvent::ConnectionClosed { connection, end } => {
                Some((connection.clone(), end.clone()))
            }
            _ => None,
        })
        .await
}

/// Enough for one to be used before the other side has done with offering it.
const TUBES: usize = 20;
