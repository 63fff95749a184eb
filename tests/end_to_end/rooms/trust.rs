//! Whom to trust in a room: a name is no identity.

use tubes::secure::{Judgement, Standing};
use tubes::{Access, Event, Offer, Protection};
use tubes_server::Server;

use super::{Occupant, both, fresh_room, is_served, leave};
use crate::stage::{Family, Person, patiently};

crate::on_each_server_and_transport!(
    who_is_met_in_a_room_only_is_encrypted_and_unverified,
    who_is_known_is_recognised_where_the_room_says_who_it_is,
);

mod named {
    use super::a_name_that_another_one_takes_is_somebody_else;

    crate::on_each_server!(a_name_that_another_one_takes_is_somebody_else);
}

async fn who_is_met_in_a_room_only_is_encrypted_and_unverified(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    for _ in 0..2 {
        is_served(&address).await;
        // Alice sees whose occupant Fernand is, as she has made the room; that is the room's word only.
        for occupant in [&mut alice, &mut fernand] {
            assert_eq!(judgement(&mut occupant.person).await, Judgement::Occupant);
        }
    }
    leave(alice, fernand).await;
}

async fn who_is_known_is_recognised_where_the_room_says_who_it_is(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    // They meet outside the room first.
    meet(&mut alice, &mut fernand).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
    let known = Judgement::Known(Standing::Pinned);
    assert_eq!(judgement(&mut alice.person).await, known);
    // Fernand is not told who she is.
    assert_eq!(judgement(&mut fernand.person).await, Judgement::Occupant);
    leave(alice, fernand).await;
}

async fn a_name_that_another_one_takes_is_somebody_else(server: &Server) {
    let room = fresh_room(server);
    let mut alice = Occupant::in_room(server, &room, "alice").await;
    for _ in 0..2 {
        // Each is another account, with another key.
        let fernand = Occupant::in_room(server, &room, "fernand").await;
        let (tube, address) = alice.accept_of(&fernand.own).await;
        is_served(&address).await;
        assert_eq!(judgement(&mut alice.person).await, Judgement::Occupant);
        fernand.person.leave().await;
        alice.person.closed(tube).await.unwrap();
    }
    alice.person.leave().await;
}

/// A tube from the one to the other, as contacts.
async fn meet(alice: &mut Occupant, fernand: &mut Occupant) {
    let (of_alice, of_fernand) = (alice.person.jid.clone(), fernand.person.jid.clone());
    alice.person.tubes.befriend(&of_fernand).await;
    fernand.person.tubes.befriend(&of_alice).await;
    let offer = Offer::new(of_fernand, "x-meeting", alice.echo.address.clone());
    alice.person.tubes.offer(offer).await.unwrap();
    let tube = fernand
        .person
        .event(|event| match event {
            Event::TubeOffered { tube, service, .. } if service == "x-meeting" => Some(*tube),
            _ => None,
        })
        .await;
    let listen = Family::Tcp.place().address;
    let accepting = fernand.person.tubes.accept(tube, listen, Access::Localhost);
    let address = patiently("the tube is accepted", accepting).await.unwrap();
    is_served(&address).await;
    for person in [&mut alice.person, &mut fernand.person] {
        assert_eq!(judgement(person).await, Judgement::First);
    }
}

/// Why whoever is at the other end of the next connection is trusted.
async fn judgement(person: &mut Person) -> Judgement {
    let protection = person.event(|event| match event {
        Event::ConnectionOpened { protection, .. } => Some(protection.clone()),
        _ => None,
    });
    match protection.await {
        Protection::Encrypted { judgement, .. } => judgement,
        other => panic!("it is {other:?}"),
    }
}
