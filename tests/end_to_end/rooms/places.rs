//! How much is offered in a room, and how much of it is seen.

use tubes::{
    Direction, Encryption, Event, Limit, Limits, Offer, OfferError, Parameters, Tubes, Value,
};
use tubes_server::{Server, ServerKind};

use super::{Occupant, fresh_room, is_served};
use crate::stage::{Family, Person, Service, credentials, enter, on, patiently, transport};

crate::on_each_server!(
    what_did_not_fit_is_seen_when_somebody_has_left,
    what_did_not_fit_is_seen_when_a_tube_is_given_up,
);

async fn what_did_not_fit_is_seen_when_somebody_has_left(server: &Server) {
    let room = fresh_room(server);
    let mut alice = with_one_place(server).await;
    enter(&alice, &room, "alice").await;
    let fernand = Occupant::in_room(server, &room, "fernand").await;
    let first = alice.offered_by(&fernand.own).await;
    let carol = Occupant::in_room(server, &room, "carol").await;
    assert_eq!(reached(&mut alice).await, Some(carol.own.clone().into()));
    assert_eq!(seen(&alice), 1);
    // Carol says nothing more.
    fernand.person.leave().await;
    alice.closed(first).await;
    let second = alice.offered_by(&carol.own).await;
    let listen = Family::Tcp.place().address;
    let accepting = alice.tubes.accept(second, listen, tubes::Access::Localhost);
    let address = patiently("the tube is accepted", accepting).await.unwrap();
    is_served(&address).await;
    // It ends as any other.
    carol.person.tubes.close(carol.offered).await;
    alice.closed(second).await;
    carol.person.leave().await;
    let events = alice.leave().await;
    let is_told = |event: &Event| matches!(event, Event::LimitReached { .. });
    assert!(!events.iter().any(is_told), "it is told again");
}

async fn what_did_not_fit_is_seen_when_a_tube_is_given_up(server: &Server) {
    let room = fresh_room(server);
    let mut alice = with_one_place(server).await;
    enter(&alice, &room, "alice").await;
    let fernand = Occupant::in_room(server, &room, "fernand").await;
    let first = alice.offered_by(&fernand.own).await;
    let carol = Occupant::in_room(server, &room, "carol").await;
    reached(&mut alice).await;
    alice.tubes.close(first).await;
    let second = alice.offered_by(&carol.own).await;
    // Who has gone meanwhile is not seen.
    carol.person.leave().await;
    alice.closed(second).await;
    assert_eq!(seen(&alice), 0);
    fernand.person.leave().await;
    alice.leave().await;
}

/// Of one room what the other one has no place for.
#[tokio::test(flavor = "multi_thread")]
async fn rooms_share_the_places_of_an_account() {
    on(ServerKind::Embedded, |server| async move {
        let (hall, kitchen) = (fresh_room(server), fresh_room(server));
        let mut alice = with_one_place(server).await;
        enter(&alice, &hall, "alice").await;
        enter(&alice, &kitchen, "alice").await;
        let fernand = Occupant::in_room(server, &hall, "fernand").await;
        alice.offered_by(&fernand.own).await;
        let carol = Occupant::in_room(server, &kitchen, "carol").await;
        reached(&mut alice).await;
        // Whoever leaves a room has no use for its places.
        alice.tubes.leave_room(&hall).await;
        alice.offered_by(&carol.own).await;
        carol.person.leave().await;
        fernand.person.leave().await;
        alice.leave().await;
    })
    .await;
}

/// What all offers there say goes into one presence.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_presence_is_not_offered() {
    on(ServerKind::Embedded, |server| async move {
        let room = fresh_room(server);
        let alice = Person::on(server, "alice").await;
        enter(&alice, &room, "alice").await;
        let service = Service::listen(Family::Tcp).await.unwrap();
        let offer = |bytes: usize| {
            let mut parameters = Parameters::default();
            parameters
                .insert("k", Value::Str("v".repeat(bytes)))
                .unwrap();
            let offer = Offer::in_room(room.clone(), "x-echo", service.address());
            offer.with_parameters(parameters)
        };
        let refused = alice.tubes.offer(offer(1024)).await;
        assert!(
            matches!(refused, Err(OfferError::TooLong(_))),
            "{refused:?}"
        );
        for _ in 0..32 {
            alice.tubes.offer(offer(512)).await.unwrap();
        }
        let refused = alice.tubes.offer(offer(512)).await;
        assert!(matches!(refused, Err(OfferError::Full)), "{refused:?}");
        // And all of them are seen.
        let mut fernand = Person::on(server, "fernand").await;
        enter(&fernand, &room, "fernand").await;
        for _ in 0..32 {
            fernand.offered().await;
        }
        fernand.leave().await;
        alice.leave().await;
    })
    .await;
}

/// Takes in one tube of all rooms.
async fn with_one_place(server: &Server) -> Person {
    let account = server.fresh_account("alice").await.unwrap();
    let builder = Tubes::builder(credentials(server, &account))
        .transports([transport()])
        .encryption(Encryption::Preferred)
        .limits(Limits::new().with_invitations(1));
    Person::built(account.jid, builder).await.unwrap()
}

/// Who hears of nothing more is told so: by whom there was too much.
async fn reached(person: &mut Person) -> Option<tubes::Jid> {
    person
        .event(|event| match event {
            Event::LimitReached {
                limit: Limit::InvitationsInRooms,
                peer,
            } => Some(peer.clone()),
            _ => None,
        })
        .await
}

/// Tubes that others offer.
fn seen(person: &Person) -> usize {
    let state = person.tubes.state();
    let tubes = state.tubes.values();
    tubes.filter(|tube| tube.direction == Direction::In).count()
}
