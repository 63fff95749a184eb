//! How much there may be in all, and what is told when there is no more.

use tubes::{
    Access, Audience, EnterError, Event, Limit, Limits, Offer, OfferError, Parameters, ServeError,
};
use tubes_server::Server;

use super::{SERVICE, added, joining, monitoring_server, offered};
use crate::limits::{held, initiation, person, reached};
use crate::stage::{
    Family, Gabble, Person, Service, befriended, echo, enter, exchange, fresh_room, patiently,
};

crate::on_each_server!(
    programs_beyond_those_of_all_tubes_wait_their_turn,
    an_account_offers_so_many_tubes,
    an_account_is_in_so_many_rooms,
    all_contacts_together_are_heard_with_so_many_offers,
    so_many_offers_of_a_room_are_heard,
    all_contacts_together_have_so_many_negotiations,
    the_defaults_keep_a_contact_from_offering_without_end,
);

async fn programs_beyond_those_of_all_tubes_wait_their_turn(server: &Server) {
    let limits = Limits::new().with_connections(1);
    let fernand = person(server, "fernand", limits).await;
    let alice = person(server, "alice", Limits::new()).await;
    let (alice, mut fernand) = befriended(alice, fernand).await;
    let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let offer = Offer::new(fernand.jid.clone(), SERVICE, echo.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        let (tube, _) = offered(&mut fernand).await;
        addresses.push(super::accept(&fernand, tube).await);
    }
    let other = addresses.pop().unwrap();
    let first = held(&addresses[0]).await;
    let second = tokio::spawn(async move { exchange(&other).await });
    assert_eq!(reached(&mut fernand).await, (Limit::Connections, None));
    assert!(!second.is_finished());
    drop(first);
    patiently("it has its turn", second).await.unwrap().unwrap();
    fernand.leave().await;
    alice.leave().await;
}

async fn an_account_offers_so_many_tubes(server: &Server) {
    let alice = person(server, "alice", Limits::new().with_offers(1)).await;
    let tubes = monitoring_server();
    let somewhere = Family::Unix.place();
    tubes
        .export(&somewhere.address, Parameters::default())
        .unwrap();
    added(&tubes, &alice).await;
    let to = || Audience::Contact(alice.jid.clone());
    let first = tubes.offer(&alice.jid, to(), SERVICE).await.unwrap();
    let refused = tubes.offer(&alice.jid, to(), SERVICE).await;
    let Err(ServeError::Offer(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(*why, OfferError::Full), "{why:?}");
    patiently("it is withdrawn", tubes.withdraw(first.id)).await;
    tubes.offer(&alice.jid, to(), SERVICE).await.unwrap();
    alice.leave().await;
}

async fn an_account_is_in_so_many_rooms(server: &Server) {
    let alice = person(server, "alice", Limits::new().with_rooms(1)).await;
    let (room, other) = (fresh_room(server), fresh_room(server));
    enter(&alice, &room, "alice").await;
    let wanted = other.with_resource_str("alice").unwrap();
    let refused = alice.tubes.enter(wanted).await;
    assert!(matches!(refused, Err(EnterError::Full)), "{refused:?}");
    patiently("it is left", alice.tubes.leave_room(&room)).await;
    enter(&alice, &other, "alice").await;
    alice.leave().await;
}

async fn all_contacts_together_are_heard_with_so_many_offers(server: &Server) {
    let fernand = person(server, "fernand", Limits::new().with_invitations(1)).await;
    let alice = Person::on(server, "alice").await;
    let (alice, fernand) = befriended(alice, fernand).await;
    let carol = Person::on(server, "carol").await;
    let (carol, mut fernand) = befriended(carol, fernand).await;
    joining::offer(&alice, &fernand, SERVICE).await;
    offered(&mut fernand).await;
    joining::offer(&carol, &fernand, SERVICE).await;
    let who = Some(carol.jid.clone().into());
    assert_eq!(reached(&mut fernand).await, (Limit::Invitations, who));
    assert_eq!(fernand.tubes.state().tubes.len(), 1);
    carol.leave().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn so_many_offers_of_a_room_are_heard(server: &Server) {
    let mut fernand = person(server, "fernand", Limits::new().with_invitations(1)).await;
    let mut alice = Person::on(server, "alice").await;
    let room = fresh_room(server);
    let own = enter(&alice, &room, "alice").await;
    enter(&fernand, &room, "fernand").await;
    for _ in 0..2 {
        let nowhere = Family::Abstract.place().address;
        alice
            .offers(Offer::in_room(room.clone(), SERVICE, nowhere))
            .await;
    }
    fernand.offered_by(&own).await;
    let who = Some(own.into());
    assert_eq!(
        reached(&mut fernand).await,
        (Limit::InvitationsInRooms, who)
    );
    assert_eq!(fernand.tubes.state().tubes.len(), 1);
    fernand.leave().await;
    alice.leave().await;
}

async fn all_contacts_together_have_so_many_negotiations(server: &Server) {
    let mut alice = person(server, "alice", Limits::new().with_negotiations(1)).await;
    let at_alice = alice.online().await;
    let echo = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut contacts = Vec::new();
    for name in ["fernand", "carol"] {
        let mut contact = Gabble::on(server, name).await;
        alice.tubes.befriend(&contact.jid).await;
        contact.befriend(&alice.jid).await;
        let offer = Offer::new(contact.jid.clone(), SERVICE, echo.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        let offer = contact.told("tube").await;
        let number = offer.attr("id").unwrap().to_owned();
        contacts.push((contact, number));
    }
    // Answered, and not opened: it is still being negotiated.
    let (fernand, number) = &mut contacts[0];
    let first = fernand.ask(&at_alice, &initiation("s1", number)).await;
    patiently("the first is answered", first).await.unwrap();
    let (carol, number) = &mut contacts[1];
    let second = carol.ask(&at_alice, &initiation("s1", number)).await;
    let refused = patiently("the second is answered", second).await;
    assert!(refused.is_err(), "{refused:?}");
    let who = Some(carol.jid.clone().into());
    assert_eq!(reached(&mut alice).await, (Limit::Negotiations, who));
    alice.leave().await;
}

async fn the_defaults_keep_a_contact_from_offering_without_end(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let fernand = Person::on(server, "fernand").await;
    let (alice, mut fernand) = befriended(alice, fernand).await;
    for _ in 0..=INVITATIONS {
        joining::offer(&alice, &fernand, SERVICE).await;
    }
    let who = Some(alice.jid.clone().into());
    assert_eq!(
        reached(&mut fernand).await,
        (Limit::InvitationsPerContact, who)
    );
    let state = fernand.tubes.state();
    assert_eq!(state.tubes.len(), INVITATIONS);
    // One that ends makes room for another.
    let (first, _) = offered(&mut fernand).await;
    patiently("it is declined", fernand.tubes.close(first)).await;
    joining::offer(&alice, &fernand, "x-other").await;
    let other = fernand
        .event(|event| match event {
            Event::TubeOffered { tube, service, .. } if service == "x-other" => Some(*tube),
            _ => None,
        })
        .await;
    let listen = Family::Tcp.place().address;
    let accepting = fernand.tubes.accept(other, listen, Access::Localhost);
    patiently("it is accepted", accepting).await.unwrap();
    fernand.leave().await;
    alice.leave().await;
}

/// As many offers of one contact as are heard, if nothing else is said.
const INVITATIONS: usize = 64;
