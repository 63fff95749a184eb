//! What applications are built on: servers of tubes, and clients.

mod access;
mod chat;
mod connecting;
mod deciding;
mod exporting;
mod joining;
mod limits;
mod monitoring;
mod noticing;
mod recovering;
mod rooms;
mod rules;
mod serving;
mod telling;
mod watching;

use std::collections::VecDeque;

use tokio::time::timeout;
use tubes::{Access, Address, Audience, BareJid, Direction, Event, Feed, Parameters};
use tubes::{ServerEvent, StreamTube, StreamTubeServer, TubeConnection, TubeId, Value};

use crate::stage::{Family, PATIENCE, Person, patiently};

/// A listener, and what happened and was not asked for yet.
pub(super) struct Heard<E> {
    feed: Feed<E>,
    passed: VecDeque<E>,
}

impl<E: Clone + std::fmt::Debug + Send + 'static> Heard<E> {
    pub(super) fn by(feed: Feed<E>) -> Self {
        let passed = VecDeque::new();
        Self { feed, passed }
    }

    /// The first event that `wanted` makes something of. Others are kept for later.
    pub(super) async fn event<T>(&mut self, wanted: impl Fn(&E) -> Option<T>) -> T {
        let mut next = 0;
        let waiting = async {
            loop {
                while let Some(event) = self.passed.get(next) {
                    if let Some(found) = wanted(event) {
                        self.passed.remove(next);
                        return Some(found);
                    }
                    next += 1;
                }
                self.passed.push_back(self.feed.next().await?);
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => panic!("waited in vain; seen: {:#?}", self.passed),
        }
    }

    /// The very next event.
    pub(super) async fn next(&mut self) -> E {
        self.event(|event| Some(event.clone())).await
    }

    /// All events to the last, which must come.
    pub(super) async fn rest(mut self) -> Vec<E> {
        let rest = async {
            while let Some(event) = self.feed.next().await {
                self.passed.push_back(event);
            }
        };
        patiently("nothing more can happen", rest).await;
        self.passed.into()
    }
}

/// A server for contacts that reports connections.
pub(super) fn monitoring_server() -> StreamTubeServer {
    let builder = StreamTubeServer::builder().services_for_contacts([SERVICE]);
    builder.with_monitoring().build()
}

/// Adds the person's account.
pub(super) async fn added(server: &StreamTubeServer, person: &Person) -> BareJid {
    let adding = server.add(&person.tubes);
    patiently("the account is added", adding).await.unwrap()
}

/// Offers to the contact what the server exports.
pub(super) async fn offer(server: &StreamTubeServer, from: &Person, to: &Person) -> StreamTube {
    let audience = Audience::Contact(to.jid.clone());
    let offering = server.offer(&from.jid, audience, SERVICE);
    patiently("the tube is offered", offering).await.unwrap()
}

/// The next offer of which the person hears: the tube, and what is said of it.
pub(super) async fn offered(person: &mut Person) -> (TubeId, Parameters) {
    person
        .event(|event| match event {
            Event::TubeOffered {
                tube,
                parameters,
                direction: Direction::In,
                ..
            } => Some((*tube, parameters.clone())),
            _ => None,
        })
        .await
}

/// The person accepts at a TCP port.
pub(super) async fn accept(person: &Person, tube: TubeId) -> Address {
    let listen = Family::Tcp.place().address;
    let accepting = person.tubes.accept(tube, listen, Access::Localhost);
    patiently("the tube is accepted", accepting).await.unwrap()
}

/// The person accepts the next offer at a TCP port.
pub(super) async fn accepted(person: &mut Person) -> Address {
    let (tube, _) = offered(person).await;
    accept(person, tube).await
}

/// The next connection that is reported.
pub(super) async fn opened(heard: &mut Heard<ServerEvent>) -> TubeConnection {
    heard
        .event(|event| match event {
            ServerEvent::ConnectionOpened { connection } => Some(connection.clone()),
            _ => None,
        })
        .await
}

/// One parameter.
pub(super) fn password(text: &str) -> Parameters {
    let mut parameters = Parameters::default();
    let value = Value::Str(text.to_owned());
    parameters.insert("password", value).unwrap();
    parameters
}

/// What the services of the tests are called.
pub(super) const SERVICE: &str = "x-test";
