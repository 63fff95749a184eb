//! Keeps the state of the tubes in hand, and announces what changes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tubes_actors::state::{Phase, Stage, State, Tube};
use tubes_actors::{Event, Failure, FailureKind, TubeId};
use tubes_local::Address;
use xmpp_parsers::jid::BareJid;

use super::{ConnectionEnd, Feed, Monitoring, StreamTube, StreamTubes, TubeConnection};

/// The tubes in hand. Each event is sent while the state is locked, so that between a state and the
/// events after it is no gap.
#[derive(Debug)]
pub(crate) struct Desk<E> {
    monitoring: Monitoring,
    present: Mutex<Present>,
    sender: broadcast::Sender<E>,
}

#[derive(Debug, Default)]
struct Present {
    tubes: StreamTubes,
    phase: Opening,
}

/// Whether tubes are taken in hand.
#[derive(Debug, Default, PartialEq, Eq)]
enum Opening {
    Closed,
    #[default]
    Open,
}

/// What happened to a tube in hand.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Closed(StreamTube, Option<Failure>),
    ConnectionClosed(TubeConnection, ConnectionEnd),
    ConnectionOpened(TubeConnection),
    Listening(StreamTube, Address),
    Opened(StreamTube),
}

/// An event that a server or a client announces.
pub(crate) trait Announced: Clone + Send + 'static {
    /// What is announced of a change, if anything.
    fn of(change: Change) -> Option<Self>;

    /// This many events were lost to a slow reader.
    fn missed(count: u64) -> Self;
}

impl<E: Announced> Desk<E> {
    pub(crate) fn new(monitoring: Monitoring) -> Self {
        Self {
            monitoring,
            present: Mutex::default(),
            sender: broadcast::channel(WAITING).0,
        }
    }

    pub(crate) fn monitoring(&self) -> Monitoring {
        self.monitoring
    }

    pub(crate) fn watch(&self) -> (StreamTubes, Feed<E>) {
        let present = self.present();
        let feed = Feed::of(self.sender.subscribe(), E::missed);
        (present.tubes.clone(), feed)
    }

    pub(crate) fn state(&self) -> StreamTubes {
        self.present().tubes.clone()
    }

    pub(crate) fn has(&self, tube: TubeId) -> bool {
        self.present().tubes.tubes.contains_key(&tube)
    }

    pub(crate) fn has_any_of(&self, account: &BareJid) -> bool {
        !self.present().of_account(account).is_empty()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.present().phase == Opening::Closed
    }

    /// Says something that changes no tube.
    pub(crate) fn announce(&self, event: E) {
        let _present = self.present();
        // Nobody has to listen.
        let _ = self.sender.send(event);
    }

    /// Takes a tube in hand, and says so; none if no more are taken, or it is known.
    pub(crate) fn begin(&self, tube: StreamTube, event: E) -> Option<()> {
        let mut present = self.present();
        if present.phase == Opening::Closed || present.tubes.tubes.contains_key(&tube.id) {
            return None;
        }
        present.tubes.tubes.insert(tube.id, tube);
        let _ = self.sender.send(event);
        Some(())
    }

    /// Takes no more tubes in hand; those there are stay until they are gone.
    pub(crate) fn close(&self) {
        self.present().phase = Opening::Closed;
    }

    /// Takes notice of what an account reports.
    pub(crate) fn handle(&self, event: &Event) {
        let mut present = self.present();
        match event {
            Event::TubeOpened { tube } => self.opened(&mut present, *tube),
            Event::Listening { tube, address } => self.listening(&mut present, *tube, address),
            Event::TubeClosed { tube, error, .. } => self.closed(&mut present, *tube, error),
            Event::ConnectionOpened {
                tube,
                connection,
                peer,
                transport,
                fell_back_from,
                setup,
                source,
                protection,
            } => {
                let stage = Stage::Flowing {
                    transport,
                    fell_back_from: fell_back_from.clone(),
                    setup: *setup,
                    source: source.clone(),
                    protection: protection.clone(),
                };
                let tube = present.tubes.tubes.get(tube);
                let connection =
                    tube.and_then(|tube| TubeConnection::of(tube, *connection, peer, stage));
                if let Some(connection) = connection {
                    self.connection_opened(&mut present, connection);
                }
            }
            Event::ConnectionRenamed {
                tube,
                connection,
                peer,
            } => {
                let connections = &mut present.tubes.connections;
                if let Some(connection) = connections.get_mut(&(*tube, *connection)) {
                    connection.contact = peer.clone();
                }
            }
            Event::ConnectionClosed {
                tube,
                connection,
                error,
                ..
            } => self.connection_closed(&mut present, (*tube, *connection), error.clone()),
            _ => {}
        }
    }

    /// Makes up for events of this account that were missed.
    pub(crate) fn recover(&self, account: &BareJid, state: &State) {
        self.settle(account, state, &missed());
    }

    /// The account is no more; what it did not report before it reports no more.
    pub(crate) fn lost(&self, account: &BareJid) {
        self.settle(account, &State::default(), &gone());
    }

    fn settle(&self, account: &BareJid, state: &State, why: &Failure) {
        let mut present = self.present();
        for id in present.of_account(account) {
            match state.tubes.get(&id) {
                Some(there) => self.catch_up(&mut present, id, there),
                None => {
                    self.end_connections(&mut present, id, why, |_| false);
                    self.closed(&mut present, id, &Some(why.clone()));
                }
            }
        }
    }

    fn catch_up(&self, present: &mut Present, id: TubeId, there: &Tube) {
        let is_there = |number| there.connections.contains_key(&number);
        self.end_connections(present, id, &missed(), is_there);
        if there.phase == Phase::Open {
            self.opened(present, id);
        }
        if let Some(address) = &there.address {
            self.listening(present, id, address);
        }
        let Some(tube) = present.tubes.tubes.get(&id).cloned() else {
            return;
        };
        for (number, connection) in &there.connections {
            let stage = connection.stage.clone();
            let open = TubeConnection::of(&tube, *number, &connection.peer, stage);
            if let Some(open) = open {
                self.connection_opened(present, open);
            }
        }
    }

    fn opened(&self, present: &mut Present, id: TubeId) {
        if let Some(tube) = present.tubes.tubes.get_mut(&id)
            && tube.phase == Phase::Offered
        {
            tube.phase = Phase::Open;
            self.tell(Change::Opened(tube.clone()));
        }
    }

    fn listening(&self, present: &mut Present, id: TubeId, address: &Address) {
        if let Some(tube) = present.tubes.tubes.get_mut(&id)
            && tube.address.as_ref() != Some(address)
        {
            tube.address = Some(address.clone());
            self.tell(Change::Listening(tube.clone(), address.clone()));
        }
    }

    fn closed(&self, present: &mut Present, id: TubeId, error: &Option<Failure>) {
        if let Some(tube) = present.tubes.tubes.remove(&id) {
            self.tell(Change::Closed(tube, error.clone()));
        }
    }

    fn connection_opened(&self, present: &mut Present, connection: TubeConnection) {
        let key = (connection.tube.id, connection.number);
        if self.monitoring == Monitoring::On && !present.tubes.connections.contains_key(&key) {
            let connections = &mut present.tubes.connections;
            connections.insert(key, connection.clone());
            self.tell(Change::ConnectionOpened(connection));
        }
    }

    fn connection_closed(&self, present: &mut Present, key: (TubeId, u64), error: Option<Failure>) {
        if let Some(connection) = present.tubes.connections.remove(&key) {
            self.tell(Change::ConnectionClosed(connection, error.into()));
        }
    }

    /// Those of the tube that are there no more ended while nobody heard of it.
    fn end_connections(
        &self,
        present: &mut Present,
        id: TubeId,
        why: &Failure,
        is_there: impl Fn(u64) -> bool,
    ) {
        let of_tube = present.tubes.connections.range((id, 0)..=(id, u64::MAX));
        let gone: Vec<_> = of_tube
            .map(|(key, _)| *key)
            .filter(|(_, number)| !is_there(*number))
            .collect();
        for key in gone {
            self.connection_closed(present, key, Some(why.clone()));
        }
    }

    fn tell(&self, change: Change) {
        if let Some(event) = E::of(change) {
            let _ = self.sender.send(event);
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn of_account(&self, account: &BareJid) -> Vec<TubeId> {
        let tubes = self.tubes.tubes.values();
        let of_account = tubes.filter(|tube| tube.account == *account);
        of_account.map(|tube| tube.id).collect()
    }
}

/// What ended while its events were missed.
fn missed() -> Failure {
    Failure {
        kind: FailureKind::Limit,
        message: "it ended while events were missed: why is not known".to_owned(),
        remedy: None,
    }
}

/// What was left when its account ended.
fn gone() -> Failure {
    Failure {
        kind: FailureKind::Gone,
        message: "the account is closed".to_owned(),
        remedy: None,
    }
}

/// Events that wait for the application: as many as those of an account.
const WAITING: usize = 4096;
