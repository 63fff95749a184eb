//! Whatever is lost, both sides end, and at once where they can know.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on has failed.

mod fake;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fake::Course::{Fails, Hangs, HangsPreparing, Lost, Opens};
use fake::{A, B, Fake, Peers, SID, alice, answer, fernand, gabbles_request, outcome, si};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tubes_initiation::Si;
use tubes_testkit::Fate;
use tubes_transport::{Gone, OpenError, Opened, Request, Signalling, Stanzas};

const CHOSEN: &str = "<si-multiple xmlns='http://telepathy.freedesktop.org/xmpp/si-multiple'>\
    <value>urn:example:a</value></si-multiple>";

#[tokio::test(start_paused = true)]
async fn the_session_is_lost_before_the_answer() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens)]), peers.request());
    let opened = at_once(alices.open(request), async {
        let _ask = peers.asked().await;
        peers.hub.cut();
    });
    assert!(matches!(opened.await, Err(OpenError::Gone(Gone::Session))));
}

#[tokio::test(start_paused = true)]
async fn the_responder_goes_offline_before_the_answer() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens)]), peers.request());
    let opened = at_once(alices.open(request), async {
        let _ask = peers.asked().await;
        peers.hub.hang_up(&fernand());
    });
    assert!(matches!(opened.await, Err(OpenError::Gone(Gone::Peer))));
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_hangs_up_ends_the_wait_for_the_answer() {
    let (stanzas, mut outbox, switchboard) = Stanzas::pair();
    let request = Request {
        stanzas,
        ..Peers::new().request()
    };
    let alices = si([(A, Opens)]);
    let opened = at_once(alices.open(request), async {
        let unanswered = outbox.next().await;
        switchboard.hang_up(&fernand().into(), Gone::Peer);
        unanswered
    });
    assert!(matches!(opened.await, Err(OpenError::Gone(Gone::Peer))));
}

#[tokio::test(start_paused = true)]
async fn the_session_is_lost_before_anything_is_said() {
    let peers = Peers::new();
    peers.hub.cut();
    let alices = si([(A, Opens)]);
    let opened = at_once(alices.open(peers.request()), async {}).await;
    assert!(matches!(opened, Err(OpenError::Gone(Gone::Session))));
}

#[tokio::test(start_paused = true)]
async fn the_session_is_lost_while_a_transport_is_tried() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens), (B, Opens)]), peers.request());
    let opened = at_once(alices.open(request), async {
        peers.asked().await.grant(Some(answer(CHOSEN)));
        let _begun = peers.asked().await;
        peers.hub.cut();
    });
    assert!(matches!(opened.await, Err(OpenError::Gone(Gone::Session))));
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_tried_once_the_session_is_lost() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Lost), (B, Opens)]), peers.request());
    let script = async {
        let inner = CHOSEN.replace("</si-", "<value>urn:example:b</value></si-");
        peers.asked().await.grant(Some(answer(&inner)));
    };
    let opened = at_once(alices.open(request), script).await;
    assert!(matches!(opened, Err(OpenError::Gone(Gone::Session))));
    assert!(peers.begun().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_requester_goes_offline_before_it_begins() {
    let accepted = accept(si([(A, Opens)]), async |peers| {
        peers.hub.hang_up(&alice());
    });
    assert!(matches!(accepted.await, Err(OpenError::Gone(Gone::Peer))));
}

#[tokio::test(start_paused = true)]
async fn the_responders_session_is_lost_between_two_transports() {
    let accepted = accept(si([(A, Fails), (B, Opens)]), async |peers| {
        peers.begin(A).await.unwrap_err();
        peers.hub.cut();
    });
    assert!(matches!(
        accepted.await,
        Err(OpenError::Gone(Gone::Session))
    ));
}

#[tokio::test(start_paused = true)]
async fn the_responders_session_is_lost_while_a_transport_is_tried() {
    let accepted = accept(si([(A, Lost), (B, Opens)]), async |peers| {
        let _ = peers.begin(A).await;
    });
    assert!(matches!(
        accepted.await,
        Err(OpenError::Gone(Gone::Session))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_waited_for_without_end() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens)]), peers.request());
    let began = Instant::now();
    let (opened, _ask) = tokio::join!(alices.open(request), peers.asked());
    assert!(matches!(opened, Err(OpenError::TimedOut(_))), "{opened:?}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_not_waited_for_without_end() {
    let peers = Peers::new();
    peers.hub.set_filter(|_| Fate::Drop);
    let opened = si([(A, Opens)]).open(peers.request()).await;
    assert!(matches!(opened, Err(OpenError::TimedOut(_))), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn a_requester_that_never_begins_is_not_waited_for_without_end() {
    let began = Instant::now();
    let accepted = accept(si([(A, Opens)]), async |_| {}).await;
    assert!(
        matches!(accepted, Err(OpenError::TimedOut(_))),
        "{accepted:?}"
    );
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_not_forgotten_when_the_requester_gives_up() {
    let accepted = accept(si([(A, Fails), (B, Opens)]), async |peers| {
        peers.begin(A).await.unwrap_err();
    });
    assert_eq!(outcome(&accepted.await), ("exhausted", vec![A]));
}

#[tokio::test(start_paused = true)]
async fn chatter_does_not_prolong_the_wait() {
    let began = Instant::now();
    let accepted = accept(si([(A, Opens)]), async |peers| {
        let mut chat = tokio::time::interval(Duration::from_secs(7));
        for _ in 0..8 {
            chat.tick().await;
            peers.begin(B).await.unwrap_err();
        }
    });
    assert!(matches!(accepted.await, Err(OpenError::TimedOut(_))));
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn an_open_dropped_before_the_answer_releases_the_stream() {
    let mut peers = Peers::new();
    let (alices, request) = (si([(A, Opens)]), peers.request());
    let claimed = peers.alice.clone();
    let claim = || claimed.claim(fernand().into(), SID.into());
    let script = async {
        let ask = peers.asked().await;
        assert!(claim().is_none());
        ask
    };
    tokio::select! {
        opened = alices.open(request) => panic!("{opened:?}"),
        _ask = script => {}
    }
    assert!(claim().is_some());
}

#[tokio::test]
async fn an_open_dropped_in_the_midst_of_an_attempt_releases_the_stream() {
    for course in [Hangs, HangsPreparing] {
        let mut peers = Peers::new();
        let (plans, mut planned) = mpsc::unbounded_channel();
        let alices = Si::new(vec![Arc::new(Fake {
            namespace: A,
            course,
            plans: Some(plans),
        })]);
        let request = peers.request();
        let claimed = peers.alice.clone();
        let claim = || claimed.claim(fernand().into(), SID.into());
        let script = async {
            peers.asked().await.grant(Some(answer(CHOSEN)));
            planned.recv().await.unwrap();
            assert!(claim().is_none());
        };
        tokio::select! {
            opened = alices.open(request) => panic!("{opened:?}"),
            () = script => {}
        }
        assert!(claim().is_some(), "{course:?}");
    }
}

#[tokio::test]
async fn a_dropped_accept_releases_the_stream() {
    let mut peers = Peers::new();
    let fernands = si([(A, Hangs)]);
    let (request, terms) = (peers.request(), peers.terms());
    let alices = si([(A, Opens)]);
    let claimed = peers.fernand.clone();
    let claim = || claimed.claim(alice().into(), SID.into());
    let proposed = async { peers.proposed(&fernands).await };
    let proposal = tokio::select! {
        opened = alices.open(request) => panic!("{opened:?}"),
        proposal = proposed => proposal,
    };
    {
        let mut accept = fernands.accept(proposal, terms);
        let begun = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending()));
        assert!(begun.await);
        assert!(claim().is_none());
    }
    assert!(claim().is_some());
}

/// Fernand accepts a request of Alice's, who then follows the script.
async fn accept(fernands: Si, script: impl AsyncFnOnce(&Peers)) -> Result<Opened, OpenError> {
    let request = gabbles_request(&[A, B]);
    let mut peers = Peers::new();
    let accepted = peers.accept(fernands, request, async |peers, _| script(peers).await);
    accepted.await
}

/// Runs both, and fails if that takes any time on the paused clock.
async fn at_once<T>(run: impl Future<Output = T>, script: impl Future) -> T {
    let both = async { tokio::join!(run, script).0 };
    let no_time = Duration::from_millis(1);
    tokio::time::timeout(no_time, both).await.unwrap()
}
