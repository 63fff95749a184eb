//! Peers that know less.

use std::sync::Arc;

use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_socks5::{NS, Reveal, Socks5};
use tubes_transport::{Kind, OpenError};

use crate::hosts::Refusing;
use crate::peers::{Peers, SOON, at_home, carries, fernand, ladder, opened, without};
use crate::towards_each_kind;

async fn a_peer_that_knows_in_band_alone_is_met_there(kind: Kind) {
    let in_band = || Si::new(vec![Arc::new(Ibb::new())]);
    let both = || ladder(at_home(Socks5::new()));
    for (alices, fernands) in [(in_band(), both()), (both(), in_band())] {
        let mut peers = Peers::of(kind);
        let (outcomes, took) = peers.negotiate_over(alices, fernands).await;
        carries(opened(outcomes, "ibb", [&[], &[]])).await;
        assert!(took < SOON, "{took:?}");
    }
}

async fn a_peer_that_takes_one_method_alone_gets_the_first(kind: Kind) {
    let mut peers = Peers::of(kind);
    let direct = || at_home(Socks5::direct());
    take_one(&peers, kind);
    let (outcomes, took) = peers.negotiate(direct(), direct()).await;
    carries(opened(outcomes, "socks5-direct", [&[], &[]])).await;
    assert!(took < SOON, "{took:?}");
}

async fn without_a_second_method_a_failure_is_final(kind: Kind) {
    let mut peers = Peers::of(kind);
    take_one(&peers, kind);
    // Told by Alice, and not allowed to Fernand.
    let host = Refusing::new();
    let alices = at_home(Socks5::direct()).with_address("127.0.0.1", host.port);
    let fernands = at_home(Socks5::proxied());
    let (outcomes, took) = peers.negotiate(alices, fernands).await;
    for outcome in outcomes {
        let Err(OpenError::Exhausted(tried)) = outcome else {
            panic!("{outcome:?}");
        };
        let labels: Vec<_> = tried.iter().map(|tried| tried.transport).collect();
        assert_eq!(labels, ["socks5-direct"], "{tried:?}");
    }
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_hosts_is_refused_and_in_band_follows() {
    let mut peers = Peers::of(Kind::Other);
    let alices = at_home(Socks5::new()).with_reveal(Reveal::ToNobody);
    let (outcomes, took) = peers.negotiate(alices, at_home(Socks5::new())).await;
    assert_eq!(peers.told(), Some(Vec::new()));
    let said = peers.hub.transcript();
    let mut refusals = said
        .iter()
        .filter(|(from, stanza)| *from == fernand() && stanza.attr("type") == Some("error"));
    let (_, refusal) = refusals.next().expect("a refusal");
    let refusal: String = refusal.into();
    assert!(refusal.contains("<item-not-found"), "{refusal}");
    let before: [&[&str]; 2] = [&["socks5-direct", "socks5-proxy"], &[NS]];
    carries(opened(outcomes, "ibb", before)).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_kind_is_not_asked_to_dial_nobody() {
    let mut peers = Peers::of(Kind::Ours);
    let alices = at_home(Socks5::new()).with_reveal(Reveal::ToNobody);
    let (outcomes, took) = peers.negotiate(alices, at_home(Socks5::new())).await;
    assert_eq!(peers.told(), None);
    let before: [&[&str]; 2] = [&["socks5-direct", "socks5-proxy"], &[]];
    carries(opened(outcomes, "ibb", before)).await;
    assert!(took < SOON, "{took:?}");
}

/// Nobody says that there may be several methods.
fn take_one(peers: &Peers, kind: Kind) {
    peers.let_befall(move |stanza| {
        use tubes_testkit::Fate::{Pass, Replace};
        match without(stanza, "si-multiple") {
            Replace(mut payload) if payload.attr("profile").is_some() => {
                if kind == Kind::Other {
                    let ours = payload.children().find(|child| child.name() == "kind");
                    let ns = ours.map(|ours| ours.ns()).unwrap_or_default();
                    payload.remove_child("kind", ns.as_str());
                }
                Replace(payload)
            }
            _ => Pass,
        }
    });
}

towards_each_kind!(
    a_peer_that_knows_in_band_alone_is_met_there,
    a_peer_that_takes_one_method_alone_gets_the_first,
    without_a_second_method_a_failure_is_final,
);
