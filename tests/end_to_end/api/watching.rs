//! Whoever looks sees what is the case, and hears what happens from then on: whenever that is.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::mem::{Discriminant, discriminant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tubes::{ClientEvent, Event, Events, Feed, Parameters, ServerEvent, State};
use tubes::{StreamTubeClient, StreamTubeServer, StreamTubes, TubeId};
use tubes_server::Server;

use super::joining::{accepted, chat};
use super::{Heard, added, monitoring_server, offer};
use crate::stage::{Family, Person, Service, Serving, echo, pair, patiently};

crate::on_each_server!(
    whoever_watches_a_server_at_any_time_misses_nothing_and_hears_nothing_twice,
    whoever_watches_a_client_at_any_time_misses_nothing_and_hears_nothing_twice,
    whoever_watches_an_account_at_any_time_misses_nothing_and_hears_nothing_twice,
);

async fn whoever_watches_a_server_at_any_time_misses_nothing_and_hears_nothing_twice(
    server: &Server,
) {
    let scene = Scene::set(server).await;
    let tubes = scene.tubes.clone();
    let looking = looks(
        move || tubes.watch(),
        |event| matches!(event, ServerEvent::TubeClosed { .. }),
    );
    scene.plays().await;
    let views = patiently("all is seen", looking).await.unwrap();
    let mut heard = Vec::new();
    for (state, feed) in views {
        heard.push((connections_of(&state), Heard::by(feed).rest().await));
    }
    agree(heard, |event| match event {
        ServerEvent::ConnectionOpened { connection } => {
            Some(Change::Opened((connection.tube.id, connection.number)))
        }
        ServerEvent::ConnectionClosed { connection, .. } => {
            Some(Change::Closed((connection.tube.id, connection.number)))
        }
        _ => None,
    });
}

async fn whoever_watches_a_client_at_any_time_misses_nothing_and_hears_nothing_twice(
    server: &Server,
) {
    let scene = Scene::set(server).await;
    let client = scene.client.clone();
    let looking = looks(
        move || client.watch(),
        |event| matches!(event, ClientEvent::TubeClosed { .. }),
    );
    scene.plays().await;
    let views = patiently("all is seen", looking).await.unwrap();
    let mut heard = Vec::new();
    for (state, feed) in views {
        heard.push((connections_of(&state), Heard::by(feed).rest().await));
    }
    agree(heard, |event| match event {
        ClientEvent::ConnectionOpened { connection } => {
            Some(Change::Opened((connection.tube.id, connection.number)))
        }
        ClientEvent::ConnectionClosed { connection, .. } => {
            Some(Change::Closed((connection.tube.id, connection.number)))
        }
        _ => None,
    });
}

async fn whoever_watches_an_account_at_any_time_misses_nothing_and_hears_nothing_twice(
    server: &Server,
) {
    let scene = Scene::set(server).await;
    let account = scene.alice.tubes.clone();
    let (mut whole, all) = account.watch();
    let looking = tokio::spawn(async move {
        let mut views = Vec::new();
        let mut events = account.events();
        while let Some(event) = events.next().await {
            views.push(account.watch());
            if matches!(event, Event::TubeClosed { .. }) {
                break;
            }
        }
        views
    });
    scene.plays().await;
    let views = patiently("all is seen", looking).await.unwrap();
    let all = rest_of(all).await;
    let mut next = 0;
    for (state, events) in views {
        let rest = rest_of(events).await;
        let begin = all.len().checked_sub(rest.len()).unwrap();
        for event in all.get(next..begin).unwrap() {
            whole.handle(event);
        }
        next = begin;
        assert_eq!(tubes_of(&state), tubes_of(&whole));
        let kinds = |events: &[Event]| events.iter().map(kind_of).collect::<Vec<_>>();
        assert_eq!(kinds(&rest), kinds(all.get(begin..).unwrap()));
    }
    assert!(next > 0, "nobody came late");
}

/// Looks again after each event, until the one that is the last.
fn looks<E: Clone + Send + 'static>(
    watch: impl Fn() -> (StreamTubes, Feed<E>) + Send + 'static,
    is_last: fn(&E) -> bool,
) -> JoinHandle<Vec<(StreamTubes, Feed<E>)>> {
    let mut views = vec![watch()];
    let mut events = watch().1;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            views.push(watch());
            if is_last(&event) {
                break;
            }
        }
        views
    })
}

/// Which connection: its tube, and its number there.
type Which = (TubeId, u64);

enum Change {
    Closed(Which),
    Opened(Which),
}

fn connections_of(state: &StreamTubes) -> BTreeSet<Which> {
    state.connections.keys().copied().collect()
}

/// Whoever came later saw what the first one had heard of until then, and heard the rest of that.
fn agree<E: Debug>(views: Vec<(BTreeSet<Which>, Vec<E>)>, change: fn(&E) -> Option<Change>) {
    let mut views = views.into_iter();
    let (mut open, all) = views.next().unwrap();
    let mut next = 0;
    for (state, rest) in views {
        let begin = all.len().checked_sub(rest.len()).unwrap();
        for event in all.get(next..begin).unwrap() {
            match change(event) {
                Some(Change::Opened(which)) => assert!(open.insert(which), "{which:?} twice"),
                Some(Change::Closed(which)) => assert!(open.remove(&which), "{which:?} unheard of"),
                None => {}
            }
        }
        next = begin;
        assert_eq!(state, open);
        let text = |events: &[E]| format!("{events:#?}");
        assert_eq!(text(&rest), text(all.get(begin..).unwrap()));
    }
    assert!(next > 0, "nobody came late");
    assert!(open.is_empty(), "{open:?}");
}

/// What is compared of a state: all but what goes on changing, which is how much was carried.
fn tubes_of(state: &State) -> Vec<(TubeId, BTreeSet<u64>)> {
    let tubes = state.tubes.iter();
    tubes
        .map(|(id, tube)| (*id, tube.connections.keys().copied().collect()))
        .collect()
}

fn kind_of(event: &Event) -> (Discriminant<Event>, Option<u64>) {
    let connection = match event {
        Event::ConnectionClosed { connection, .. }
        | Event::ConnectionOpened { connection, .. }
        | Event::ConnectionOpening { connection, .. } => Some(*connection),
        _ => None,
    };
    (discriminant(event), connection)
}

async fn rest_of(mut events: Events) -> Vec<Event> {
    let mut all = Vec::new();
    let hearing = async {
        while let Some(event) = events.next().await {
            all.push(event);
        }
    };
    patiently("nothing more can happen", hearing).await;
    all
}

/// Alice's server, and Fernand's client, which has accepted its tube.
struct Scene {
    alice: Person,
    fernand: Person,
    tubes: StreamTubeServer,
    client: StreamTubeClient,
    heard: Heard<ClientEvent>,
    _service: Serving,
}

impl Scene {
    async fn set(server: &Server) -> Self {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let (alice, fernand) = pair(server).await;
        let tubes = monitoring_server();
        let exported = tubes.export(&service.address, Parameters::default());
        exported.unwrap();
        added(&tubes, &alice).await;
        let client = chat().with_monitoring().build();
        let heard = Heard::by(client.watch().1);
        super::joining::added(&client, &fernand).await;
        Self {
            alice,
            fernand,
            tubes,
            client,
            heard,
            _service: service,
        }
    }

    /// Connections come and go; then the tube is withdrawn, and all leave.
    async fn plays(mut self) {
        let offered = offer(&self.tubes, &self.alice, &self.fernand).await;
        let tube = accepted(&mut self.heard).await.id;
        let users = (0..AT_A_TIME).map(|_| uses(&self.client, tube));
        futures_util::future::join_all(users).await;
        patiently("it is withdrawn", self.tubes.withdraw(offered.id)).await;
        drop((self.tubes, self.client, self.heard));
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

/// Connects again and again.
async fn uses(client: &StreamTubeClient, tube: TubeId) {
    for _ in 0..TIMES {
        let mut connection = client.connect(tube).await.unwrap();
        connection.write_all(b"hello").await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let reading = connection.read_to_end(&mut answer);
        patiently("the echo answers", reading).await.unwrap();
        assert_eq!(answer, b"hello");
    }
}

/// Connections at a time.
const AT_A_TIME: usize = 3;

/// Connections, one after the other.
const TIMES: usize = 10;
