//! Who is let into a room, and who is put out for good.

use tubes::{EnterError, FailureKind};
use tubes_server::Server;

use super::{both, enter, fresh_room, leave};
use crate::stage::{Person, patiently};

crate::on_each_server!(
    a_room_with_a_password_lets_in_who_knows_it,
    who_is_banned_loses_its_tubes_and_is_not_let_in_again,
    a_room_that_is_destroyed_ends_the_tubes_in_it,
    a_room_is_entered_once,
);

/// The embedded server says nothing to presences that it cannot deliver.
mod unreachable {
    use super::a_service_that_does_not_exist_is_told_from_a_room_that_says_no;

    crate::on_server!(prosody, Prosody: a_service_that_does_not_exist_is_told_from_a_room_that_says_no);
    crate::on_server!(ejabberd, Ejabberd: a_service_that_does_not_exist_is_told_from_a_room_that_says_no);
}

async fn a_room_with_a_password_lets_in_who_knows_it(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    enter(&alice, &room, "alice").await;
    let protected = form(&[
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "sesame"),
    ]);
    alice.command(&room, &protected).await;
    let fernand = Person::on(server, "fernand").await;
    let wanted = room.with_resource_str("fernand").unwrap();
    for password in [None, Some("open")] {
        let entering = async {
            match password {
                None => fernand.tubes.enter(wanted.clone()).await,
                Some(password) => {
                    fernand
                        .tubes
                        .enter_with_password(wanted.clone(), password)
                        .await
                }
            }
        };
        let refused = patiently("it answers", entering).await;
        let Err(EnterError::Refused(why)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(why.kind, FailureKind::Declined);
        assert!(why.message.contains("password"), "{why}");
    }
    let entering = fernand.tubes.enter_with_password(wanted.clone(), "sesame");
    assert_eq!(patiently("it answers", entering).await.unwrap(), wanted);
    fernand.leave().await;
    alice.leave().await;
}

async fn who_is_banned_loses_its_tubes_and_is_not_let_in_again(server: &Server) {
    let (alice, mut fernand) = both(server).await;
    let room = alice.own.to_bare();
    let (joined, _) = fernand.accept_of(&alice.own).await;
    let ban = format!(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item jid='{}' affiliation='outcast'/></query>",
        fernand.person.jid
    );
    alice.person.command(&room, &ban).await;
    let why = fernand.person.out_of(&room).await.unwrap();
    assert!(why.message.contains("banned"), "{why}");
    fernand.person.closed(joined).await.unwrap();
    let again = fernand.person.tubes.enter(fernand.own.clone());
    let refused = patiently("it answers", again).await;
    let Err(EnterError::Refused(why)) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.message.contains("banned"), "{why}");
    leave(alice, fernand).await;
}

async fn a_room_that_is_destroyed_ends_the_tubes_in_it(server: &Server) {
    let (mut alice, mut fernand) = both(server).await;
    let room = alice.own.to_bare();
    let (joined, _) = fernand.accept_of(&alice.own).await;
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
                   <destroy><reason>enough</reason></destroy></query>";
    alice.person.command(&room, destroy).await;
    for person in [&mut alice.person, &mut fernand.person] {
        let why = person.out_of(&room).await.unwrap();
        assert!(
            why.message.contains("destroyed") && why.message.contains("enough"),
            "{why}"
        );
    }
    fernand.person.closed(joined).await.unwrap();
    let offered = alice.offered;
    alice.person.closed(offered).await.unwrap();
    leave(alice, fernand).await;
}

async fn a_room_is_entered_once(server: &Server) {
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    let own = enter(&alice, &room, "alice").await;
    let again = alice.tubes.enter(own).await;
    assert!(matches!(again, Err(EnterError::Already(_))), "{again:?}");
    alice.leave().await;
}

async fn a_service_that_does_not_exist_is_told_from_a_room_that_says_no(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let room = format!("room@nowhere.{}/alice", alice.jid.domain());
    let entering = alice.tubes.enter(room.parse().unwrap());
    let refused = patiently("it is refused", entering).await;
    let Err(EnterError::Refused(why)) = refused else {
        panic!("{refused:?}");
    };
    // These servers reach no other: the real ones say that it is not allowed.
    assert!(why.message.contains("reach"), "{why:?}");
    alice.leave().await;
}

/// How the room is to be from now on.
fn form(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>"
    )
}
