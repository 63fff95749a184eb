//! What a Gabble lists in its presences, and how that changes.

use tokio::io::AsyncWriteExt;
use tubes::{Direction, Event, FailureKind, Limit, Value};
use tubes_protocol::ns;
use tubes_server::Server;
use tubes_session::Showing;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use super::{Room, breaks, closings, is_refused};
use crate::stage::{
    BOTH, BURST, Multiple, TUBE, at_end, connect, dbus_tube, opened, stream_tube, stream_tube_with,
};

crate::on_each_server!(
    a_tube_is_open_as_soon_as_it_is_listed,
    a_tube_that_it_has_closed_is_closed_by_the_presence_after_the_next,
    a_tube_that_it_has_closed_is_closed_by_its_refusal,
    a_presence_without_a_listing_changes_nothing,
    what_makes_no_sense_harms_nobody,
    whoever_offers_more_than_is_heard_is_named,
    a_number_that_it_uses_again_is_another_tube,
    a_tube_that_came_back_is_closed_although_the_former_one_winds_down,
    what_winds_down_is_not_offered_again_under_another_name,
);

async fn a_tube_is_open_as_soon_as_it_is_listed(server: &Server) {
    let mut room = Room::on(server).await;
    let parameters = "<parameter name='k' type='str'>v</parameter>\
                      <parameter name='n' type='uint'>7</parameter>";
    let tube = stream_tube_with(TUBE, "x-echo", parameters);
    room.gabble.lists([tube]).await;
    let occupant = room.gabble.full.clone();
    let (tube, parameters) = room
        .alice
        .event(|event| match event {
            Event::TubeOffered {
                tube,
                number: TUBE,
                peer,
                service,
                direction: Direction::In,
                parameters,
                ..
            } if *peer == occupant && service == "x-echo" => Some((*tube, parameters.clone())),
            _ => None,
        })
        .await;
    assert_eq!(parameters.get("k"), Some(&Value::Str("v".to_owned())));
    assert_eq!(parameters.get("n"), Some(&Value::Uint(7)));
    let address = room.alice.accepts(tube).await;
    let (mut program, stream) = room.is_served(TUBE, &address).await;
    program.shutdown().await.unwrap();
    room.gabble.is_closed_in_band(stream).await;
    assert_eq!(at_end(&mut program).await, 0);
    assert_eq!(room.alice.connection_closed().await, (BURST, BURST, None));
}

async fn a_tube_that_it_has_closed_is_closed_by_the_presence_after_the_next(server: &Server) {
    let mut room = Room::on(server).await;
    let tube = stream_tube(TUBE, "x-echo");
    let (joined, address) = room.lists(tube.clone()).await;
    // Right after a close it still stands there, and may as well be open.
    room.gabble.lists([tube]).await;
    knows(&mut room, &[stream_tube(TUBE, "x-echo")]).await;
    let (mut program, stream) = room.is_served(TUBE, &address).await;
    program.shutdown().await.unwrap();
    room.gabble.is_closed_in_band(stream).await;
    for _ in 0..2 {
        room.gabble.lists([]).await;
    }
    let why = room.alice.closed(joined).await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
    is_refused(&address).await;
    knows(&mut room, &[]).await;
    assert_eq!(closings(&room.alice.leave().await, joined), []);
}

async fn a_tube_that_it_has_closed_is_closed_by_its_refusal(server: &Server) {
    let mut room = Room::on(server).await;
    let tube = stream_tube(TUBE, "x-echo");
    let (joined, address) = room.lists(tube.clone()).await;
    let mut program = connect(&address).await.unwrap();
    let asked = room.gabble.is_asked_for(TUBE).await;
    asked.refuse_with(ErrorType::Modify, DefinedCondition::BadRequest);
    breaks(&mut program).await;
    let why = room.alice.closed(joined).await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
    // Its presences tell of that later.
    room.gabble.lists([tube]).await;
    room.gabble.lists([]).await;
    knows(&mut room, &[]).await;
    let events = room.alice.leave().await;
    assert_eq!(closings(&events, joined), []);
    let is_offer = |event: &Event| matches!(event, Event::TubeOffered { .. });
    assert!(!events.iter().any(is_offer), "{events:?}");
}

async fn a_presence_without_a_listing_changes_nothing(server: &Server) {
    let mut room = Room::on(server).await;
    let (joined, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    let away = "<show xmlns='jabber:client'>away</show>".to_owned();
    for payloads in [vec![], vec![away]] {
        room.gabble.shows(Showing::Available, &payloads).await;
    }
    knows(&mut room, &[stream_tube(TUBE, "x-echo")]).await;
    room.is_served(TUBE, &address).await;
    assert_eq!(closings(&room.alice.leave().await, joined), [None]);
}

async fn what_makes_no_sense_harms_nobody(server: &Server) {
    let mut room = Room::on(server).await;
    let (joined, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    let tubes = ns::TUBES;
    let nonsense = [
        format!("<tube xmlns='{tubes}' type='stream' service='x-none'/>"),
        stream_tube_with("-1", "x-none", ""),
        stream_tube_with("4294967296", "x-none", ""),
        stream_tube(0, "x-none"),
        stream_tube(11, ""),
        stream_tube(12, &"z".repeat(257)),
        format!("<tube xmlns='{tubes}' type='stream' id='13'/>"),
        format!("<tube xmlns='{tubes}' type='carrier-pigeon' service='x-none' id='14'/>"),
        format!("<tube xmlns='{tubes}' service='x-none' id='15'/>"),
        "<tube xmlns='urn:example:other' type='stream' service='x-none' id='16'/>".to_owned(),
        stream_tube_with(17, "x-none", &parameters(65, 1)),
        stream_tube_with(18, "x-none", &parameters(1, 65_536)),
        dbus_tube(19, &room.gabble.full),
        stream_tube(TUBE, "x-echo"),
        stream_tube(21, "x-before"),
        stream_tube(21, "x-good"),
    ];
    room.gabble.lists(nonsense).await;
    let occupant = room.gabble.full.clone();
    let (good, number) = room.alice.offered_service(&occupant, "x-good").await;
    assert_eq!(number, 21);
    room.is_served(TUBE, &address).await;
    let address = room.alice.accepts(good).await;
    room.is_served(21, &address).await;
    let events = room.alice.leave().await;
    assert_eq!(closings(&events, joined), [None]);
    let is_offer = |event: &Event| matches!(event, Event::TubeOffered { .. });
    assert!(!events.iter().any(is_offer), "{events:?}");
}

async fn whoever_offers_more_than_is_heard_is_named(server: &Server) {
    let mut room = Room::on(server).await;
    let tubes = |count: u32| (1..=count).map(|number| stream_tube(number, "x-echo"));
    room.gabble.lists(tubes(33)).await;
    let is_reached = |event: &Event| match event {
        Event::LimitReached { limit, peer } => Some((*limit, peer.clone())),
        _ => None,
    };
    let occupant = Some(room.gabble.full.clone().into());
    let reached = room.alice.event(is_reached).await;
    assert_eq!(reached, (Limit::InvitationsPerOccupant, occupant));
    for _ in 0..32 {
        room.alice.offered().await;
    }
    // As many as are heard are not too many.
    room.gabble.lists(tubes(32)).await;
    let events = room.alice.leave().await;
    assert!(events.iter().all(|event| is_reached(event).is_none()));
}

async fn a_number_that_it_uses_again_is_another_tube(server: &Server) {
    let mut room = Room::on(server).await;
    let (former, at_former) = room.lists(stream_tube(TUBE, "x-echo")).await;
    let (mut program, _) = room.is_served(TUBE, &at_former).await;
    room.gabble.lists([stream_tube(TUBE, "x-other")]).await;
    let occupant = room.gabble.full.clone();
    let (other, _) = room.alice.offered_service(&occupant, "x-other").await;
    assert_ne!(other, former);
    // What was under way for the one ends, and nobody gets at the other by it.
    room.gabble.asked("close").await.grant(None);
    is_refused(&at_former).await;
    breaks(&mut program).await;
    room.alice.closed(former).await.unwrap();
    let address = room.alice.accepts(other).await;
    room.is_served(TUBE, &address).await;
}

async fn a_tube_that_came_back_is_closed_although_the_former_one_winds_down(server: &Server) {
    let mut room = Room::on(server).await;
    let tube = stream_tube(TUBE, "x-echo");
    let (former, address) = room.lists(tube.clone()).await;
    let (_program, _stream) = room.is_served(TUBE, &address).await;
    room.gabble.lists([]).await;
    room.gabble.lists([tube]).await;
    let occupant = room.gabble.full.clone();
    let (latter, _) = room.alice.offered_service(&occupant, "x-echo").await;
    let address = room.alice.accepts(latter).await;
    room.gabble.lists([]).await;
    let why = room.alice.closed(latter).await.unwrap();
    assert_eq!(why.kind, FailureKind::Closed);
    is_refused(&address).await;
    room.alice.closed(former).await.unwrap();
}

async fn what_winds_down_is_not_offered_again_under_another_name(server: &Server) {
    let mut room = Room::on(server).await;
    let (former, address) = room.lists(stream_tube(TUBE, "x-echo")).await;
    // It has a socket of its own, which no name concerns.
    let _program = connect(&address).await.unwrap();
    let gabble = &mut room.gabble;
    let initiated = gabble.is_initiated(TUBE, Multiple::Yes, &BOTH[..1]);
    let negotiation = initiated.await;
    let told = gabble.is_told_hosts(&negotiation).await;
    let _stream = gabble.dials(&negotiation, told).await;
    opened(&mut room.alice).await;
    let stays = stream_tube(7, "x-other");
    room.gabble.lists([stays.clone()]).await;
    let occupant = room.gabble.full.clone();
    let (other, _) = room.alice.offered_service(&occupant, "x-other").await;
    room.gabble.renames("fern", [stays]).await;
    let occupant = room.gabble.full.clone();
    let (renamed, _) = room.alice.offered_service(&occupant, "x-other").await;
    assert_eq!(renamed, other);
    room.alice.closed(former).await.unwrap();
    let events = room.alice.leave().await;
    let is_offer = |event: &Event| matches!(event, Event::TubeOffered { .. });
    assert!(!events.iter().any(is_offer), "{events:?}");
}

/// All that the Gabble has shown has arrived: it lists these tubes, and one that tells of that.
async fn knows(room: &mut Room, tubes: &[String]) {
    let mark = stream_tube(MARK, "x-mark");
    let tubes = tubes.iter().cloned().chain([mark]);
    room.gabble.lists(tubes).await;
    let occupant = room.gabble.full.clone();
    room.alice.offered_service(&occupant, "x-mark").await;
}

/// So many parameters, of so many letters each.
fn parameters(count: usize, length: usize) -> String {
    let value = "y".repeat(length);
    let parameter = |number| format!("<parameter name='p{number}' type='str'>{value}</parameter>");
    (0..count).map(parameter).collect()
}

/// A number that no other tube has.
const MARK: u32 = 1_000_000_007;
