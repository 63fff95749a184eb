//! Who hides this machine's addresses tells none, and dials none but proxies that it knows.

use std::time::Duration;

use tubes_socks5::{Reveal, Socks5, Streamhost};
use tubes_testkit::Fate;
use tubes_transport::{Kind, Transport};
use xmpp_parsers::jid::Jid;

use crate::hosts::{Host, Manner};
use crate::peers::{Peers, SOON, at_home, carries, explored, fernand, is_to, opened};
use crate::proxy::{Proxy, Tail};
use crate::{relay, towards_each_kind};

fn proxied() -> Socks5 {
    at_home(Socks5::proxied())
}

fn hidden() -> Socks5 {
    at_home(Socks5::new()).with_reveal(Reveal::ToNobody)
}

async fn a_requester_tells_proxies_alone(kind: Kind) {
    let mut peers = Peers::of(kind);
    let proxy = relay::join(&peers.hub);
    let router = Host::with(Manner::Silent).await;
    let alices = hidden().with_proxy_at(proxy.clone());
    let alices = alices.with_address("127.0.0.1", router.port);
    let alices = explored(alices, &peers).await;
    let (outcomes, _) = peers.negotiate(alices, at_home(Socks5::new())).await;
    assert_eq!(peers.told(), Some(vec![proxy]));
    assert_eq!(router.visitors(), 0);
    carries(opened(outcomes, "socks5-proxy", [&["socks5-direct"], &[]])).await;
}

async fn a_responder_dials_proxies_that_it_knows(kind: Kind) {
    let mut peers = Peers::of(kind);
    let proxy = relay::join(&peers.hub);
    let bait = Host::with(Manner::Refuses).await;
    let alices = at_home(Socks5::new())
        .with_proxy_at(foreign(bait.port))
        .with_proxy_at(proxy.clone())
        .with_address("127.0.0.1", bait.port);
    let alices = explored(alices, &peers).await;
    let before = bait.visitors();
    let fernands = hidden().with_proxy_at(proxy);
    let (outcomes, _) = peers.negotiate(alices, fernands).await;
    assert_eq!(bait.visitors(), before);
    let told = peers.told().unwrap();
    assert!(told.len() > 3, "{told:?}");
    let before: [&[&str]; 2] = [&["socks5-direct"], &["socks5-direct"]];
    carries(opened(outcomes, "socks5-proxy", before)).await;
}

/// The peer may be quicker than what a server says to who has just come online.
async fn a_responder_waits_for_what_it_is_about_to_know(kind: Kind) {
    let mut peers = Peers::of(kind);
    let proxy = Proxy::join(&peers.hub, Tail::Passed).await;
    let alices = explored(proxied().with_proxy_at(proxy.host.clone()), &peers).await;
    let fernands = proxied()
        .with_reveal(Reveal::ToNobody)
        .with_proxy(proxy.host.jid.clone());
    peers.let_befall(|stanza| {
        let is_known_late = is_to(stanza, &fernand()) && stanza.attr("type") == Some("result");
        match is_known_late {
            true => Fate::Delay(Duration::from_millis(50)),
            false => Fate::Pass,
        }
    });
    let searching = fernands.explore(fernand(), peers.fernand.clone());
    let (_, (outcomes, _)) = tokio::join!(searching, peers.negotiate(alices, fernands.clone()));
    carries(opened(outcomes, "socks5-proxy", [&[], &[]])).await;
}

async fn a_responder_dials_nobody_whom_it_does_not_know(kind: Kind) {
    let mut peers = Peers::of(kind);
    let bait = Host::with(Manner::Refuses).await;
    let alices = at_home(Socks5::new())
        .with_proxy_at(foreign(bait.port))
        .with_address("127.0.0.1", bait.port)
        // Else others would not be told of a proxy that was not tried.
        .with_flawed_proxies();
    let (outcomes, took) = peers.negotiate(alices, hidden()).await;
    assert_eq!(bait.visitors(), 0);
    let both: &[&str] = &["socks5-direct", "socks5-proxy"];
    carries(opened(outcomes, "ibb", [both, both])).await;
    assert!(took < SOON, "{took:?}");
}

/// Called a proxy by the peer alone.
fn foreign(port: u16) -> Streamhost {
    Streamhost {
        jid: Jid::new("proxy.elsewhere.example").unwrap(),
        host: "127.0.0.1".to_owned(),
        port,
    }
}

towards_each_kind!(
    a_requester_tells_proxies_alone,
    a_responder_dials_proxies_that_it_knows,
    a_responder_waits_for_what_it_is_about_to_know,
    a_responder_dials_nobody_whom_it_does_not_know,
);
