//! Servers and clients in rooms.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{
    Access, Audience, BareJid, ClientEvent, Command, Export, OfferError, Parameters, Rules,
    ServeError, StreamTubeClient, StreamTubeServer,
};
use tubes_server::Server;

use super::{Heard, SERVICE, added, joining, opened};
use crate::stage::{
    Family, Person, Service, connect, echo, enter, exchange, fresh_room, patiently,
};

crate::on_each_server!(
    a_server_offers_to_a_room_and_knows_who_connects,
    a_client_takes_what_is_offered_in_a_room,
    a_command_is_run_for_each_connection_and_told_who_it_is,
    a_room_has_to_be_entered_first,
    a_service_that_is_kept_for_a_room_is_for_no_other,
);

async fn a_server_offers_to_a_room_and_knows_who_connects(server: &Server) {
    let mut scene = Scene::set(server).await;
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    scene
        .tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    let mut heard = Heard::by(scene.tubes.watch().1);
    scene.offer().await;
    let tube = scene.fernand.offered().await;
    let listen = Family::Tcp.place().address;
    let accepting = scene.fernand.tubes.accept(tube, listen, Access::Localhost);
    let address = patiently("it is accepted", accepting).await.unwrap();
    exchange(&address).await.unwrap();
    let connection = opened(&mut heard).await;
    assert_eq!(
        connection.contact,
        scene.room.with_resource_str("fernand").unwrap()
    );
    assert_eq!(connection.tube.audience, Audience::Room(scene.room.clone()));
    scene.leave().await;
}

async fn a_client_takes_what_is_offered_in_a_room(server: &Server) {
    let scene = Scene::set(server).await;
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let client = StreamTubeClient::builder()
        .services_for_rooms([SERVICE])
        .build();
    joining::added(&client, &scene.fernand).await;
    let mut heard = Heard::by(client.watch().1);
    scene
        .tubes
        .export(&service.address, Parameters::default())
        .unwrap();
    scene.offer().await;
    let tube = heard
        .event(|event| match event {
            ClientEvent::TubeAccepted { tube, .. } => Some(tube.clone()),
            _ => None,
        })
        .await;
    assert_eq!(tube.audience, Audience::Room(scene.room.clone()));
    let connecting = client.connect(tube.id);
    let mut connection = patiently("it connects", connecting).await.unwrap();
    connection.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    patiently("the echo answers", connection.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"hello");
    drop(connection);
    client.close().await;
    scene.leave().await;
}

async fn a_command_is_run_for_each_connection_and_told_who_it_is(server: &Server) {
    let mut scene = Scene::set(server).await;
    let command = Export::from(Command::shell("printf %s \"$TUBES_PEER\""));
    scene.tubes.export(&command, Parameters::default()).unwrap();
    assert_eq!(scene.tubes.exported(), Some(command));
    scene.offer().await;
    let tube = scene.fernand.offered().await;
    let listen = Family::Tcp.place().address;
    let accepting = scene.fernand.tubes.accept(tube, listen, Access::Localhost);
    let address = patiently("it is accepted", accepting).await.unwrap();
    let mut program = connect(&address).await.unwrap();
    let mut said = String::new();
    patiently("it says so", program.read_to_string(&mut said))
        .await
        .unwrap();
    assert_eq!(said, format!("{}/fernand", scene.room));
    scene.leave().await;
}

async fn a_room_has_to_be_entered_first(server: &Server) {
    let scene = Scene::set(server).await;
    let command = Command::shell("true");
    scene.tubes.export(&command, Parameters::default()).unwrap();
    let elsewhere = Audience::Room(fresh_room(server));
    let refused = scene
        .tubes
        .offer(&scene.alice.jid, elsewhere, SERVICE)
        .await;
    let Err(ServeError::Offer(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(*why, OfferError::NotInRoom(_)), "{why:?}");
    scene.leave().await;
}

async fn a_service_that_is_kept_for_a_room_is_for_no_other(server: &Server) {
    let scene = Scene::set(server).await;
    scene
        .tubes
        .export(&Command::shell("true"), Parameters::default())
        .unwrap();
    let elsewhere = Audience::Room(fresh_room(server));
    let rules = Rules::new().allow(SERVICE, [elsewhere.clone()]);
    scene.tubes.set_rules(rules).await;
    let here = Audience::Room(scene.room.clone());
    let refused = scene
        .tubes
        .offer(&scene.alice.jid, here.clone(), SERVICE)
        .await;
    assert!(
        matches!(refused, Err(ServeError::Forbidden { .. })),
        "{refused:?}"
    );
    let rules = Rules::new().allow(SERVICE, [here]);
    scene.tubes.set_rules(rules).await;
    scene.offer().await;
    scene.leave().await;
}

/// Alice and Fernand in a room, and a server of hers.
struct Scene {
    alice: Person,
    fernand: Person,
    room: BareJid,
    tubes: StreamTubeServer,
}

impl Scene {
    async fn set(server: &Server) -> Self {
        let room = fresh_room(server);
        let alice = Person::on(server, "alice").await;
        let fernand = Person::on(server, "fernand").await;
        enter(&alice, &room, "alice").await;
        enter(&fernand, &room, "fernand").await;
        let tubes = StreamTubeServer::builder().services_for_rooms([SERVICE]);
        let tubes = tubes.with_monitoring().build();
        added(&tubes, &alice).await;
        Self {
            alice,
            fernand,
            room,
            tubes,
        }
    }

    async fn offer(&self) {
        let here = Audience::Room(self.room.clone());
        let offering = self.tubes.offer(&self.alice.jid, here, SERVICE);
        patiently("it is offered", offering).await.unwrap();
    }

    async fn leave(self) {
        self.tubes.close().await;
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}
