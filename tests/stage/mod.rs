//! Alice and Fernand on a server of any kind, and what they share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "every test file uses a part of it, and a test may panic"
)]

use std::time::Duration;

use tokio::time::timeout;
use tubes::{
    Access, Account, Address, BareJid, Direction, Event, Events, Failure, Offer, TubeId, Tubes,
};
use tubes_server::{Server, ServerKind};

/// One of the two: an account with its handle and events.
pub struct Person {
    pub jid: BareJid,
    pub tubes: Tubes,
    pub events: Events,
}

impl Person {
    /// Makes an account on the server and logs in.
    pub async fn on(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let jid = account.jid.clone();
        let credentials = credentials(server, &jid, &account.password);
        let (tubes, events) = Tubes::builder(credentials).start().await.unwrap();
        Self { jid, tubes, events }
    }

    /// The first event that `wanted` makes something of; others are passed over.
    pub async fn event<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let waiting = async {
            loop {
                let event = self.events.next().await.unwrap();
                passed.push(format!("{event:?}"));
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("{} waited in vain; seen: {passed:#?}", self.jid),
        }
    }

    pub async fn offered(&mut self) -> TubeId {
        self.event(|event| match event {
            Event::TubeOffered {
                tube,
                direction: Direction::In,
                ..
            } => Some(tube),
            _ => None,
        })
        .await
    }

    pub async fn connection_closed(&mut self) -> (u64, u64, Option<Failure>) {
        self.event(|event| match event {
            Event::ConnectionClosed {
                sent,
                received,
                error,
                ..
            } => Some((sent, received, error)),
            _ => None,
        })
        .await
    }

    pub async fn tube_closed(&mut self) -> Option<Failure> {
        self.event(|event| match event {
            Event::TubeClosed { error, .. } => Some(error),
            _ => None,
        })
        .await
    }
}

/// How to log in to this server.
pub fn credentials(server: &Server, jid: &BareJid, password: &str) -> Account {
    let address = server.address();
    Account::new(jid.clone().into(), password.to_owned())
        .unwrap()
        .with_server(&address.ip().to_string(), address.port())
        .unwrap()
        .with_roots_pem(server.ca().pem().as_bytes())
        .unwrap()
}

/// Alice and Fernand, who know each other.
pub async fn pair(kind: ServerKind) -> (Person, Person) {
    let server = Server::shared(kind).await.unwrap();
    let (alice, fernand) = tokio::join!(Person::on(server, "alice"), Person::on(server, "fernand"));
    alice.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&alice.jid).await;
    (alice, fernand)
}

/// A tube from Alice's service at `service` to a socket of Fernand's.
pub struct Shared {
    pub alice: Person,
    pub fernand: Person,
    pub offered: TubeId,
    pub joined: TubeId,
    pub address: Address,
}

/// Alice offers the service, Fernand accepts it at `listen`.
pub async fn share(kind: ServerKind, service: Address, listen: &str) -> Shared {
    let (alice, mut fernand) = pair(kind).await;
    let offer = Offer::new(fernand.jid.clone(), "x-test", service);
    let offered = alice.tubes.offer(offer).await.unwrap();
    let joined = fernand.offered().await;
    let listen = listen.parse().unwrap();
    let address = fernand
        .tubes
        .accept(joined, listen, Access::Localhost)
        .await
        .unwrap();
    Shared {
        alice,
        fernand,
        offered,
        joined,
        address,
    }
}

/// Runs the test on each kind of server. Without the real ones a test is skipped, and says
/// which package is missing; under CI that is a failure.
#[macro_export]
macro_rules! on_each_server {
    ($($name:ident),+ $(,)?) => {
        mod embedded { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            $crate::stage::on(tubes_server::ServerKind::Embedded, super::$name).await;
        })+ }
        mod prosody { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            $crate::stage::on(tubes_server::ServerKind::Prosody, super::$name).await;
        })+ }
        mod ejabberd { $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            $crate::stage::on(tubes_server::ServerKind::Ejabberd, super::$name).await;
        })+ }
    };
}

/// Runs a test on this kind of server, if that is installed.
pub async fn on<F: Future<Output = ()>>(kind: ServerKind, test: impl FnOnce(ServerKind) -> F) {
    log();
    if let Err(missing) = kind.available() {
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    test(kind).await;
}

/// Shows the log of a failing test, as far as RUST_LOG asks for it.
fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .try_init();
}

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
