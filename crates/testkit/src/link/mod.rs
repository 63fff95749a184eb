//! The way between a client and its server, and all that can go wrong on it.

mod carrier;
mod splitter;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use xmpp_parsers::minidom::Element;

use crate::Fate;

/// Stands between clients and a server, and lets through what it is told to let through.
///
/// Bytes can be delayed, throttled, stalled and cut whatever they mean. A session that is not
/// encrypted can moreover be interfered with stanza by stanza, see [`Link::set_filter`].
/// Dropping it breaks all connections.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    attended: watch::Receiver<Door>,
    task: JoinHandle<()>,
}

impl Link {
    /// A link to the server at this address, on a loopback port of its own. Wants a tokio
    /// runtime, which has to live as long as the link is used.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let place = Place::new()?;
        let address = place.address;
        let shared = Arc::new(Shared {
            server,
            conduct: watch::Sender::default(),
            count: AtomicUsize::new(0),
            filter: Mutex::default(),
            interjections: Mutex::default(),
            scissors: broadcast::Sender::new(1),
        });
        let (attending, attended) = watch::channel(Door::Open);
        let listener = place.listen()?;
        let run = attend(Arc::clone(&shared), place, listener, attending);
        Ok(Self {
            address,
            shared,
            attended,
            task: tokio::spawn(run),
        })
    }

    /// Where clients are to connect instead of the server's own address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there were so far, those that were met with silence included.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Ends all connections in this way; new ones find the [`Door`] as it is.
    pub fn cut(&self, ending: Ending) {
        // Without a connection there is nothing to cut.
        let _ = self.shared.scissors.send(ending);
    }

    /// Decides what becomes of new connections; returns when it is so.
    ///
    /// # Errors
    ///
    /// When the port that was refusing connections cannot be listened at again.
    pub async fn set_door(&self, door: Door) -> io::Result<()> {
        self.shared.conduct.send_modify(|conduct| {
            conduct.door = door;
        });
        let mut attended = self.attended.clone();
        match attended.wait_for(|attended| *attended == door).await {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("the link cannot listen any more")),
        }
    }

    /// Decides how bytes flow in this direction from now on, on all connections.
    pub fn set_flow(&self, heading: Heading, flow: Flow) {
        self.shared.conduct.send_modify(|conduct| match heading {
            Heading::ToClient => conduct.to_client = flow,
            Heading::ToServer => conduct.to_server = flow,
        });
    }

    /// Decides what befalls each top-level element from now on: stanzas, and also what
    /// authenticates, acknowledges and resumes. Those of encrypted sessions are not seen.
    pub fn set_filter(&self, filter: impl Fn(Heading, &Element) -> Fate + Send + Sync + 'static) {
        *self.shared.filter() = Some(Arc::new(filter));
    }

    /// Says these, too, right after the next stanza that arrives in this direction, as if whoever sent that
    /// had said them. Of encrypted sessions no stanza is seen; and where stanzas are counted (XEP-0198), these
    /// are too many.
    pub fn interject(&self, heading: Heading, stanzas: impl IntoIterator<Item = Element>) {
        let stanzas = stanzas.into_iter().map(|stanza| (heading, stanza));
        self.shared.interjections().extend(stanzas);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.cut(Ending::Fin);
    }
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heading {
    /// What the server says.
    ToClient,
    /// What the client says.
    ToServer,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// It reaches the server.
    #[default]
    Open,
    /// Nobody listens.
    Refusing,
    /// It stands, and nobody ever says a word; later, too.
    Silent,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides read an end-of-file.
    Fin,
    /// Both sides see a reset; what they had not read yet may be lost.
    Reset,
}

/// How bytes flow in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They take this long.
    Delayed(Duration),
    /// As fast as they come.
    #[default]
    Free,
    /// Not at all: the connection stands, and what was said waits.
    Stalled,
    /// At most so many bytes a second, at least 1.
    Throttled(usize),
}

#[derive(Debug, Default)]
struct Conduct {
    door: Door,
    to_client: Flow,
    to_server: Flow,
}

impl Conduct {
    fn flow(&self, heading: Heading) -> Flow {
        match heading {
            Heading::ToClient => self.to_client,
            Heading::ToServer => self.to_server,
        }
    }
}

struct Shared {
    server: SocketAddr,
    conduct: watch::Sender<Conduct>,
    count: AtomicUsize,
    filter: Mutex<Option<Arc<Filter>>>,
    interjections: Mutex<Vec<(Heading, Element)>>,
    scissors: broadcast::Sender<Ending>,
}

type Filter = dyn Fn(Heading, &Element) -> Fate + Send + Sync;

impl Shared {
    fn filter(&self) -> MutexGuard<'_, Option<Arc<Filter>>> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interjections(&self) -> MutexGuard<'_, Vec<(Heading, Element)>> {
        self.interjections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said in this direction, too.
    fn take_interjections(&self, heading: Heading) -> Vec<Element> {
        let mut waiting = self.interjections();
        let taken = waiting.extract_if(.., |(towards, _)| *towards == heading);
        taken.map(|(_, stanza)| stanza).collect()
    }

    fn fate(&self, heading: Heading, element: &Element) -> Fate {
        let filter = self.filter().clone();
        filter.map_or(Fate::Pass, |filter| filter(heading, element))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Shared");
        shown.field("server", &self.server).finish_non_exhaustive()
    }
}

/// A port that stays ours while nobody listens at it.
struct Place {
    address: SocketAddr,
    _keeper: TcpSocket,
}

impl Place {
    fn new() -> io::Result<Self> {
        let keeper = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self {
            address: keeper.local_addr()?,
            _keeper: keeper,
        })
    }

    fn listen(&self) -> io::Result<TcpListener> {
        socket(self.address)?.listen(BACKLOG)
    }
}

/// A socket that shares its port with the others of its kind only.
fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Receives those who come, as the door is.
async fn attend(
    shared: Arc<Shared>,
    place: Place,
    listener: TcpListener,
    attending: watch::Sender<Door>,
) {
    let mut conduct = shared.conduct.subscribe();
    let mut listener = Some(listener);
    loop {
        let door = conduct.borrow_and_update().door;
        let listening = match (door, listener.take()) {
            (Door::Refusing, _) => None,
            (_, Some(listening)) => Some(listening),
            (_, None) => match place.listen() {
                Ok(listening) => Some(listening),
                Err(_) => return,
            },
        };
        attending.send_replace(door);
        listener = listening;
        tokio::select! {
            Some(client) = accepted(listener.as_ref()) => receive(&shared, client, door),
            changed = conduct.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// The next connection, if anybody listens and it was not given up meanwhile.
async fn accepted(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let (client, _) = listener?.accept().await.ok()?;
    Some(client)
}

fn receive(shared: &Arc<Shared>, client: TcpStream, door: Door) {
    shared.count.fetch_add(1, Ordering::Relaxed);
    let mut scissors = shared.scissors.subscribe();
    match door {
        Door::Silent => drop(tokio::spawn(async move {
            let ending = scissors.recv().await;
            carrier::end(&client, ending.unwrap_or(Ending::Fin));
        })),
        Door::Open | Door::Refusing => {
            let shared = Arc::clone(shared);
            drop(tokio::spawn(carrier::carry(shared, client, scissors)));
        }
    }
}

/// Clients that wait while the task is busy: more than any test has.
const BACKLOG: u32 = 1024;
