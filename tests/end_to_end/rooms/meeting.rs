//! Who is in a room at the same time.

use tubes_server::Server;

use super::{Occupant, fresh_room, is_served};

crate::on_each_server_and_transport!(
    three_occupants_use_what_each_of_the_others_offers,
    who_comes_later_finds_what_is_offered,
);

async fn three_occupants_use_what_each_of_the_others_offers(server: &Server) {
    let room = fresh_room(server);
    let mut occupants = Vec::new();
    for nick in ["alice", "fernand", "third"] {
        occupants.push(Occupant::in_room(server, &room, nick).await);
    }
    let all: Vec<_> = occupants.iter().map(|other| other.own.clone()).collect();
    for occupant in &mut occupants {
        let own = occupant.own.clone();
        for other in all.iter().filter(|other| **other != own) {
            let (_, address) = occupant.accept_of(other).await;
            is_served(&address).await;
        }
    }
    for occupant in occupants {
        occupant.person.leave().await;
    }
}

async fn who_comes_later_finds_what_is_offered(server: &Server) {
    let room = fresh_room(server);
    let alice = Occupant::in_room(server, &room, "alice").await;
    let mut fernand = Occupant::in_room(server, &room, "fernand").await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
    fernand.person.leave().await;
    alice.person.leave().await;
}
