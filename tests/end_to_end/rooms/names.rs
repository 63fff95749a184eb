//! Names in rooms, which are no identities.

use tokio::io::AsyncReadExt;
use tubes::{Event, TransportName};
use tubes_server::Server;

use super::{both, enter, fresh_room, is_served, leave, program_at, says_back};
use crate::stage::{Person, patiently, transport};

crate::on_each_server_and_transport!(
    tubes_follow_who_offers_them_to_another_name,
    tubes_are_used_under_another_name,
);

mod taken {
    use super::a_name_that_is_taken_is_tried_in_other_forms;

    crate::on_each_server!(a_name_that_is_taken_is_tried_in_other_forms);
}

async fn a_name_that_is_taken_is_tried_in_other_forms(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    let other = Person::on(server, "fernand").await;
    assert_eq!(
        enter(&alice, &room, "guest").await.resource().as_str(),
        "guest"
    );
    assert_eq!(
        enter(&other, &room, "guest").await.resource().as_str(),
        "guest-2"
    );
    other.leave().await;
    alice.leave().await;
}

async fn tubes_follow_who_offers_them_to_another_name(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (tube, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
    let mut program = program_at(&address).await;
    let renamed = alice.own.to_bare().with_resource_str("alicia").unwrap();
    alice.person.tubes.rename_in_room(renamed.clone()).await;
    alice.person.is_called(&renamed).await;
    assert_eq!(fernand.person.offered_by(&renamed).await, tube);
    // Nothing hangs: what the room carried breaks, what it did not goes on.
    match transport() {
        TransportName::Ibb => {
            let rest = patiently("it breaks", program.read(&mut [0; 5])).await;
            assert!(rest.is_err(), "{rest:?}");
        }
        _ => says_back(&mut program).await,
    }
    drop(program);
    is_served(&address).await;
    leave(alice, fernand).await;
}

async fn tubes_are_used_under_another_name(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    let mut program = program_at(&address).await;
    let renamed = alice.own.to_bare().with_resource_str("fern").unwrap();
    fernand.person.tubes.rename_in_room(renamed.clone()).await;
    fernand.person.is_called(&renamed).await;
    match transport() {
        TransportName::Ibb => {
            let rest = patiently("it breaks", program.read(&mut [0; 5])).await;
            assert!(rest.is_err(), "{rest:?}");
        }
        _ => {
            // Or it would be taken for a connection of whoever has the former name next.
            let event = alice.person.event(|event| match event {
                Event::ConnectionRenamed { peer, .. } => Some(peer.clone()),
                _ => None,
            });
            assert_eq!(event.await, renamed);
            let state = alice.person.tubes.state();
            let mut connections = state.tubes[&alice.offered].connections.values();
            assert!(connections.all(|connection| connection.peer == renamed));
            says_back(&mut program).await;
        }
    }
    drop(program);
    is_served(&address).await;
    leave(alice, fernand).await;
}
