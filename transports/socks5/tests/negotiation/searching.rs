//! Streams that are asked for while proxies are still being looked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tubes_initiation::Si;
use tubes_socks5::{NS, Socks5};
use tubes_testkit::Fate;
use tubes_transport::{Kind, Transport};
use xmpp_parsers::minidom::Element;

use crate::peers::{PATIENCE, Peers, alice, at_home, carries, is_to, opened};
use crate::proxy::{Proxy, Tail};
use crate::towards_each_kind;

fn proxied() -> Socks5 {
    at_home(Socks5::proxied())
}

async fn who_has_no_other_transport_waits_for_a_slow_proxy(kind: Kind) {
    let mut peers = Peers::of(kind);
    let proxy = Proxy::join(&peers.hub, Tail::Passed).await;
    peers.let_befall(|stanza| match tells_hosts(stanza) {
        true => Fate::Delay(SLOW),
        false => Fate::Pass,
    });
    let alices = proxied()
        .with_proxy(proxy.host.jid.clone())
        .with_flawed_proxies();
    let _exploring = exploring(&alices, &peers).await;
    let [alices, fernands] = [alices, proxied().with_flawed_proxies()].map(only);
    let (outcomes, _) = peers.negotiate_over(alices, fernands).await;
    carries(opened(outcomes, "socks5-proxy", [&[], &[]])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_has_answered_is_used_while_others_are_silent() {
    let mut peers = Peers::of(Kind::Ours);
    let proxy = Proxy::join(&peers.hub, Tail::Passed).await;
    peers.let_befall(|stanza| match stanza.attr("to") == Some("tubes.example") {
        true => Fate::Drop,
        false => Fate::Pass,
    });
    let alices = proxied().with_proxy(proxy.host.jid.clone());
    let _exploring = exploring(&alices, &peers).await;
    let known = async {
        while alices.known_proxies(&alice()).is_empty() {
            // Nobody is told of it.
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, known).await.expect("it is found");
    assert_eq!(peers.hub.pending(), 1, "the server is still waited for");
    let (outcomes, _) = peers.negotiate(alices, proxied()).await;
    carries(opened(outcomes, "socks5-proxy", [&[], &[]])).await;
}

/// Alice's side looks around, until this is dropped; her first questions are out.
async fn exploring(alices: &Socks5, peers: &Peers) -> JoinSet<()> {
    let (alices, stanzas) = (alices.clone(), peers.alice.clone());
    let mut exploring = JoinSet::new();
    exploring.spawn(async move { alices.explore(alice(), stanzas).await });
    let asked = async {
        while peers.hub.pending() == 0 {
            // A hub tells nobody either.
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("somebody is asked");
    exploring
}

/// SOCKS5 and nothing else.
fn only(socks5: Socks5) -> Si {
    Si::new(vec![Arc::new(socks5)])
}

/// A proxy's answer to Alice, who looks around.
fn tells_hosts(stanza: &Element) -> bool {
    let mut payloads = stanza.children();
    is_to(stanza, &alice())
        && stanza.attr("type") == Some("result")
        && payloads.any(|payload| payload.has_child("streamhost", NS))
}

/// More than a stream waits that has another way to go, and less than a service may take to answer.
const SLOW: Duration = Duration::from_secs(3);

towards_each_kind!(who_has_no_other_transport_waits_for_a_slow_proxy);
