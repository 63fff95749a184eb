//! What was missed is made up for: by the application, and by the server itself.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tubes::{Audience, Event, FailureKind, Offer, Parameters, ServerEvent, TubeRequest};
use tubes_server::Server;

use super::monitoring::Party;
use super::{Heard, SERVICE, accept, monitoring_server, offered, opened};
use crate::stage::{connect, pair, patiently};

crate::on_server!(embedded, Embedded:
    a_slow_reader_is_told_what_it_missed_and_recovers_from_the_state,
    a_server_that_misses_what_the_account_reports_recovers_from_its_state,
    what_becomes_of_a_tube_before_the_server_knows_it_is_heard_all_the_same,
);

async fn a_slow_reader_is_told_what_it_missed_and_recovers_from_the_state(server: &Server) {
    let mut party = Party::on(server).await;
    let (_program, _served, source) = party.connection().await;
    let connection = opened(&mut party.heard).await;
    let mut slow = Heard::by(party.tubes.watch().1);
    let none = |_: TubeRequest| async { Err::<Parameters, _>("no") };
    party.tubes.export_with(&party.service, none).unwrap();
    for _ in 0..WAITING {
        let audience = Audience::Contact(party.fernand.jid.clone());
        party
            .tubes
            .offer(&party.alice.jid, audience, SERVICE)
            .await
            .unwrap_err();
    }
    // Two events for each that was refused.
    let missed = u64::try_from(WAITING).unwrap();
    let first = slow.next().await;
    assert!(
        matches!(first, ServerEvent::Missed(count) if count == missed),
        "{first:?}"
    );
    let (state, _) = party.tubes.watch();
    assert_eq!(state.by_source()[&Some(source)], [connection]);
    party.leave().await;
}

async fn a_server_that_misses_what_the_account_reports_recovers_from_its_state(
    server: &'static Server,
) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes.export(&service, Parameters::default()).unwrap();
    let stalling = Stalling::new();
    let (adding, from) = (tubes.clone(), alice.tubes.clone());
    stalling
        .run(async move { adding.add(&from).await.unwrap() })
        .await;
    let mut heard = Heard::by(tubes.watch().1);
    // Three tubes: one is used, one closed, and one neither, while nobody listens.
    let mut joined = Vec::new();
    for _ in 0..3 {
        let (tubes, account) = (tubes.clone(), alice.jid.clone());
        let audience = Audience::Contact(fernand.jid.clone());
        let offering = async move { tubes.offer(&account, audience, SERVICE).await.unwrap() };
        let tube = stalling.run(offering).await;
        joined.push((tube, offered(&mut fernand).await.0));
    }
    let address = accept(&fernand, joined[0].1).await;
    let _program = connect(&address).await.unwrap();
    let (mut served, source) = patiently("it is reached", service.accept()).await.unwrap();
    served.write_all(b"x").await.unwrap();
    patiently("it is closed", alice.tubes.close(joined[1].0.id)).await;
    for _ in 0..WAITING {
        let nobody = "nobody@example.org".parse().unwrap();
        let offer = Offer::new(nobody, SERVICE, "127.0.0.1:1".parse().unwrap());
        let tube = alice.tubes.offer(offer).await.unwrap();
        alice.tubes.close(tube).await;
    }
    stalling.run(std::future::ready(())).await;

    let what = stalling.run(async move {
        let connection = opened(&mut heard).await;
        let closed = heard.event(|event| match event {
            ServerEvent::TubeClosed { tube, error } => Some((tube.id, error.clone())),
            _ => None,
        });
        (connection, closed.await)
    });
    let (connection, (closed, why)) = what.await;
    assert_eq!(
        (connection.source, connection.tube.id),
        (Some(source), joined[0].0.id)
    );
    assert_eq!(
        (closed, why.unwrap().kind),
        (joined[1].0.id, FailureKind::Limit)
    );
    let there: Vec<_> = tubes.tubes().iter().map(|tube| tube.id).collect();
    assert_eq!(there, [joined[0].0.id, joined[2].0.id]);
    drop(tubes);
    stalling.end().await;
    fernand.leave().await;
    alice.leave().await;
}

async fn what_becomes_of_a_tube_before_the_server_knows_it_is_heard_all_the_same(
    server: &'static Server,
) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut alice, mut fernand) = pair(server).await;
    let tubes = monitoring_server();
    tubes.export(&service, Parameters::default()).unwrap();
    let stalling = Stalling::new();
    let (adding, from) = (tubes.clone(), alice.tubes.clone());
    stalling
        .run(async move { adding.add(&from).await.unwrap() })
        .await;
    let mut heard = Heard::by(tubes.watch().1);
    let (offering, account) = (tubes.clone(), alice.jid.clone());
    let audience = Audience::Contact(fernand.jid.clone());
    // It is asked for, and the answer waits.
    let asking = async move { offering.offer(&account, audience, SERVICE).await };
    let mut offering = None;
    let account = alice.tubes.clone();
    let begun = stalling.run(async {
        offering = Some(tokio::spawn(asking));
        let known = async {
            while account.state().tubes.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        patiently("the account knows the tube", known).await;
    });
    begun.await;
    let offering = offering.unwrap();
    let joined = offered(&mut fernand).await.0;
    let _program = connect(&accept(&fernand, joined).await).await.unwrap();
    let (_served, source) = patiently("it is reached", service.accept()).await.unwrap();
    let is_open = |event: &Event| matches!(event, Event::ConnectionOpened { .. }).then_some(());
    alice.event(is_open).await;
    let tube = stalling
        .run(async { offering.await.unwrap().unwrap() })
        .await;
    let connection = stalling.run(opened(&mut heard)).await;
    assert_eq!(
        (connection.source, connection.tube.id),
        (Some(source), tube.id)
    );
    drop(tubes);
    stalling.end().await;
    fernand.leave().await;
    alice.leave().await;
}

/// A runtime that does nothing unless it is made to.
struct Stalling(Option<Runtime>);

impl Stalling {
    fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    /// Runs everything on it until this is done.
    async fn run<T: Send>(&self, doing: impl Future<Output = T> + Send) -> T {
        let runtime = self.0.as_ref().unwrap();
        tokio::task::block_in_place(|| runtime.block_on(doing))
    }

    async fn end(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// As many events as wait for a slow reader.
const WAITING: usize = 4096;
