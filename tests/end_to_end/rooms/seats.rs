//! Two programs of one account in one room: services let both go by one name, and then what is said to it
//! reaches one of them.

use tubes::{Access, BareJid, Event, FullJid, Limit, Limits, Offer, Tubes};
use tubes_server::Server;

use super::{is_served, program_at};
use crate::stage::{
    Family, Person, Service, credentials, echo, enter, exchange, fresh_room, patiently, transport,
};

crate::on_each_server!(
    two_programs_of_one_account_use_what_each_of_them_offers,
    two_programs_that_come_at_the_same_time_part,
    two_programs_of_one_account_count_as_one_where_the_room_shows_it,
    who_returns_after_a_program_of_the_account_has_its_own_name_again,
);

async fn two_programs_of_one_account_use_what_each_of_them_offers(server: &Server) {
    let room = fresh_room(server);
    let [mut one, mut other] = both_of(server, "alice").await;
    let first = enter(&one, &room, "alice").await;
    let second = enter(&other, &room, "alice").await;
    assert_eq!(first.resource().as_str(), "alice");
    assert_eq!(second.resource().as_str(), "alice-2");
    shares(&mut one, &first, &mut other).await;
    shares(&mut other, &second, &mut one).await;
    other.leave().await;
    one.leave().await;
}

async fn two_programs_of_one_account_count_as_one_where_the_room_shows_it(server: &Server) {
    let room = fresh_room(server);
    // Whoever has made a room sees whose occupants come.
    let mut host = with_one_connection_each(server).await;
    let own = enter(&host, &room, "host").await;
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let offer = Offer::in_room(room.clone(), "x-echo", service.address.clone());
    host.offers(offer).await;
    let mut addresses = Vec::new();
    let [mut one, mut other] = both_of(server, "fernand").await;
    let mut carol = Person::on(server, "carol").await;
    for (person, nick) in [
        (&mut one, "fern"),
        (&mut other, "nando"),
        (&mut carol, "carol"),
    ] {
        enter(person, &room, nick).await;
        let tube = person.offered_by(&own).await;
        let listen = Family::Tcp.place().address;
        let accepting = person.tubes.accept(tube, listen, Access::Localhost);
        addresses.push(patiently("the tube is accepted", accepting).await.unwrap());
    }
    let held = program_at(&addresses[0]).await;
    let refused = patiently("it is refused", exchange(&addresses[1])).await;
    assert!(refused.is_err());
    let reached = host.event(|event| match event {
        Event::LimitReached {
            limit: Limit::ConnectionsPerContact,
            peer,
        } => Some(peer.clone()),
        _ => None,
    });
    assert_eq!(reached.await, Some(one.jid.clone().into()));
    is_served(&addresses[2]).await;
    drop(held);
    host.connection_closed().await;
    host.connection_closed().await;
    is_served(&addresses[1]).await;
    for person in [one, other, carol, host] {
        person.leave().await;
    }
}

async fn who_returns_after_a_program_of_the_account_has_its_own_name_again(server: &Server) {
    let room = fresh_room(server);
    let mut host = Person::on(server, "host").await;
    enter(&host, &room, "host").await;
    let [one, other] = both_of(server, "alice").await;
    let first = enter(&one, &room, "alice").await;
    one.leave().await;
    host.event(|event| match event {
        Event::OccupantLeft { occupant } if *occupant == first => Some(()),
        _ => None,
    })
    .await;
    let again = enter(&other, &room, "alice").await;
    assert_eq!(again.resource().as_str(), "alice");
    other.leave().await;
    host.leave().await;
}

/// Neither sees the other before it comes in; the room shows afterwards that they share a name.
async fn two_programs_that_come_at_the_same_time_part(server: &Server) {
    let room = fresh_room(server);
    let host = Person::on(server, "host").await;
    enter(&host, &room, "host").await;
    for _ in 0..TIMES {
        let [mut one, mut other] = both_of(server, "alice").await;
        tokio::join!(enter(&one, &room, "alice"), enter(&other, &room, "alice"));
        let [first, second] = parted(&room, &mut one, &mut other).await;
        shares(&mut one, &first, &mut other).await;
        shares(&mut other, &second, &mut one).await;
        other.leave().await;
        one.leave().await;
    }
    host.leave().await;
}

/// Serves nobody by more than one connection.
async fn with_one_connection_each(server: &Server) -> Person {
    let account = server.fresh_account("host").await.unwrap();
    let builder = Tubes::builder(credentials(server, &account))
        .transports([transport()])
        .limits(Limits::new().with_connections_per_contact(1));
    Person::built(account.jid, builder).await.unwrap()
}

/// One account, two logins.
async fn both_of(server: &Server, name: &str) -> [Person; 2] {
    let account = server.fresh_account(name).await.unwrap();
    let one = Person::with(credentials(server, &account)).await.unwrap();
    let other = Person::with(credentials(server, &account)).await.unwrap();
    [one, other]
}

/// What both are called when they have parted. ejabberd shows to the first one that they share a name,
/// when the second one is there; it may take either more than one move.
async fn parted(room: &BareJid, one: &mut Person, other: &mut Person) -> [FullJid; 2] {
    loop {
        let names = [&*one, &*other].map(|person| {
            let rooms = person.tubes.state().rooms;
            rooms.get(room).and_then(|room| room.own.clone())
        });
        if let [Some(first), Some(second)] = names
            && first != second
        {
            return [first, second];
        }
        tokio::select! {
            () = is_named(one) => {}
            () = is_named(other) => {}
        }
    }
}

async fn is_named(person: &mut Person) {
    let named = |event: &Event| matches!(event, Event::RoomEntered { .. }).then_some(());
    person.event(named).await;
}

/// What the one offers the other one uses.
async fn shares(offerer: &mut Person, own: &FullJid, user: &mut Person) {
    let room: BareJid = own.to_bare();
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let offer = Offer::in_room(room, "x-echo", service.address.clone());
    let offered = offerer.offers(offer).await;
    let tube = user.offered_by(own).await;
    let listen = Family::Tcp.place().address;
    let accepting = user.tubes.accept(tube, listen, Access::Localhost);
    let address = patiently("the tube is accepted", accepting).await.unwrap();
    for _ in 0..TIMES {
        is_served(&address).await;
    }
    offerer.tubes.close(offered).await;
    user.closed(tube).await;
}

/// Where chance decides who is reached, it is asked that often.
const TIMES: usize = 3;
