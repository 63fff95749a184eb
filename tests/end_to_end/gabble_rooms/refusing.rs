//! A Gabble asks for what it may not have, or in a way that we do not allow.

use tubes::{Event, FailureKind, Offer, Protection};
use tubes_protocol::ns;
use tubes_server::Server;
use xmpp_parsers::stanza_error::DefinedCondition;

use super::{Room, another, breaks};
use crate::stage::{
    BOTH, Family, Gabble, Multiple, Person, Service, TUBE, connect, echo, purpose, stream_tube,
};

crate::on_each_server!(
    a_number_opens_nothing_but_what_was_offered_where_it_is_asked_for,
    who_wants_encryption_does_not_join_a_gabbles_tube,
    who_wants_encryption_is_not_joined_by_a_gabble,
    it_is_served_in_clear_by_who_does_not_insist,
);

async fn a_number_opens_nothing_but_what_was_offered_where_it_is_asked_for(server: &Server) {
    let mut room = Room::on(server).await;
    let service = Service::listen(Family::Tcp).await.unwrap();
    let of_room = Offer::in_room(room.jid.clone(), "x-echo", service.address());
    room.alice.offers(of_room).await;
    let listed = room.gabble.sees_tubes_of(&room.at_alice).await.remove(0);
    let listed: u32 = listed.attr("id").unwrap().parse().unwrap();
    // Carol is a contact of Alice's, and nobody in the room.
    let mut carol = Gabble::on(server, "carol").await;
    room.alice.tubes.befriend(&carol.jid).await;
    carol.befriend(&room.alice.jid).await;
    let of_carol = Offer::new(carol.jid.clone(), "x-echo", service.address());
    room.alice.offers(of_carol).await;
    let private: u32 = carol
        .told("tube")
        .await
        .attr("id")
        .unwrap()
        .parse()
        .unwrap();
    // Somebody else's tube in the room, that Alice does not even use.
    let other = another(server, &room.jid, "other").await;
    other.lists([stream_tube(TUBE, "x-echo")]).await;
    room.alice.offered_by(&other.full).await;

    let tubes = ns::TUBES;
    for wrong in [
        purpose("stream", listed),
        purpose("stream", private),
        purpose("muc-stream", private),
        purpose("muc-stream", TUBE),
        purpose("muc-stream", 3),
        purpose("muc-stream", 0),
        format!("<muc-stream xmlns='{tubes}'/>"),
        format!("<muc-stream xmlns='{tubes}' tube='x'/>"),
        format!("<muc-stream xmlns='urn:example:other' tube='{listed}'/>"),
    ] {
        let why = room.gabble.initiates_in_vain(&room.at_alice, &wrong).await;
        assert_eq!(why, DefinedCondition::BadRequest, "{wrong}");
    }
    let alice = room.alice.online().await;
    for wrong in [
        purpose("muc-stream", listed),
        purpose("muc-stream", private),
        purpose("stream", listed),
    ] {
        let why = carol.initiates_in_vain(&alice, &wrong).await;
        assert_eq!(why, DefinedCondition::BadRequest, "{wrong}");
    }
    // What was offered is served.
    let _serving = service.serve(echo);
    room.gabble
        .initiates(&room.at_alice, listed, Multiple::Yes, &BOTH)
        .await;
    carol.initiates(&alice, private, Multiple::Yes, &BOTH).await;
    let events = room.alice.leave().await;
    let is_one = |event: &&Event| matches!(event, Event::ConnectionOpening { .. });
    assert_eq!(events.iter().filter(is_one).count(), 2, "{events:#?}");
}

async fn who_wants_encryption_does_not_join_a_gabbles_tube(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let mut room = Room::of(server, alice).await;
    let (_, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    let mut program = connect(&address).await.unwrap();
    let ask = room.gabble.asked("si").await;
    ask.grant(Some(format!(
        "<si xmlns='{}'><si-multiple xmlns='{}'><value>{}</value></si-multiple><tube xmlns='{}'/></si>",
        ns::SI, ns::SI_MULTIPLE, ns::IBB, ns::TUBES
    ).parse().unwrap()));
    // Nothing of what the program says.
    room.gabble.asked("open").await.grant(None);
    room.gabble.asked("close").await.grant(None);
    breaks(&mut program).await;
    assert_untrusted(&mut room).await;
}

async fn who_wants_encryption_is_not_joined_by_a_gabble(server: &Server) {
    let alice = Person::on(server, "alice").await;
    let mut room = Room::of(server, alice).await;
    let service = Service::listen(Family::Tcp).await.unwrap();
    let offer = Offer::in_room(room.jid.clone(), "x-echo", service.address());
    room.alice.offers(offer).await;
    let listed = room.gabble.sees_tubes_of(&room.at_alice).await.remove(0);
    let wanted = purpose("muc-stream", listed.attr("id").unwrap().parse().unwrap());
    let why = room.gabble.initiates_in_vain(&room.at_alice, &wanted).await;
    assert_eq!(why, DefinedCondition::PolicyViolation);
    assert_untrusted(&mut room).await;
}

async fn it_is_served_in_clear_by_who_does_not_insist(server: &Server) {
    let mut room = Room::on(server).await;
    let (_, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    room.is_served(TUBE, &address).await;
    let protection = room.alice.event(|event| match event {
        Event::ConnectionOpened { protection, .. } => Some(protection.clone()),
        _ => None,
    });
    assert_eq!(protection.await, Protection::Plain);
}

/// No bytes got through, and Alice hears why.
async fn assert_untrusted(room: &mut Room) {
    let (sent, received, why) = room.alice.connection_closed().await;
    let why = why.unwrap();
    assert_eq!((sent, received, why.kind), (0, 0, FailureKind::Untrusted));
    assert!(why.message.contains("encrypt"), "{why}");
    assert!(why.message.contains(room.gabble.full.as_str()), "{why}");
}
