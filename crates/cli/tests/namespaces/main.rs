//! Which way the bytes go between two machines: two network namespaces with a cable between them
//! and one to a server each, and firewalls on the way.
//!
//! Namespaces are Linux's, and need root to be made.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod firewall;
mod namespace;
mod network;
#[path = "../program/mod.rs"]
mod program;
mod tube;

use std::time::Duration;

use tubes_server::ServerKind;

use network::{Cable, Network};
use tube::{Tube, Way};

#[tokio::test]
async fn goes_straight_over_ipv4() {
    let Some(network) = Network::with(Cable::V4).await else {
        return;
    };
    network.count_direct();
    let mut tube = Tube::between(&network, &[], &[]).await;
    let way = straight(&mut tube).await;
    assert!(network.counted() > 0, "the counter counts");
    way.print("direct over IPv4");
}

#[tokio::test]
async fn goes_straight_over_ipv6() {
    let Some(network) = Network::with(Cable::V6).await else {
        return;
    };
    let mut tube = Tube::between(&network, &[], &[]).await;
    let way = straight(&mut tube).await;
    way.print("direct over IPv6");
}

/// The first connection that goes straight. A direct one has a head start of 1.2 seconds: a busy machine
/// may be late now and then.
async fn straight(tube: &mut Tube) -> Way {
    for _ in 0..2 {
        let way = tube.use_it().await;
        if way.is_straight() {
            return way;
        }
        way.print("not direct, once more");
    }
    let way = tube.use_it().await;
    way.is("socks5-direct", &[]);
    way
}

#[tokio::test]
async fn goes_through_the_embedded_proxy() {
    goes_through_the_proxy(ServerKind::Embedded).await;
}

#[tokio::test]
async fn goes_through_the_proxy_of_prosody() {
    goes_through_the_proxy(ServerKind::Prosody).await;
}

#[tokio::test]
async fn goes_through_the_proxy_of_ejabberd() {
    goes_through_the_proxy(ServerKind::Ejabberd).await;
}

async fn goes_through_the_proxy(kind: ServerKind) {
    let Some(network) = Network::around(kind, Cable::V4).await else {
        return;
    };
    network.count_direct();
    let only = ["--transports", "socks5-proxy"];
    let mut tube = Tube::between(&network, &only, &only).await;
    let way = tube.use_it().await;
    way.is("socks5-proxy", &[]);
    assert_eq!(network.counted(), 0, "packets between the two");
    way.print(&format!("through the proxy of {kind}"));
}

#[tokio::test]
async fn a_firewall_that_drops_leaves_the_proxy() {
    let Some(network) = Network::with(Cable::V4).await else {
        return;
    };
    network.drop_direct();
    let mut tube = Tube::between(&network, &[], &[]).await;
    let way = tube.use_it().await;
    way.is("socks5-proxy", &["socks5-direct"]);
    way.print("direct dropped, through the proxy");
    // Whoever waits for a dropped connection waits minutes.
    assert!(way.first_byte < PROMPTLY, "{way:?}");
}

#[tokio::test]
async fn a_firewall_that_refuses_leaves_the_proxy_at_once() {
    let Some(network) = Network::with(Cable::V4).await else {
        return;
    };
    network.refuse_direct();
    let mut tube = Tube::between(&network, &[], &[]).await;
    // A busy machine may be late now and then; one that waits is late each time.
    for _ in 0..5 {
        let way = tube.use_it().await;
        way.is("socks5-proxy", &["socks5-direct"]);
        way.print("direct refused, through the proxy");
        if way.first_byte < AT_ONCE {
            return;
        }
    }
    panic!("it waits for a direct connection that may still come");
}

#[tokio::test]
async fn where_everything_else_is_dropped_it_goes_in_band() {
    let Some(network) = Network::with(Cable::V4).await else {
        return;
    };
    network.drop_direct();
    network.drop_proxy();
    let mut tube = Tube::between(&network, &[], &[]).await;
    let way = tube.use_it().await;
    let both = &["socks5-direct", "socks5-proxy"][..];
    // Fernand's side tries the proxy out for ten seconds. If the tube comes later, he does not tell of it.
    let late = [&["socks5-direct"][..], &["socks5-proxy", "socks5-direct"]];
    way.is_after_one_of("ibb", &[[both, both], late]);
    way.print("direct and proxy dropped, in band");
    // Five seconds for all hosts together, and what a busy machine needs.
    assert!(way.first_byte < PROMPTLY, "{way:?}");
}

#[tokio::test]
async fn whoever_connects_and_hides_its_addresses_is_not_connected_to() {
    // It does not say that there was something to hide.
    let before = [&[][..], &["socks5-direct"]];
    hides_addresses(&[], &["--hide-addresses"], before).await;
}

#[tokio::test]
async fn whoever_offers_and_hides_its_addresses_connects_to_nobody() {
    let before = [&["socks5-direct"][..], &["socks5-direct"]];
    hides_addresses(&["--hide-addresses"], &[], before).await;
}

async fn hides_addresses(offering: &[&str], accepting: &[&str], before: [&[&str]; 2]) {
    let Some(network) = Network::with(Cable::V4).await else {
        return;
    };
    network.count_direct();
    let mut tube = Tube::between(&network, offering, accepting).await;
    let way = tube.use_it().await;
    way.is_after("socks5-proxy", before);
    assert_eq!(network.counted(), 0, "packets between the two");
    way.print("with hidden addresses, through the proxy");
}

/// Below the 1.2 s that a direct connection is given before a proxy is dialled.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Below the half minute that a requester waits for the peer's answer, and the minutes that the kernel
/// tries for.
const PROMPTLY: Duration = Duration::from_secs(30);
