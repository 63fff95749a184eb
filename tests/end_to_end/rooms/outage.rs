//! Rooms that are lost, and entered again.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tubes::{Direction, Event, FailureKind, FullJid};
use tubes_server::{Server, ServerKind, Setup};

use super::{Occupant, both, is_served, leave, program_at};
use crate::stage::{Person, patiently};

crate::on_each_server!(a_server_that_restarts_is_a_pause_for_rooms);

async fn a_server_that_restarts_is_a_pause_for_rooms(shared: &Server) {
    let starting = Server::start(shared.kind(), Setup::new());
    let mut server = starting.await.unwrap();
    let (mut alice, mut fernand) = both(&server).await;
    alice.person.is_called(&alice.own.clone()).await;
    fernand.person.is_called(&fernand.own.clone()).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    let mut program = program_at(&address).await;
    patiently("the server is killed", server.kill())
        .await
        .unwrap();
    server.restart().await.unwrap();
    let rest = patiently("the connection breaks", program.read(&mut [0; 5])).await;
    assert!(rest.is_err(), "{rest:?}");
    works_again(&mut alice, &mut fernand).await;
    leave(alice, fernand).await;
    server.stop().await;
}

/// Nobody says so: it is noticed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_has_forgotten_everybody_is_entered_again() {
    crate::stage::on(ServerKind::Embedded, |server| async move {
        let (mut alice, mut fernand) = both(server).await;
        alice.person.is_called(&alice.own.clone()).await;
        fernand.person.is_called(&fernand.own.clone()).await;
        fernand.accept_of(&alice.own).await;
        assert!(server.forget_room(&alice.own.to_bare()));
        works_again(&mut alice, &mut fernand).await;
        leave(alice, fernand).await;
    })
    .await;
}

/// What was under way there would otherwise go on with whoever has the names by then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_carried_through_a_room_breaks_when_it_is_entered_again() {
    crate::stage::on(ServerKind::Embedded, |server| async move {
        let (mut alice, mut fernand) = both(server).await;
        alice.person.is_called(&alice.own.clone()).await;
        fernand.person.is_called(&fernand.own.clone()).await;
        let (_, address) = fernand.accept_of(&alice.own).await;
        let mut program = program_at(&address).await;
        assert!(server.forget_room(&alice.own.to_bare()));
        // Nobody says anything meanwhile.
        let rest = timeout(NOTICED, program.read(&mut [0; 5])).await;
        assert!(rest.unwrap().is_err());
        for occupant in [&mut alice, &mut fernand] {
            let (.., why) = occupant.person.connection_closed().await;
            let why = why.unwrap();
            assert_eq!(why.kind, FailureKind::Gone);
        }
        works_again(&mut alice, &mut fernand).await;
        leave(alice, fernand).await;
    })
    .await;
}

/// Both come back by themselves, and what is offered there, too.
async fn works_again(alice: &mut Occupant, fernand: &mut Occupant) {
    for occupant in [&mut *alice, &mut *fernand] {
        let own = occupant.own.clone();
        let back = timeout(NOTICED, occupant.person.is_called(&own)).await;
        assert!(back.is_ok(), "{own} is not back");
    }
    stands_again(&mut alice.person, &alice.own).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
}

async fn stands_again(person: &mut Person, own: &FullJid) {
    person
        .event(|event| match event {
            Event::TubeOffered {
                peer,
                direction: Direction::Out,
                ..
            } if peer == own => Some(()),
            _ => None,
        })
        .await;
}

/// How long it may take to notice, and to come back.
const NOTICED: Duration = Duration::from_secs(60);
