//! The responder dials the requester's own addresses.

use tubes_socks5::Socks5;
use tubes_testkit::Fate;
use tubes_transport::Kind;
use xmpp_parsers::minidom::Element;

use crate::hosts::{Blackhole, Host, Manner, Refusing};
use crate::peers::{Peers, SOON, WAITED_OUT, at_home, carries, fernand, in_a_hurry, is_to, opened};
use crate::towards_each_kind;

const DIRECT: &[&str] = &["socks5-direct"];

/// Direct connections, with one more address.
fn with(port: u16) -> Socks5 {
    at_home(Socks5::direct()).with_address("127.0.0.1", port)
}

async fn opens_directly(kind: Kind) {
    let mut peers = Peers::of(kind);
    let direct = || at_home(Socks5::direct());
    let (outcomes, took) = peers.negotiate(direct(), direct()).await;
    carries(opened(outcomes, "socks5-direct", [&[], &[]])).await;
    assert!(took < SOON, "{took:?}");
}

async fn a_host_that_refuses_is_passed_over(kind: Kind) {
    let mut peers = Peers::of(kind);
    let host = Refusing::new();
    let (outcomes, took) = peers
        .negotiate(with(host.port), at_home(Socks5::direct()))
        .await;
    carries(opened(outcomes, "socks5-direct", [&[], &[]])).await;
    assert!(took < SOON, "{took:?}");
}

async fn a_host_that_does_not_answer_costs_a_moment(kind: Kind) {
    let mut peers = Peers::of(kind);
    let host = Blackhole::new();
    let (outcomes, took) = peers
        .negotiate(with(host.port), at_home(Socks5::direct()))
        .await;
    carries(opened(outcomes, "socks5-direct", [&[], &[]])).await;
    assert!(took < SOON, "{took:?}");
}

async fn a_host_with_wrong_answers_does_no_harm(kind: Kind) {
    for manner in [
        Manner::Leaves,
        Manner::Nonsense,
        Manner::Refuses,
        Manner::WantsPassword,
    ] {
        let mut peers = Peers::of(kind);
        let host = Host::with(manner).await;
        let (outcomes, took) = peers
            .negotiate(with(host.port), at_home(Socks5::direct()))
            .await;
        host.visited_once().await;
        // To another program's listener there is only one connection.
        let streams = match kind {
            Kind::Ours => opened(outcomes, "socks5-direct", [&[], &[]]),
            Kind::Other => opened(outcomes, "ibb", [DIRECT, DIRECT]),
        };
        carries(streams).await;
        assert!(took < SOON, "{manner:?}: {took:?}");
    }
}

async fn a_host_that_falls_silent_keeps_to_the_budget(kind: Kind) {
    for manner in [Manner::Silent, Manner::SilentAfterGreeting] {
        let mut peers = Peers::of(kind);
        let host = Host::with(manner).await;
        // Others dial the hosts in turn.
        let (fernands, limit) = match kind {
            Kind::Ours => (at_home(Socks5::direct()), SOON),
            Kind::Other => (in_a_hurry(Socks5::direct()), WAITED_OUT),
        };
        let (outcomes, took) = peers.negotiate(with(host.port), fernands).await;
        let streams = match kind {
            Kind::Ours => opened(outcomes, "socks5-direct", [&[], &[]]),
            Kind::Other => opened(outcomes, "ibb", [DIRECT, DIRECT]),
        };
        carries(streams).await;
        assert!(took < limit, "{manner:?}: {took:?}");
    }
}

async fn hosts_that_are_all_of_no_use_are_followed_by_in_band(kind: Kind) {
    let refusing = Refusing::new();
    let blackhole = Blackhole::new();
    let silent = Host::with(Manner::Silent).await;
    let direct = Socks5::direct;
    for (port, fernands, limit) in [
        (refusing.port, at_home(direct()), SOON),
        (blackhole.port, in_a_hurry(direct()), WAITED_OUT),
        (silent.port, in_a_hurry(direct()), WAITED_OUT),
    ] {
        let mut peers = Peers::of(kind);
        peers.let_befall(move |stanza| told_alone(stanza, port));
        let (outcomes, took) = peers.negotiate(with(port), fernands).await;
        let [alice, fernand] = outcomes.each_ref().map(|outcome| {
            let attempts = &outcome.as_ref().unwrap().attempts;
            attempts.first().unwrap().reason.to_string()
        });
        assert!(
            fernand.contains(&format!("127.0.0.1:{port}: ")),
            "{fernand}"
        );
        let why = match kind {
            // It is told why.
            Kind::Ours => format!("127.0.0.1:{port}: "),
            Kind::Other => "item-not-found".to_owned(),
        };
        assert!(alice.contains(&why), "{alice}");
        carries(opened(outcomes, "ibb", [DIRECT, DIRECT])).await;
        assert!(took < limit, "{took:?}");
    }
}

/// Of the hosts only that at the port arrives.
fn told_alone(stanza: &Element, port: u16) -> Fate {
    let query = stanza.children().next();
    let Some(query) = query.filter(|query| query.is("query", tubes_socks5::NS)) else {
        return Fate::Pass;
    };
    if !is_to(stanza, &fernand()) {
        return Fate::Pass;
    }
    let mut query = query.clone();
    let nodes = query.take_nodes().into_iter();
    let hosts = nodes.filter_map(xmpp_parsers::minidom::Node::into_element);
    let port = port.to_string();
    for host in hosts.filter(|host| host.attr("port") == Some(&port)) {
        query.append_child(host);
    }
    Fate::Replace(query)
}

towards_each_kind!(
    opens_directly,
    a_host_that_refuses_is_passed_over,
    a_host_that_does_not_answer_costs_a_moment,
    a_host_with_wrong_answers_does_no_harm,
    a_host_that_falls_silent_keeps_to_the_budget,
    hosts_that_are_all_of_no_use_are_followed_by_in_band,
);
