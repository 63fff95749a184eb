//! How tubes in rooms end.

use tokio::io::AsyncReadExt;
use tubes::FailureKind;
use tubes_server::Server;

use super::{both, is_served, kick, leave, program_at};
use crate::stage::{exchange, patiently};

crate::on_each_server!(
    a_tube_ends_with_its_withdrawal,
    a_tube_ends_when_who_offers_it_leaves,
    a_tube_ends_when_who_offers_it_is_kicked,
    who_is_kicked_loses_its_tubes_and_hears_why,
    who_leaves_a_room_stays_online,
);

mod connections {
    use super::who_is_put_out_has_no_connections_any_more;

    crate::on_each_server_and_transport!(who_is_put_out_has_no_connections_any_more);
}

async fn a_tube_ends_with_its_withdrawal(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (tube, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
    alice.person.tubes.close(alice.offered).await;
    assert_eq!(alice.person.closed(alice.offered).await, None);
    let why = fernand.person.closed(tube).await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
    let refused = patiently("nobody is there", exchange(&address)).await;
    assert!(refused.is_err());
    leave(alice, fernand).await;
}

async fn a_tube_ends_when_who_offers_it_leaves(server: &Server) {
    let (alice, mut fernand) = both(server).await;
    let (tube, address) = fernand.accept_of(&alice.own).await;
    is_served(&address).await;
    alice.person.leave().await;
    // It takes leave of its tubes first.
    let why = fernand.person.closed(tube).await.unwrap();
    assert!(
        matches!(why.kind, FailureKind::Closed | FailureKind::Gone),
        "{why:?}"
    );
    fernand.person.leave().await;
}

async fn a_tube_ends_when_who_offers_it_is_kicked(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (tube, address) = alice.accept_of(&fernand.own).await;
    let mut program = program_at(&address).await;
    let room = alice.own.to_bare();
    // Who has made the room may put others out.
    alice.person.command(&room, &kick("fernand")).await;
    let why = alice.person.closed(tube).await.unwrap();
    assert_eq!(why.kind, FailureKind::Gone);
    let rest = patiently("the connection ends", program.read(&mut [0; 5])).await;
    assert!(rest.is_err(), "{rest:?}");
    fernand.person.out_of(&room).await.unwrap();
    leave(alice, fernand).await;
}

/// Also those that need no room to go on, and before somebody else has the name.
async fn who_is_put_out_has_no_connections_any_more(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let (_, address) = fernand.accept_of(&alice.own).await;
    let _program = program_at(&address).await;
    let room = alice.own.to_bare();
    alice.person.command(&room, &kick("fernand")).await;
    let (.., why) = alice.person.connection_closed().await;
    assert!(why.is_some());
    let state = alice.person.tubes.state();
    assert!(state.tubes[&alice.offered].connections.is_empty());
    leave(alice, fernand).await;
}

async fn who_is_kicked_loses_its_tubes_and_hears_why(server: &Server) {
    let (alice, mut fernand) = both(server).await;
    let room = alice.own.to_bare();
    let (joined, _) = fernand.accept_of(&alice.own).await;
    alice.person.command(&room, &kick("fernand")).await;
    let why = fernand.person.out_of(&room).await.unwrap();
    assert_eq!(why.kind, FailureKind::Refused);
    assert!(
        why.message.contains("kicked") && why.message.contains("enough"),
        "{why}"
    );
    let offered = fernand.offered;
    assert_eq!(
        fernand.person.closed(offered).await.unwrap().kind,
        FailureKind::Refused
    );
    // It was not Alice who ended this one.
    assert_eq!(
        fernand.person.closed(joined).await.unwrap().kind,
        FailureKind::Refused
    );
    leave(alice, fernand).await;
}

async fn who_leaves_a_room_stays_online(server: &Server) {
    let (alice, mut fernand) = both(server).await;
    let room = alice.own.to_bare();
    let (joined, _) = fernand.accept_of(&alice.own).await;
    let leaving = fernand.person.tubes.leave_room(&room);
    patiently("the room is left", leaving).await;
    assert_eq!(fernand.person.out_of(&room).await, None);
    assert_eq!(fernand.person.closed(joined).await, None);
    assert!(fernand.person.tubes.state().rooms.is_empty());
    // And may come again.
    let wanted = fernand.own.clone();
    let again = patiently("it is entered", fernand.person.tubes.enter(wanted)).await;
    assert_eq!(again.unwrap(), fernand.own);
    fernand.person.offered_by(&alice.own).await;
    leave(alice, fernand).await;
}
