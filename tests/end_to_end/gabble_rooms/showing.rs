//! What a Gabble sees of our tubes: they stand in our presence.

use std::slice;
use std::sync::{Arc, Mutex};

use tubes::{Account, Address, Offer, Parameters, Tls, TubeId, Value};
use tubes_protocol::ns;
use tubes_server::{Server, Setup};
use tubes_testkit::{Fate, Heading};
use xmpp_parsers::minidom::Element;

use super::{Room, another};
use crate::stage::{Person, enter, fresh_room, stream_tube_with};

crate::on_each_server!(
    our_tubes_are_listed_in_its_own_words,
    our_presences_say_what_its_own_would,
);

async fn our_tubes_are_listed_in_its_own_words(server: &Server) {
    let mut room = Room::on(server).await;
    assert_eq!(sees(&mut room).await, []);
    let (first, one) = offers(&mut room, "x-echo", every_parameter(), PARAMETERS).await;
    assert_eq!(sees(&mut room).await, slice::from_ref(&one));
    let (second, other) = offers(&mut room, "rfb", Parameters::default(), "").await;
    let both = in_order([one, other.clone()]);
    assert_eq!(sees(&mut room).await, both);
    // Who comes later sees the same.
    let mut later = another(server, &room.jid, "carol").await;
    let shown = later.sees_of(&room.at_alice).await.unwrap();
    assert_eq!(listed(&shown), both);
    room.alice.tubes.close(first).await;
    assert_eq!(sees(&mut room).await, [other]);
    room.alice.tubes.close(second).await;
    assert_eq!(sees(&mut room).await, []);
}

/// Servers leave out of presences what only they are meant to read; so this looks at what is sent.
async fn our_presences_say_what_its_own_would(shared: &Server) {
    let setup = Setup::new().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = starting.await.unwrap();
    let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
    let (mut alice, link) = Person::linked(&server, "alice", in_clear).await;
    let room = fresh_room(&server);
    let at_alice = room.with_resource_str("alice").unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let (saying, to) = (Arc::clone(&said), at_alice.to_string());
    link.set_filter(move |heading, stanza| {
        let is_it = heading == Heading::ToServer && stanza.name() == "presence";
        if is_it && stanza.attr("to") == Some(&*to) {
            saying.lock().unwrap().push(stanza.clone());
        }
        Fate::Pass
    });
    assert_eq!(enter(&alice, &room, "alice").await, at_alice);
    let offer = Offer::in_room(room.clone(), "x-echo", nowhere());
    let tube = alice.offers(offer).await;
    alice.tubes.close(tube).await;
    alice.closed(tube).await;
    alice.tubes.leave_room(&room).await;
    alice.out_of(&room).await;
    let said = said.lock().unwrap().clone();
    assert_said(&said);
    alice.leave().await;
    server.stop().await;
}

/// It comes in, offers, offers no more, and leaves.
fn assert_said(said: &[Element]) {
    let names = |presence: &Element| -> Vec<String> {
        // A Gabble passes over what only our own kind knows.
        let extensions = presence
            .children()
            .filter(|child| !child.has_ns(JABBER_CLIENT) && !child.has_ns(ns::KIND));
        extensions.map(|child| child.name().to_owned()).collect()
    };
    let expected = [
        vec!["x", "tubes"],
        vec!["tubes"],
        vec!["tubes"],
        vec!["tubes"],
    ];
    assert_eq!(
        said.iter().map(names).collect::<Vec<_>>(),
        expected,
        "{said:#?}"
    );
    let tubes = |presence: &Element| presence.get_child("tubes", ns::TUBES).unwrap().clone();
    let counts = said
        .iter()
        .map(|presence| tubes(presence).children().count());
    assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 0, 0]);
    let types: Vec<_> = said.iter().map(|presence| presence.attr("type")).collect();
    assert_eq!(types, [None, None, None, Some("unavailable")]);
    assert!(said[0].has_child("x", ns::MUC));
}

/// Alice offers a service in the room, and how the Gabble would say that.
async fn offers(
    room: &mut Room,
    service: &str,
    parameters: Parameters,
    words: &str,
) -> (TubeId, Element) {
    let offer = Offer::in_room(room.jid.clone(), service, nowhere()).with_parameters(parameters);
    let tube = room.alice.offers(offer).await;
    let state = room.alice.tubes.state();
    let number = state.tubes.get(&tube).unwrap().number;
    (
        tube,
        stream_tube_with(number, service, words).parse().unwrap(),
    )
}

/// The tubes that the next presence of Alice's has.
async fn sees(room: &mut Room) -> Vec<Element> {
    let shown = room.gabble.sees_of(&room.at_alice).await.unwrap();
    listed(&shown)
}

/// What a Gabble looks for, and that there is nothing else of the kind.
fn listed(shown: &[Element]) -> Vec<Element> {
    assert!(
        shown.iter().all(|payload| payload.name() != "c"),
        "{shown:?}"
    );
    let listings: Vec<_> = shown
        .iter()
        .filter(|payload| payload.has_ns(ns::TUBES))
        .collect();
    let [listing] = &listings[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(
        (listing.name(), listing.attrs().into_iter().count()),
        ("tubes", 0)
    );
    listing.children().cloned().collect()
}

/// By number.
fn in_order(mut tubes: [Element; 2]) -> [Element; 2] {
    tubes.sort_by_key(|tube| tube.attr("id").unwrap().parse::<u32>().unwrap());
    tubes
}

fn every_parameter() -> Parameters {
    let mut parameters = Parameters::default();
    for (name, value) in [
        ("greeting", Value::Str("hello".to_owned())),
        ("secret", Value::Bytes(b"hello".to_vec())),
        ("depth", Value::Int(-4)),
        ("width", Value::Uint(4_000_000_000)),
        ("shared", Value::Bool(true)),
    ] {
        parameters.insert(name, value).unwrap();
    }
    parameters
}

/// What stands in presences anyway, such as a priority.
const JABBER_CLIENT: &str = "jabber:client";

/// The same, as a Gabble writes them.
const PARAMETERS: &str = "<parameter name='greeting' type='str'>hello</parameter>\
    <parameter name='secret' type='bytes'>aGVsbG8=</parameter>\
    <parameter name='depth' type='int'>-4</parameter>\
    <parameter name='width' type='uint'>4000000000</parameter>\
    <parameter name='shared' type='bool'>1</parameter>";

/// Nobody connects.
fn nowhere() -> Address {
    "127.0.0.1:9".parse().unwrap()
}
