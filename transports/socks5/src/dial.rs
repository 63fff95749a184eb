//! Connects to streamhosts.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;
use tubes_transport::{ConnectError, Kind, Tried};

use crate::conversation::converse;
use crate::course::{Course, Next, Reached};
use crate::handshake::Client;
use crate::own::is_link_local;
use crate::{Destination, Streamhost, Way};

/// Whether loopback addresses are dialled: then a peer can reach what listens on this machine only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inward {
    Allowed,
    Forbidden,
}

/// A host that may be dialled.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) host: Streamhost,
    pub(crate) way: Way,
    pub(crate) inward: Inward,
}

/// What to reach, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) kind: Kind,
    pub(crate) destination: Destination,
    pub(crate) deadline: Instant,
}

/// Where those wait who want to dial the same proxy: ejabberd's lets only a handful of connections
/// wait to be accepted, and the others would try again after seconds.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<HashMap<(String, u16), Arc<Semaphore>>>);

impl Queues {
    /// Waits for a place.
    async fn enter(&self, host: &Streamhost) -> Option<OwnedSemaphorePermit> {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if queues.len() >= QUEUES {
                queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            }
            let place = (host.host.clone(), host.port);
            let queue = queues.entry(place);
            Arc::clone(queue.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        queue.acquire_owned().await.ok()
    }
}

/// A connection that has its handshake behind it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) candidate: Candidate,
    pub(crate) stream: TcpStream,
    /// The hosts that failed before.
    pub(crate) failed: Vec<(Candidate, String)>,
}

/// Dials the candidates in the order of a [`Course`], until one is reached.
///
/// Fails with why each of them failed. Dropping the future gives up.
pub(crate) async fn dial_any(
    candidates: &[Candidate],
    errand: Errand,
    queues: &Queues,
) -> Result<Reply, Vec<(Candidate, String)>> {
    let ways = candidates.iter().map(|candidate| candidate.way);
    let begun = Instant::now().into_std();
    let mut course = Course::new(errand.kind, ways, begun, errand.deadline.into_std());
    let mut dialling = FuturesUnordered::new();
    let mut failures = Failures::new(candidates);
    loop {
        let wake = match course.poll(Instant::now().into_std()) {
            Next::Exhausted => return Err(failures.into_list("not tried")),
            Next::Wait(wake) => wake.map_or(errand.deadline, Instant::from_std),
            Next::Dial { host, within } => {
                if let Some(candidate) = candidates.get(host) {
                    let dial = dial(candidate, errand, within, queues);
                    dialling.push(async move { (host, dial.await) });
                }
                continue;
            }
        };
        tokio::select! {
            Some((host, outcome)) = dialling.next() => match outcome {
                Ok(stream) => {
                    let Some(candidate) = candidates.get(host).cloned() else { continue };
                    return Ok(Reply { candidate, stream, failed: failures.so_far() });
                }
                Err(failure) => {
                    course.handle_failed(host, failure.reached);
                    failures.note(host, failure.why);
                }
            },
            () = sleep_until(wake.min(errand.deadline)) => {
                if Instant::now() >= errand.deadline {
                    return Err(failures.into_list("no answer in time"));
                }
            }
        }
    }
}

/// Connects to one host and asks it for the destination.
pub(crate) async fn dial(
    candidate: &Candidate,
    errand: Errand,
    within: Duration,
    queues: &Queues,
) -> Result<TcpStream, DialFailure> {
    let Candidate { host, inward, way } = candidate;
    let _place = match way {
        Way::Direct => None,
        Way::Proxy => match tokio::time::timeout_at(errand.deadline, queues.enter(host)).await {
            Ok(place) => place,
            Err(_) => return Err(DialFailure::nothing("too many others dial it")),
        },
    };
    let connecting = connect(host, *inward, within);
    let mut stream = match timeout(within, connecting).await {
        Ok(connected) => connected.map_err(DialFailure::nothing)?,
        Err(_) => return Err(DialFailure::nothing("no answer in time")),
    };
    let mut client = Client::new(errand.destination);
    let conversing = converse(&mut stream, |heard| client.step(heard));
    match tokio::time::timeout_at(errand.deadline, conversing).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(DialFailure::listener(why)),
        Err(_) => {
            return Err(DialFailure::listener(
                "took the connection and said no more",
            ));
        }
    }
    tune(&stream).map_err(DialFailure::listener)?;
    debug!(jid = %host.jid, host = host.host, port = host.port, "reached");
    Ok(stream)
}

/// Why a host could not be used.
#[derive(Debug)]
pub(crate) struct DialFailure {
    reached: Reached,
    pub(crate) why: String,
}

impl DialFailure {
    fn nothing(why: impl ToString) -> Self {
        let (reached, why) = (Reached::Nothing, why.to_string());
        Self { reached, why }
    }

    fn listener(why: impl ToString) -> Self {
        let (reached, why) = (Reached::Listener, why.to_string());
        Self { reached, why }
    }
}

/// What was written goes at once, and a peer that dies without a word is noticed.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    tubes_tcp::watch_peer(stream)
}

/// Connects to the first of a name's addresses that takes the connection.
async fn connect(host: &Streamhost, inward: Inward, within: Duration) -> io::Result<TcpStream> {
    let mut last = None;
    let addresses = addresses(host).await?;
    // None of them is to use up the time of the others.
    let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    for address in addresses {
        if !is_dialled(address.ip(), inward) {
            last = Some(io::Error::other(format!(
                "{} is not an address to dial for others",
                address.ip()
            )));
            continue;
        }
        tubes_tcp::spare_descriptor()?;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(why)) => last = Some(why),
            Err(_) => last = Some(io::Error::other("no answer in time")),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("the name has no address")))
}

async fn addresses(host: &Streamhost) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip.to_canonical(), host.port)]);
    }
    let found = look_up(host.host.clone(), host.port).await?;
    let canonical = |found: SocketAddr| SocketAddr::new(found.ip().to_canonical(), found.port());
    Ok(found.into_iter().map(canonical).take(NAMESAKES).collect())
}

/// Asks the system's resolver, which cannot be interrupted: so only a few may be asking at a time,
/// or names that nobody answers for would take the threads of all that has to block.
async fn look_up(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let place = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let looking = tokio::task::spawn_blocking(move || {
        let _place = place;
        Ok((name.as_str(), port).to_socket_addrs()?.collect())
    });
    looking.await.map_err(io::Error::other)?
}

static LOOK_UPS: Semaphore = Semaphore::const_new(8);

/// Whether a peer may have us dial this address.
fn is_dialled(address: IpAddr, inward: Inward) -> bool {
    if address.is_unspecified() || address.is_multicast() {
        return false;
    }
    if address.is_loopback() {
        return inward == Inward::Allowed;
    }
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !is_link_local(v6),
    }
}

/// What became of the hosts.
struct Failures<'a> {
    candidates: &'a [Candidate],
    why: Vec<Option<String>>,
}

impl Candidate {
    /// A proxy that this side knows itself, and dials wherever it is.
    pub(crate) fn own_proxy(host: Streamhost) -> Self {
        let (way, inward) = (Way::Proxy, Inward::Allowed);
        Self { host, way, inward }
    }
}

impl<'a> Failures<'a> {
    fn new(candidates: &'a [Candidate]) -> Self {
        Self {
            candidates,
            why: vec![None; candidates.len()],
        }
    }

    fn note(&mut self, host: usize, why: String) {
        if let (Some(candidate), Some(place)) = (self.candidates.get(host), self.why.get_mut(host))
        {
            let Streamhost { jid, host, port } = &candidate.host;
            debug!(%jid, host, port, why, "not reached");
            *place = Some(why);
        }
    }

    fn so_far(self) -> Vec<(Candidate, String)> {
        let hosts = self.candidates.iter().cloned().zip(self.why);
        hosts
            .filter_map(|(candidate, why)| Some((candidate, why?)))
            .collect()
    }

    fn into_list(self, otherwise: &str) -> Vec<(Candidate, String)> {
        let hosts = self.candidates.iter().cloned().zip(self.why);
        hosts
            .map(|(candidate, why)| (candidate, why.unwrap_or_else(|| otherwise.to_owned())))
            .collect()
    }
}

/// One reason for each way that was tried, naming its hosts.
pub(crate) fn tried(failed: &[(Candidate, String)]) -> Vec<Tried> {
    let reason = |way: Way| {
        let of_way = failed.iter().filter(|(candidate, _)| candidate.way == way);
        let hosts: Vec<_> = of_way
            .map(
                |(Candidate { host, .. }, why)| match host.host.contains(':') {
                    true => format!("[{}]:{}: {why}", host.host, host.port),
                    false => format!("{}:{}: {why}", host.host, host.port),
                },
            )
            .collect();
        (!hosts.is_empty()).then(|| Tried {
            transport: way.label(),
            reason: ConnectError::Unreachable(hosts.join(", ")),
        })
    };
    [Way::Direct, Way::Proxy]
        .into_iter()
        .filter_map(reason)
        .collect()
}

/// Connections to one proxy that are being made at a time.
const AT_ONCE: usize = 4;

/// Proxies that are remembered beyond those in use.
const QUEUES: usize = 64;

/// Addresses of one name that are tried.
const NAMESAKES: usize = 4;
