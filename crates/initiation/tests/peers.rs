//! Peers of other kinds: Gabble, strict XEP-0095, and the malformed.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

mod fake;

use fake::Course::{Fails, Opens};
use fake::{A, B, C, Peers, SID, alice, answer, begin, fernand, gabbles_request, outcome, si};
use tubes_protocol::ns;
use tubes_protocol::si::SiError;
use tubes_transport::{
    Ask, Kind, OpenError, Opened, Outbound, Outbox, Reading, Signalling, Stanzas, StreamId,
};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

const GABBLES: &str = "<si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'>\
    <value>urn:example:b</value><value>urn:example:a</value></si-multiple>\
    <tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>";
const CLASSIC: &str = "<feature xmlns='http://jabber.org/protocol/feature-neg'>\
    <x xmlns='jabber:x:data' type='submit'><field var='stream-method'>\
    <value>urn:example:b</value></field></x></feature>";

#[tokio::test]
async fn falls_back_in_the_order_of_the_answer() {
    let mut peers = Peers::new();
    let opened = scripted(&mut peers, GABBLES, &[(B, false), (A, true)]).await;
    assert_eq!(outcome(&opened), (A, vec![B]));
    assert_eq!(peers.begun(), [B, A]);
    assert_eq!(opened.unwrap().kind, Kind::Other);
}

#[tokio::test]
async fn does_not_fall_back_with_a_peer_that_ignores_si_multiple() {
    let mut peers = Peers::new();
    let opened = scripted(&mut peers, CLASSIC, &[(B, false)]).await;
    assert_eq!(outcome(&opened), ("exhausted", vec![B]));
}

#[tokio::test]
async fn opens_with_a_peer_that_ignores_si_multiple() {
    let mut peers = Peers::new();
    let opened = scripted(&mut peers, CLASSIC, &[(B, true)]).await;
    assert_eq!(outcome(&opened), (B, vec![]));
}

#[tokio::test]
async fn ignores_methods_it_never_offered() {
    let mut peers = Peers::new();
    let inner = GABBLES.replace("urn:example:b", "urn:example:c");
    let opened = scripted(&mut peers, &inner, &[(A, true)]).await;
    assert_eq!(outcome(&opened), (A, vec![]));
}

#[tokio::test]
async fn a_request_offers_the_whole_ladder_with_fallback() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens), (B, Opens)]), peers.request());
    let (_, ask) = tokio::join!(alices.open(request), async {
        let ask = peers.asked().await;
        let payload = ask.payload().clone();
        ask.refuse_with(ErrorType::Cancel, DefinedCondition::Forbidden);
        payload
    });
    let mut expected = gabbles_request(&[A, B]);
    expected.ours = true;
    assert_eq!(ask, Element::from(expected));
}

#[tokio::test]
async fn a_request_can_be_declined() {
    let mut peers = Peers::new();
    let (alices, fernands, request) = (si([(A, Opens)]), si([(A, Opens)]), peers.request());
    let (opened, ()) = tokio::join!(alices.open(request), async {
        let proposal = peers.proposed(&fernands).await;
        fernands.decline(proposal, SiError::Declined.to_stanza_error());
    });
    assert!(matches!(opened, Err(OpenError::Refused(_))), "{opened:?}");
    assert!(peers.alice.claim(fernand().into(), SID.into()).is_some());
}

#[tokio::test]
async fn an_answer_that_is_none_breaks_the_protocol() {
    for wrong in [None, Some(answer("")), Some(begin(A, SID))] {
        let mut peers = Peers::new();
        let (alices, request) = (si([(A, Opens)]), peers.request());
        let (opened, ()) = tokio::join!(alices.open(request), async {
            peers.asked().await.grant(wrong);
        });
        assert!(matches!(opened, Err(OpenError::Protocol(_))), "{opened:?}");
    }
}

#[tokio::test]
async fn accepts_gabbles_request_and_its_fallback() {
    let fernands = si([(A, Fails), (B, Opens)]);
    let request = gabbles_request(&[C, A, B]);
    let mut peers = Peers::new();
    let accepted = peers.accept(fernands, request, async |peers, answer| {
        let expected = "<si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'>\
            <value>urn:example:a</value><value>urn:example:b</value></si-multiple>\
            <tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/><kind xmlns='urn:x-tubes:0'/>";
        assert_eq!(answer, fake::answer(expected));
        peers.begin(A).await.unwrap_err();
        peers.begin(B).await.unwrap();
    });
    assert_eq!(outcome(&accepted.await), (B, vec![A]));
}

#[tokio::test]
async fn answers_in_the_classic_form_with_the_first_method_it_knows() {
    let fernands = si([(A, Opens), (B, Fails)]);
    let mut request = gabbles_request(&[C, B, A]);
    request.multiple = false;
    let mut peers = Peers::new();
    let accepted = peers.accept(fernands, request, async |peers, answer| {
        let tube = "<tube xmlns='http://telepathy.freedesktop.org/xmpp/tubes'/>";
        let kind = "<kind xmlns='urn:x-tubes:0'/>";
        assert_eq!(answer, fake::answer(&format!("{CLASSIC}{tube}{kind}")));
        peers.begin(B).await.unwrap_err();
    });
    assert_eq!(outcome(&accepted.await), ("exhausted", vec![B]));
}

#[tokio::test]
async fn refuses_what_belongs_to_no_method_and_waits_on() {
    let fernands = si([(A, Fails), (B, Opens)]);
    let request = gabbles_request(&[A, B]);
    let mut peers = Peers::new();
    let accepted = peers.accept(fernands, request, async |peers, _| {
        let refused = peers.begin(C).await.unwrap_err();
        assert!(refused.contains("item-not-found"), "{refused}");
        let statement = vec![begin(C, SID)];
        peers.alice.tell(fernand().into(), statement).await.unwrap();
        peers.begin(A).await.unwrap_err();
        peers.begin(B).await.unwrap();
    });
    assert_eq!(outcome(&accepted.await), (B, vec![A]));
}

#[tokio::test]
async fn a_requester_never_goes_back() {
    let fernands = si([(A, Opens), (B, Fails), (C, Opens)]);
    let request = gabbles_request(&[A, B, C]);
    let mut peers = Peers::new();
    let accepted = peers.accept(fernands, request, async |peers, _| {
        peers.begin(B).await.unwrap_err();
        for namespace in [A, B] {
            let refused = peers.begin(namespace).await.unwrap_err();
            assert!(refused.contains("item-not-found"), "{refused}");
        }
        peers.begin(C).await.unwrap();
    });
    assert_eq!(outcome(&accepted.await), (C, vec![B]));
}

#[tokio::test]
async fn one_identifier_serves_one_bytestream_at_a_time() {
    let mut peers = Peers::new();
    let (alices, fernands, terms) = (si([(A, Opens)]), si([(A, Opens)]), peers.terms());
    let at_alice = peers.alice.claim(fernand().into(), SID.into()).unwrap();
    let opened = alices.open(peers.request()).await;
    assert!(matches!(opened, Err(OpenError::Protocol(_))), "{opened:?}");
    drop(at_alice);
    let _at_fernand = peers.fernand.claim(alice().into(), SID.into()).unwrap();
    let request = peers.request();
    let (opened, accepted) = tokio::join!(alices.open(request), async {
        let proposal = peers.proposed(&fernands).await;
        fernands.accept(proposal, terms).await
    });
    assert!(
        matches!(accepted, Err(OpenError::Protocol(_))),
        "{accepted:?}"
    );
    assert!(opened.unwrap_err().to_string().contains("conflict"));
}

#[tokio::test]
async fn hands_back_what_is_no_stream_initiation() {
    let ask = from(alice().into(), begin(A, SID));
    let Reading::Foreign(ask) = si([(A, Opens)]).read(ask.0) else {
        panic!("read");
    };
    assert_eq!(*ask.payload(), begin(A, SID));
}

#[tokio::test]
async fn answers_a_malformed_request_itself() {
    let mut request = Element::from(gabbles_request(&[A]));
    request.remove_child("feature", ns::FEATURE_NEG).unwrap();
    let answer = answered_to(alice().into(), request).await;
    assert!(answer.contains("bad-request"), "{answer}");
}

#[tokio::test]
async fn answers_a_sender_without_a_resource_itself() {
    let sender = Jid::from(alice().to_bare());
    let answer = answered_to(sender, gabbles_request(&[A]).into()).await;
    assert!(answer.contains("bad-request"), "{answer}");
}

#[tokio::test]
async fn reads_a_request_of_any_profile() {
    let mut request = gabbles_request(&[A, B]);
    request.purpose = Element::bare("file", "urn:example:file");
    let (ask, _outbox) = from(alice().into(), request.into());
    let proposal = fake::proposal(si([(C, Opens)]).read(ask));
    assert_eq!(proposal.stream, StreamId::from(SID));
    assert_eq!(proposal.peer, alice());
    assert_eq!(proposal.transports, [A, B]);
    assert_eq!(proposal.purpose.ns(), "urn:example:file");
    assert!(proposal.multiple);
}

/// Alice opens a bytestream; Fernand answers with `inner` and then takes or refuses as scripted.
async fn scripted(
    peers: &mut Peers,
    inner: &str,
    script: &[(&str, bool)],
) -> Result<Opened, OpenError> {
    let (alices, request) = (si([(A, Opens), (B, Opens)]), peers.request());
    let (opened, ()) = tokio::join!(alices.open(request), async {
        peers.asked().await.grant(Some(answer(inner)));
        for (namespace, take) in script {
            let ask = peers.asked().await;
            assert_eq!(*ask.payload(), begin(namespace, SID));
            if *take {
                ask.grant(None);
            } else {
                ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
            }
        }
    });
    opened
}

/// The error that reading this question answers it with.
async fn answered_to(sender: Jid, payload: Element) -> String {
    let (ask, mut outbox) = from(sender, payload);
    assert!(matches!(si([(A, Opens)]).read(ask), Reading::Answered));
    match outbox.next().await {
        Some(Outbound::Answer(answered)) => {
            String::from(&Element::from(answered.outcome.unwrap_err()))
        }
        other => panic!("{other:?}"),
    }
}

fn from(sender: Jid, payload: Element) -> (Ask, Outbox) {
    let (_, outbox, switchboard) = Stanzas::pair();
    let ask = switchboard.ask(sender, "q1".to_owned(), payload).unwrap();
    (ask, outbox)
}
