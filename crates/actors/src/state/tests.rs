//! Whether a state and the events after it agree, at any point.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use tubes_local::{Address, Totals};
use tubes_protocol::tube::Parameters;
use tubes_secure::Protection;
use xmpp_parsers::jid::FullJid;

use super::{Link, Phase, Stage, State};
use crate::event::{Audience, Direction, Event, TubeId};
use crate::failure;
use crate::traffic::Traffic;

proptest! {
    #[test]
    fn what_happened_between_two_states_leads_from_one_to_the_other(
        happenings in vec(happening(), 0..120),
        split in proptest::arbitrary::any::<Index>(),
    ) {
        let events = events(happenings);
        let earlier = after(&events[..split.index(events.len() + 1)]);
        let later = after(&events);
        let mut caught_up = earlier.clone();
        for event in later.since(&earlier) {
            caught_up.handle(&event);
        }
        prop_assert_eq!(caught_up, later);
    }
}

proptest! {
    #[test]
    fn nothing_is_left_when_everything_has_ended(happenings in vec(happening(), 0..120)) {
        let mut state = after(&events(happenings));
        for tube in state.tubes.keys().copied().collect::<Vec<_>>() {
            state.handle(&closed(tube));
        }
        state.handle(&Event::Offline { reason: String::new(), retry_in: None });
        prop_assert_eq!(&state.peers, &Default::default());
        prop_assert_eq!(state.tubes, Default::default());
    }
}

#[test]
fn a_state_that_did_not_change_needs_no_events() {
    let state = after(&life_of_a_connection());
    assert!(state.since(&state).is_empty());
}

#[test]
fn a_connection_is_negotiated_and_then_flows() {
    let [exported, opening, opened, closed] = life_of_a_connection();
    let mut state = after(&[exported, opening]);
    let connection = state.tubes[&TubeId(1)].connections[&1].clone();
    assert_eq!(connection.stage, Stage::Negotiating);
    state.handle(&opened);
    let connection = state.tubes[&TubeId(1)].connections[&1].clone();
    assert!(matches!(
        connection.stage,
        Stage::Flowing {
            transport: "ibb",
            ..
        }
    ));
    state.handle(&closed);
    assert!(state.tubes[&TubeId(1)].connections.is_empty());
}

#[test]
fn what_was_missed_of_an_end_is_its_reason() {
    let [exported, opening, ..] = life_of_a_connection();
    let earlier = after(&[exported, opening]);
    let [connection, tube]: [Event; 2] = State::default().since(&earlier).try_into().unwrap();
    assert!(matches!(
        connection,
        Event::ConnectionClosed { error: Some(_), .. }
    ));
    assert!(matches!(tube, Event::TubeClosed { error: Some(_), .. }));
}

#[test]
fn a_resource_that_left_and_returned_was_not_offered_anything() {
    let peer = somebody(0);
    let [exported, ..] = life_of_a_connection();
    let before = [
        Event::PeerOnline { peer: peer.clone() },
        exported,
        offered(TubeId(1), 0, Direction::Out),
    ];
    let earlier = after(&before);
    let mut later = earlier.clone();
    later.handle(&Event::PeerOffline { peer: peer.clone() });
    later.handle(&Event::PeerOnline { peer });
    assert_eq!(later.since(&earlier).len(), 2);
}

#[test]
fn a_tube_is_open_once_it_was_used() {
    let mut state = after(&[offered(TubeId(1), 0, Direction::In)]);
    assert_eq!(state.tubes[&TubeId(1)].phase, Phase::Offered);
    state.handle(&Event::TubeOpened { tube: TubeId(1) });
    assert_eq!(state.tubes[&TubeId(1)].phase, Phase::Open);
}

#[test]
fn the_state_of_a_closed_account_is_empty() {
    let closed = State::closed();
    assert_eq!(closed.link, Link::Closed);
    assert!(closed.tubes.is_empty() && closed.peers.is_empty());
}

/// Something that may happen; which tube and connection it is about is drawn, too.
#[derive(Clone, Debug)]
enum Happening {
    Begin(Direction, u8),
    Connect(Index, u8),
    Connection(Index, Index, End),
    Link(bool),
    Peer(u8, End),
    Room(u8, u8, u8),
    Tube(Index, u8, Change),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Comes,
    Goes,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Close,
    Listen,
    Offer,
    Open,
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = proptest::arbitrary::any::<Index>;
    let end = || prop_oneof![Just(End::Comes), Just(End::Goes)];
    let direction = prop_oneof![Just(Direction::In), Just(Direction::Out)];
    let change = prop_oneof![
        1 => Just(Change::Close),
        1 => Just(Change::Listen),
        3 => Just(Change::Offer),
        1 => Just(Change::Open),
    ];
    prop_oneof![
        1 => proptest::bool::ANY.prop_map(Happening::Link),
        2 => (direction, 0..4_u8).prop_map(|(direction, who)| Happening::Begin(direction, who)),
        4 => (index(), 0..4_u8).prop_map(|(tube, who)| Happening::Connect(tube, who)),
        4 => (index(), index(), end())
            .prop_map(|(tube, which, end)| Happening::Connection(tube, which, end)),
        3 => (0..4_u8, end()).prop_map(|(who, end)| Happening::Peer(who, end)),
        3 => (0..2_u8, 0..3_u8, 0..5_u8).prop_map(|(room, who, what)| Happening::Room(room, who, what)),
        5 => (index(), 0..4_u8, change)
            .prop_map(|(tube, who, change)| Happening::Tube(tube, who, change)),
    ]
}

/// The events of a course of things. Numbers are given as the actors do: each once.
fn events(happenings: Vec<Happening>) -> Vec<Event> {
    let (mut tubes, mut connections) = (0, 0);
    let mut events = Vec::new();
    for happening in happenings {
        // One that is not there yet, or not any more, may be meant.
        let tube = |index: Index| TubeId(index.index(tubes + 2) as u64);
        events.push(match happening {
            Happening::Begin(direction, who) => {
                tubes += 1;
                let tube = TubeId(tubes as u64);
                match direction {
                    Direction::In => offered(tube, who, direction),
                    Direction::Out => exported(tube, who),
                }
            }
            Happening::Connect(index, who) => {
                connections += 1;
                opening(tube(index), connections as u64, who)
            }
            Happening::Connection(index, which, end) => {
                let which = which.index(connections + 1) as u64;
                match end {
                    End::Comes => opened(tube(index), which),
                    End::Goes => disconnected(tube(index), which),
                }
            }
            Happening::Link(up) => link(up),
            Happening::Peer(who, End::Comes) => Event::PeerOnline {
                peer: somebody(who),
            },
            Happening::Peer(who, End::Goes) => Event::PeerOffline {
                peer: somebody(who),
            },
            Happening::Room(room, who, what) => in_room(room, who, what),
            Happening::Tube(index, who, change) => match change {
                Change::Close => closed(tube(index)),
                Change::Listen => Event::Listening {
                    tube: tube(index),
                    address: address(),
                },
                Change::Offer => offered(tube(index), who, Direction::Out),
                Change::Open => Event::TubeOpened { tube: tube(index) },
            },
        });
    }
    events
}

fn in_room(room: u8, who: u8, what: u8) -> Event {
    let occupant: FullJid = format!("room{room}@rooms.example/{who}").parse().unwrap();
    let room = occupant.to_bare();
    let own = occupant.clone();
    match what {
        0 => Event::OccupantCame {
            occupant,
            real: None,
        },
        1 => Event::OccupantLeft { occupant },
        2 => Event::RoomEntered { own },
        3 => Event::RoomLost { room },
        _ => Event::RoomLeft { room, error: None },
    }
}

fn after(events: &[Event]) -> State {
    let mut state = State::default();
    for event in events {
        state.handle(event);
    }
    state
}

fn life_of_a_connection() -> [Event; 4] {
    let tube = TubeId(1);
    [
        exported(tube, 0),
        opening(tube, 1, 0),
        opened(tube, 1),
        disconnected(tube, 1),
    ]
}

fn somebody(who: u8) -> FullJid {
    format!("fernand@example.org/{who}").parse().unwrap()
}

fn address() -> Address {
    "tcp:127.0.0.1:8000".parse().unwrap()
}

fn link(up: bool) -> Event {
    if up {
        let (jid, server) = (somebody(9), "example.org:5222".to_owned());
        return Event::Online {
            jid,
            server,
            tls: None,
            resumed: false,
        };
    }
    let retry_in = Some(Duration::from_secs(1));
    Event::Offline {
        reason: "cut".to_owned(),
        retry_in,
    }
}

fn exported(tube: TubeId, who: u8) -> Event {
    Event::TubeExported {
        tube,
        number: 7,
        audience: Audience::Contact(somebody(who).to_bare()),
        service: "x-test".to_owned(),
        parameters: Parameters::default(),
        address: Some(address()),
    }
}

fn offered(tube: TubeId, who: u8, direction: Direction) -> Event {
    Event::TubeOffered {
        tube,
        number: 7,
        peer: somebody(who),
        audience: Audience::Contact(somebody(who).to_bare()),
        service: "x-test".to_owned(),
        direction,
        parameters: Parameters::default(),
    }
}

fn closed(tube: TubeId) -> Event {
    Event::TubeClosed {
        tube,
        number: 7,
        error: None,
    }
}

fn opening(tube: TubeId, connection: u64, who: u8) -> Event {
    let traffic = Traffic::of(&Arc::new(Totals::default()));
    Event::ConnectionOpening {
        tube,
        connection,
        peer: somebody(who),
        traffic,
    }
}

fn opened(tube: TubeId, connection: u64) -> Event {
    Event::ConnectionOpened {
        tube,
        connection,
        peer: somebody(0),
        transport: "ibb",
        fell_back_from: Vec::new(),
        setup: Duration::from_millis(5),
        source: None,
        protection: Protection::Plain,
    }
}

fn disconnected(tube: TubeId, connection: u64) -> Event {
    let error = Some(failure::abandoned());
    Event::ConnectionClosed {
        tube,
        connection,
        sent: 1,
        received: 2,
        error,
    }
}
