//! Two of our own kind walk down the ladder together.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

mod fake;

use std::sync::Arc;

use fake::Course::{Fails, FailsToPrepare, Opens};
use fake::{A, B, C, Fake, Peers, SID, fernand, outcome, purpose, si};
use tokio::sync::mpsc;
use tubes_initiation::Si;
use tubes_testkit::Fate;
use tubes_transport::{ConnectError, Kind, OpenError, Role, Signalling};
use xmpp_parsers::minidom::Element;

#[tokio::test]
async fn opens_with_the_best_transport() {
    let mut peers = Peers::new();
    let ladder = || si([(A, Opens), (B, Opens)]);
    for side in peers.negotiate(ladder(), ladder()).await {
        assert_eq!(outcome(&side), (A, vec![]));
        assert_eq!(side.unwrap().kind, Kind::Ours);
    }
    assert_eq!(peers.begun(), [A]);
}

#[tokio::test]
async fn falls_back_when_the_responder_fails() {
    let mut peers = Peers::new();
    let alices = si([(A, Opens), (B, Opens), (C, Opens)]);
    let fernands = si([(A, Fails), (B, Fails), (C, Opens)]);
    for side in peers.negotiate(alices, fernands).await {
        assert_eq!(outcome(&side), (C, vec![A, B]));
    }
    assert_eq!(peers.begun(), [A, B, C]);
}

#[tokio::test]
async fn prefers_what_the_requester_prefers() {
    let mut peers = Peers::new();
    let alices = si([(B, Opens), (A, Opens)]);
    let fernands = si([(A, Opens), (B, Opens)]);
    for side in peers.negotiate(alices, fernands).await {
        assert_eq!(outcome(&side), (B, vec![]));
    }
}

#[tokio::test]
async fn the_responder_follows_a_requester_that_skips_a_transport() {
    let mut peers = Peers::new();
    let alices = si([(A, FailsToPrepare), (B, Opens)]);
    let fernands = si([(A, Opens), (B, Opens)]);
    let [opened, accepted] = peers.negotiate(alices, fernands).await;
    assert_eq!(outcome(&opened), (B, vec![A]));
    assert_eq!(outcome(&accepted), (B, vec![]));
    assert_eq!(peers.begun(), [B]);
}

#[tokio::test]
async fn a_responder_that_cannot_prepare_lets_the_requester_go_on() {
    let mut peers = Peers::new();
    let alices = si([(A, Opens), (B, Opens)]);
    let fernands = si([(A, FailsToPrepare), (B, Opens)]);
    let [opened, accepted] = peers.negotiate(alices, fernands).await;
    assert_eq!(outcome(&accepted), (B, vec![A]));
    let opened = opened.unwrap();
    let reason = &opened.attempts.first().unwrap().reason;
    assert!(reason.to_string().contains("not-acceptable"), "{reason}");
}

#[tokio::test]
async fn both_are_exhausted_when_everything_fails() {
    let mut peers = Peers::new();
    let alices = si([(A, Opens), (B, Opens)]);
    let fernands = si([(A, Fails), (B, FailsToPrepare)]);
    for side in peers.negotiate(alices, fernands).await {
        assert_eq!(outcome(&side), ("exhausted", vec![A, B]));
    }
}

#[tokio::test]
async fn names_the_reason_of_every_failure() {
    let mut peers = Peers::new();
    let alices = si([(A, Opens), (B, FailsToPrepare)]);
    let [opened, _] = peers.negotiate(alices, si([(A, Fails)])).await;
    let Err(OpenError::Exhausted(tried)) = opened else {
        panic!("{opened:?}");
    };
    let [tried] = tried.as_slice() else {
        panic!("{tried:?}");
    };
    assert_eq!(tried.transport, A);
    assert!(matches!(tried.reason, ConnectError::Refused(_)));
}

#[tokio::test]
async fn nothing_is_tried_without_a_transport_in_common() {
    let mut peers = Peers::new();
    let sides = peers.negotiate(si([(A, Opens)]), si([(B, Opens)])).await;
    for side in sides {
        assert_eq!(outcome(&side), ("exhausted", vec![]));
    }
    assert!(peers.begun().is_empty());
}

#[tokio::test]
async fn what_the_bytestream_is_for_and_extensions_go_both_ways() {
    let mut peers = Peers::new();
    let (alices, fernands) = (si([(A, Opens)]), si([(A, Opens)]));
    let note = |name: &str| vec![Element::bare(name, "urn:example:note")];
    let mut request = peers.request();
    request.extensions = note("there");
    let mut terms = peers.terms();
    terms.extensions = note("back");
    let accept = async {
        let proposal = peers.proposed(&fernands).await;
        assert_eq!(proposal.purpose, purpose());
        assert_eq!(proposal.extensions, note("there"));
        fernands.accept(proposal, terms).await
    };
    let (opened, accepted) = tokio::join!(alices.open(request), accept);
    assert_eq!(opened.unwrap().extensions, note("back"));
    assert_eq!(accepted.unwrap().extensions, []);
}

#[tokio::test]
async fn tells_the_transports_all_that_is_known() {
    let mut peers = Peers::new();
    let (plans, mut planned) = mpsc::unbounded_channel();
    let alices = Si::new(vec![Arc::new(Fake {
        namespace: A,
        course: Opens,
        plans: Some(plans),
    })]);
    let [opened, _] = peers.negotiate(alices, si([(A, Opens)])).await;
    assert!(opened.is_ok());
    let plan = planned.recv().await.unwrap();
    assert_eq!((plan.role, plan.kind), (Role::Requester, Kind::Ours));
    assert_eq!((plan.stream.as_str(), plan.local), (SID, fake::alice()));
    assert_eq!((plan.peer, plan.offer), (fernand(), None));
}

#[tokio::test]
async fn the_responder_claims_before_it_answers() {
    let mut peers = Peers::new();
    let fernands = peers.fernand.clone();
    let (seen, mut claimed) = mpsc::unbounded_channel();
    peers.hub.set_filter(move |stanza| {
        if stanza.has_child("si", tubes_protocol::ns::SI) && stanza.attr("type") == Some("result") {
            let claim = fernands.claim(fake::alice().into(), SID.into());
            seen.send(claim.is_none()).unwrap();
        }
        Fate::Pass
    });
    let _ = peers.negotiate(si([(A, Opens)]), si([(A, Opens)])).await;
    assert_eq!(claimed.recv().await, Some(true));
}

#[test]
fn features_name_the_signalling_and_its_transports() {
    let features = si([(A, Opens), (B, Opens)]).features();
    assert_eq!(
        features,
        ["http://jabber.org/protocol/si", "urn:x-tubes:0", A, B]
    );
}
