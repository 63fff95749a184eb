//! Who does what it should is never said to be disregarded.

use tubes::{Disregarded, Event, FailureKind};
use tubes_server::Server;

use crate::stage::{Family, Person, Service, echo, enter, exchange, fresh_room, patiently, share};

crate::on_each_server_and_transport!(
    contacts_who_share_a_tube_are_blamed_for_nothing,
    occupants_who_come_and_go_are_blamed_for_nothing,
);

async fn contacts_who_share_a_tube_are_blamed_for_nothing(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share(server, &service.address).await;
    for _ in 0..CONNECTIONS {
        let exchanging = exchange(&shared.address);
        patiently("the service answers", exchanging).await.unwrap();
        shared.alice.connection_closed().await;
        shared.fernand.connection_closed().await;
    }
    shared.fernand.tubes.close(shared.joined).await;
    let told = shared.alice.tube_closed().await.unwrap();
    assert_eq!(told.kind, FailureKind::Closed);
    let (of_alice, of_fernand) = shared.leave().await;
    assert_blameless(&of_alice);
    assert_blameless(&of_fernand);
}

async fn occupants_who_come_and_go_are_blamed_for_nothing(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    enter(&alice, &room, "alice").await;
    for _ in 0..STAYS {
        let fernand = Person::on(server, "fernand").await;
        enter(&fernand, &room, "fernand").await;
        fernand.tubes.leave_room(&room).await;
        // In the same session.
        enter(&fernand, &room, "again").await;
        assert_blameless(&fernand.leave().await);
    }
    assert_blameless(&alice.leave().await);
}

fn assert_blameless(events: &[Event]) {
    // Whoever names the other first asks before it is granted, and is granted it then.
    let blamed = |event: &&Event| matches!(event, Event::Disregarded { what, .. } if *what != Disregarded::Subscription);
    let blamed: Vec<_> = events.iter().filter(blamed).collect();
    assert!(blamed.is_empty(), "{blamed:#?}");
}

/// One after the other, and the times that somebody comes into a room.
const CONNECTIONS: usize = 4;
const STAYS: usize = 2;
