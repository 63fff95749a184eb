//! Connections that the application holds itself.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{ClientEvent, ConnectError, Offer, StreamTubeClient, TubeId};
use tubes_server::Server;

use super::joining::{accepted, added, chat, closed};
use super::{Heard, SERVICE};
use crate::stage::{Content, Family, Person, Service, digest, pair, patiently};

crate::on_each_server_and_transport!(
    the_application_connects_and_each_direction_ends_by_itself,
    a_connection_that_breaks_is_no_end_of_file,
    what_cannot_be_reached_is_no_end_of_file,
    a_tube_that_is_gone_takes_no_connection,
);

async fn the_application_connects_and_each_direction_ends_by_itself(server: &Server) {
    let (party, service) = Party::with_service(server).await;
    let mut connection = party.client.connect(party.tube).await.unwrap();
    let mut served = service.accept().await;
    let (up, down) = (Content::of(1, SIZE), Content::of(2, SIZE));
    connection.write_all(&up).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut heard = Vec::new();
    let reading = served.read_to_end(&mut heard);
    patiently("the service has all", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&up));
    served.write_all(&down).await.unwrap();
    served.shutdown().await.unwrap();
    heard.clear();
    let reading = connection.read_to_end(&mut heard);
    patiently("the application has all", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&down));
    party.leave().await;
}

async fn a_connection_that_breaks_is_no_end_of_file(server: &Server) {
    let (party, service) = Party::with_service(server).await;
    let mut connection = party.client.connect(party.tube).await.unwrap();
    let mut served = service.accept().await;
    served.write_all(b"hello").await.unwrap();
    connection.read_exact(&mut [0; 5]).await.unwrap();
    // The tube closes, and the service is not done.
    let leaving = party.client.leave(party.tube);
    let mut rest = Vec::new();
    let reading = connection.read_to_end(&mut rest);
    let (read, ()) = patiently("it is cut off", async { tokio::join!(reading, leaving) }).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    drop(served);
    party.leave().await;
}

async fn what_cannot_be_reached_is_no_end_of_file(server: &Server) {
    let (party, service) = Party::with_service(server).await;
    drop(service);
    let mut connection = party.client.connect(party.tube).await.unwrap();
    let mut rest = Vec::new();
    let reading = connection.read_to_end(&mut rest);
    let why = patiently("it is refused", reading).await.unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    party.leave().await;
}

async fn a_tube_that_is_gone_takes_no_connection(server: &Server) {
    let (mut party, _service) = Party::with_service(server).await;
    patiently("it is left", party.client.leave(party.tube)).await;
    assert_eq!(closed(&mut party.heard).await, (party.tube, None));
    let refused = party.client.connect(party.tube).await;
    assert!(matches!(refused, Err(ConnectError::Unknown)), "{refused:?}");
    party.leave().await;
}

/// Fernand's client has accepted a tube of Alice's.
struct Party {
    alice: Person,
    fernand: Person,
    client: StreamTubeClient,
    heard: Heard<ClientEvent>,
    tube: TubeId,
}

impl Party {
    async fn with_service(server: &Server) -> (Self, Service) {
        let service = Service::listen(Family::Tcp).await.unwrap();
        let (alice, fernand) = pair(server).await;
        let client = chat().build();
        let mut heard = Heard::by(client.watch().1);
        added(&client, &fernand).await;
        let offer = Offer::new(fernand.jid.clone(), SERVICE, service.address());
        alice.tubes.offer(offer).await.unwrap();
        let tube = accepted(&mut heard).await.id;
        let party = Self {
            alice,
            fernand,
            client,
            heard,
            tube,
        };
        (party, service)
    }

    async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

const SIZE: usize = 200_000;
