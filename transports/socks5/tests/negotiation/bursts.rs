//! A proxy that withholds the end of a burst.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tubes_socks5::{NS, Socks5, Verdict};
use tubes_transport::{Bytestream, Kind};
use xmpp_parsers::jid::Jid;

use crate::peers::{Peers, alice, at_home, carries, explored, opened, pass};
use crate::proxy::{Proxy, Tail};

fn proxied() -> Socks5 {
    at_home(Socks5::proxied())
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_arrive_between_two_of_our_own_kind() {
    let mut peers = Peers::of(Kind::Ours);
    let proxy = Proxy::join(&peers.hub, Tail::Withheld).await;
    let alices = proxied().with_proxy_at(proxy.host.clone());
    let (outcomes, _) = peers.negotiate(alices, proxied()).await;
    let [mut alice, mut fernand] = opened(outcomes, "socks5-proxy", [&[], &[]]);
    for length in [4097, 5000, 8192, 16_384, 65_536] {
        let there = burst(&mut alice, &mut fernand, length).await;
        let back = burst(&mut fernand, &mut alice, length).await;
        println!("{length} bytes: there {there:?}, back {back:?}");
        // Without help the end of a burst waits a minute, until the idle connection is nudged.
        assert!(there.max(back) < Duration::from_secs(20), "{length} bytes");
    }
    carries([alice, fernand]).await;
}

/// As [`pass`], from an end where somebody waits for an answer: a stream does nothing by itself.
async fn burst(from: &mut Bytestream, to: &mut Bytestream, length: usize) -> Duration {
    let (mut answers, mut writer) = tokio::io::split(from);
    let mut answer = [0];
    tokio::select! {
        took = pass(&mut writer, to, length) => took,
        read = answers.read(&mut answer) => panic!("an answer: {read:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_tried_it_is_told_to_our_own_kind_alone() {
    for (kind, label) in [(Kind::Ours, "socks5-proxy"), (Kind::Other, "ibb")] {
        let mut peers = Peers::of(kind);
        let proxy = Proxy::join(&peers.hub, Tail::Withheld).await;
        let alices = proxied().with_proxy(proxy.host.jid.clone());
        let alices = explored(alices.with_stillness(WITHHELD), &peers).await;
        let known = alices.known_proxies(&alice());
        let verdicts: Vec<_> = known.iter().map(|known| &known.verdict).collect();
        assert_eq!(verdicts, [&Verdict::Withholds]);
        let (outcomes, _) = peers.negotiate(alices, proxied()).await;
        let told = peers.told().unwrap();
        let (hosts, before): (_, [&[&str]; 2]) = match kind {
            Kind::Ours => (vec![proxy.host.clone()], [&[], &[]]),
            Kind::Other => (Vec::new(), [&["socks5-proxy"], &[NS]]),
        };
        assert_eq!(told, hosts);
        carries(opened(outcomes, label, before)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn towards_others_it_is_tried_before_it_is_used() {
    for (tail, label) in [(Tail::Passed, "socks5-proxy"), (Tail::Withheld, "ibb")] {
        let mut peers = Peers::of(Kind::Other);
        let proxy = Proxy::join(&peers.hub, tail).await;
        // Alice's side does not mind, or does not know.
        let alices = proxied().with_proxy_at(proxy.host.clone());
        let alices = alices.with_flawed_proxies();
        let fernands = match tail {
            Tail::Passed => proxied(),
            Tail::Withheld => proxied().with_stillness(WITHHELD),
        };
        let (outcomes, took) = peers.negotiate(alices, fernands).await;
        let before: [&[&str]; 2] = match tail {
            Tail::Passed => [&[], &[]],
            Tail::Withheld => [&["socks5-proxy"], &["socks5-proxy"]],
        };
        carries(opened(outcomes, label, before)).await;
        println!("{tail:?}: {label} after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_passes_everything_on_is_found_to() {
    let peers = Peers::of(Kind::Ours);
    let proxy = Proxy::join(&peers.hub, Tail::Passed).await;
    let jid: Jid = proxy.host.jid.clone();
    let socks5 = explored(proxied().with_proxy(jid), &peers).await;
    let known = socks5.known_proxies(&alice());
    let verdicts: Vec<_> = known.iter().map(|known| &known.verdict).collect();
    assert_eq!(verdicts, [&Verdict::Relays]);
}

/// What a proxy withholds comes no sooner for being waited for.
const WITHHELD: Duration = Duration::from_secs(1);
