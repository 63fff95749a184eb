//! What is lost between the two sides ends no stream well, and holds nobody up for ever.

use std::sync::Once;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};
use tubes_socks5::{NS, Socks5};
use tubes_testkit::Fate;
use tubes_transport::Kind;
use xmpp_parsers::minidom::Element;

use crate::peers::{Peers, SOON, alice, at_home, carries, fernand, is_to, opened};

const DIRECT: &[&str] = &["socks5-direct"];

fn direct() -> Socks5 {
    at_home(Socks5::direct())
}

#[tokio::test]
async fn hosts_that_are_lost_are_followed_by_in_band() {
    let mut peers = Peers::of(Kind::Ours).with_patience(DEADLINE);
    lose(&peers, tells_hosts);
    let begun = Instant::now();
    let (outcomes, _) = peers.negotiate(direct(), direct()).await;
    // To Fernand it is as if she had never tried.
    carries(opened(outcomes, "ibb", [DIRECT, &[]])).await;
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_choice_that_is_lost_is_followed_by_in_band() {
    let mut peers = Peers::of(Kind::Ours).with_patience(DEADLINE);
    lose(&peers, chooses);
    let begun = Instant::now();
    let (outcomes, _) = peers.negotiate(direct(), direct()).await;
    carries(opened(outcomes, "ibb", [DIRECT, DIRECT])).await;
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_goes_right_after_its_choice_ends_nothing_well() {
    let mut peers = Peers::of(Kind::Ours);
    let hub = peers.hub.clone();
    peers.let_befall(move |stanza| {
        if chooses(stanza) {
            // He thinks that she went, before she can say that she uses his connection.
            hub.hang_up(&alice());
        }
        Fate::Pass
    });
    let ([alices, fernands], _) = peers.negotiate(direct(), direct()).await;
    assert!(fernands.is_err());
    // Or she finds it broken at once.
    if let Ok(mut opened) = alices {
        let read = timeout(SOON, opened.stream.read(&mut [0])).await;
        assert!(read.unwrap().is_err(), "an end of what was never said");
    }
}

/// Loses such stanzas, and from the first on the clock is paused: not before, since a paused clock does
/// not wait for what is under way in the kernel.
fn lose(peers: &Peers, such: fn(&Element) -> bool) {
    let pausing = Once::new();
    peers.let_befall(move |stanza| match such(stanza) {
        true => {
            pausing.call_once(tokio::time::pause);
            Fate::Drop
        }
        false => Fate::Pass,
    });
}

fn tells_hosts(stanza: &Element) -> bool {
    let mut payloads = stanza.children();
    is_to(stanza, &fernand()) && payloads.any(|payload| payload.is("query", NS))
}

fn chooses(stanza: &Element) -> bool {
    let mut payloads = stanza.children();
    payloads.any(|payload| payload.has_child("streamhost-used", NS))
}

/// Beyond the half minute in which our own kind has to answer.
const DEADLINE: Duration = Duration::from_secs(40);
