//! The one socket that all bytestreams of a process are awaited on.
//!
//! ```text
//!   accept ─► handshake ─► DST.ADDR ─► the Guest that is expected under it
//! ```
//!
//! It is open as long as somebody is expected. Whoever connects has a few seconds to name a
//! stream that is expected; a flood of others costs the oldest of them their place.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::debug;
use tubes_transport::{Bound, Stanzas};

use crate::conversation::converse;
use crate::greetings::{Greetings, Room};
use crate::handshake::{self, Server};
use crate::{Destination, parting};

/// The place of the socket: opened when somebody is expected, closed when nobody is any more.
#[derive(Debug, Default)]
pub(crate) struct Door(Mutex<Weak<Listening>>);

impl Door {
    /// Opens the socket, or finds it open. Port 0: any.
    ///
    /// Belongs to the runtime of whoever opened it.
    pub(crate) async fn open(&self, port: u16) -> io::Result<Arc<Listening>> {
        for _ in 0..TRIES {
            match self.try_open(port) {
                // The former one may be on its way out.
                Err(why) if why.kind() == io::ErrorKind::AddrInUse => sleep(BETWEEN_TRIES).await,
                opened => return opened,
            }
        }
        let opened = self.try_open(port);
        opened.map_err(|why| io::Error::new(why.kind(), format!("port {port}: {why}")))
    }

    fn try_open(&self, port: u16) -> io::Result<Arc<Listening>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listening) = place.upgrade()
            && !listening.accepting.is_finished()
        {
            return Ok(listening);
        }
        let listening = Arc::new(Listening::start(port)?);
        *place = Arc::downgrade(&listening);
        Ok(listening)
    }
}

/// The open socket.
#[derive(Debug)]
pub(crate) struct Listening {
    port: u16,
    expected: Expected,
    accepting: AbortHandle,
}

impl Listening {
    fn start(port: u16) -> io::Result<Self> {
        let listener = listen(port)?;
        let port = listener.local_addr()?.port();
        let expected = Expected::default();
        let accepting = tokio::spawn(accept(listener, expected.clone())).abort_handle();
        debug!(port, "waiting for direct bytestreams");
        Ok(Self {
            port,
            expected,
            accepting,
        })
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Expects a client for any of these destinations. It may come by so many connections: some dial all
    /// hosts at once, and see later which one they use. If others take the places where it would say so,
    /// that is reported by `stanzas`.
    pub(crate) fn expect(
        self: Arc<Self>,
        destinations: Vec<Destination>,
        places: usize,
        stanzas: Stanzas,
    ) -> Guest {
        let seat = Seat::new(places, stanzas);
        let mut expected = self.expected.lock();
        for destination in &destinations {
            expected.insert(*destination, seat.clone());
        }
        drop(expected);
        Guest {
            listening: self,
            destinations,
            seat,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A client that is expected, and perhaps there. Nobody is expected any more when it is dropped,
/// and whoever came in vain sees an error.
#[derive(Debug)]
pub(crate) struct Guest {
    listening: Arc<Listening>,
    destinations: Vec<Destination>,
    seat: Seat,
}

impl Guest {
    /// The port of the socket.
    pub(crate) fn port(&self) -> u16 {
        self.listening.port()
    }

    /// The connections that the client came by, and that it has not ended again.
    pub(crate) fn take(&self) -> Vec<TcpStream> {
        let mut streams = self.seat.clear();
        // Where there is one alone, its end is for its reader to see.
        if streams.len() > 1 {
            streams.retain(is_there);
        }
        streams
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut expected = self.listening.expected.lock();
        for destination in &self.destinations {
            expected.remove(destination);
        }
        drop(expected);
        for stream in self.seat.clear() {
            parting::reset(stream);
        }
    }
}

/// Where a client is put that has named its stream.
#[derive(Clone, Debug)]
struct Seat(Arc<Mutex<Places>>);

#[derive(Debug)]
struct Places {
    streams: Vec<TcpStream>,
    /// How many there may be: none, when nobody is expected any more.
    most: usize,
    /// Of the account that expects the client.
    stanzas: Stanzas,
}

impl Seat {
    fn new(most: usize, stanzas: Stanzas) -> Self {
        Self(Arc::new(Mutex::new(Places {
            streams: Vec::new(),
            most,
            stanzas,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the client in, if there is a place, or one that has gone again.
    fn admit(&self, destination: Destination, stream: TcpStream) {
        let mut places = self.lock();
        if places.streams.len() >= places.most {
            places.streams.retain(is_there);
        }
        if places.streams.len() >= places.most {
            debug!("a further connection for the same stream was refused");
            return say(&stream, &handshake::REFUSED);
        }
        // Answered under the lock: once the client knows, the stream can be taken.
        say(&stream, &handshake::granted(destination));
        places.streams.push(stream);
    }

    /// Lets nobody in any more; who was.
    fn clear(&self) -> Vec<TcpStream> {
        let mut places = self.lock();
        places.most = 0;
        mem::take(&mut places.streams)
    }
}

#[derive(Clone, Debug, Default)]
struct Expected(Arc<Mutex<HashMap<Destination, Seat>>>);

impl Expected {
    fn lock(&self) -> MutexGuard<'_, HashMap<Destination, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that somebody had to go before it said what it wants: it may have been one of these.
    fn report(&self) {
        for seat in self.lock().values() {
            seat.lock().stanzas.exceeded(Bound::Handshakes);
        }
    }
}

async fn accept(listener: TcpListener, expected: Expected) {
    let mut tasks = JoinSet::new();
    let mut greetings = Greetings::default();
    let mut reported: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            Some(_) = tasks.join_next() => continue,
            accepted = accept_one(&listener) => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let room = greetings.make_room(from.ip());
                if room == Room::Made && reported.is_none_or(|at| at.elapsed() > RESPITE) {
                    reported = Some(Instant::now());
                    expected.report();
                }
                let greeting = greet(stream, Silent(from), expected.clone());
                let greeting = tasks.spawn(greeting);
                greetings.push(from.ip(), greeting);
            }
            Err(why) => {
                // Out of descriptors, most likely: there is no event for that being over.
                debug!(%why, "no direct bytestream can be accepted");
                sleep(RETRY).await;
            }
        }
    }
}

async fn accept_one(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    // Whoever was told of this socket waits already: for that one the last ones will do.
    tubes_tcp::spare_descriptor()?;
    listener.accept().await
}

async fn greet(mut stream: TcpStream, silent: Silent, expected: Expected) {
    let mut server = Server::default();
    let greeting = converse(&mut stream, |heard| server.step(heard));
    let Ok(greeting) = timeout(HANDSHAKE, greeting).await else {
        return;
    };
    let from = silent.has_spoken();
    let destination = match greeting {
        Ok(destination) => destination,
        Err(why) => return debug!(%from, %why, "a client was sent away"),
    };
    let seat = expected.lock().get(&destination).cloned();
    match seat {
        Some(seat) => seat.admit(destination, stream),
        None => {
            debug!(%from, "a client wants a stream that nobody expects");
            say(&stream, &handshake::REFUSED);
        }
    }
}

/// A client that has not said what it wants. When dropped, it had no more time, had to make room, or the port is
/// closed.
struct Silent(SocketAddr);

impl Silent {
    fn has_spoken(self) -> SocketAddr {
        let from = self.0;
        mem::forget(self);
        from
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        debug!(from = %self.0, "a client has not said what it wants");
    }
}

/// Says a few bytes without waiting: a connection that does not take them is of no use.
fn say(stream: &TcpStream, bytes: &[u8]) {
    if SockRef::from(stream).send(bytes).ok() != Some(bytes.len()) {
        debug!("a client has gone before it was answered");
    }
}

/// Whether the other end has neither ended nor broken the connection.
fn is_there(stream: &TcpStream) -> bool {
    let mut byte = [mem::MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut byte) {
        Ok(peeked) => peeked > 0,
        Err(why) => why.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Listens on all addresses of both families, or of IPv4 where there is no other.
fn listen(port: u16) -> io::Result<TcpListener> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    bind(both).or_else(|_| bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A port that is configured must be usable again at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How often a port is tried that is in use, and how long after another.
const TRIES: usize = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// From the connection to the name of a stream.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often it is reported that too many connect: a flood is not to cost more than it does already.
const RESPITE: Duration = Duration::from_secs(1);

/// How long to wait after the system refused to accept.
const RETRY: Duration = Duration::from_millis(100);

/// Connections that wait for being accepted: a thousand programs may connect at once.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tubes_transport::StreamId;
    use xmpp_parsers::jid::FullJid;

    use super::*;

    #[tokio::test]
    async fn whoever_expects_somebody_is_told_of_a_flood() {
        let (stanzas, _outbox, switchboard) = Stanzas::pair();
        let (alice, fernand): (FullJid, FullJid) = (
            "alice@tubes.example/desk".parse().unwrap(),
            "fernand@tubes.example/lab".parse().unwrap(),
        );
        let destination = Destination::new(&StreamId::from("s1"), &alice, &fernand);
        let listening = Door::default().open(0).await.unwrap();
        let guest = listening.expect(vec![destination], 1, stanzas);
        let mut flood = Vec::new();
        let connecting = async {
            loop {
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, guest.port()));
                flood.push(TcpStream::connect(here).await.unwrap());
            }
        };
        let excess = tokio::select! {
            excess = switchboard.excess() => excess,
            () = connecting => return,
        };
        assert_eq!(excess.bound, Bound::Handshakes);
        assert_eq!(excess.who, None);
        assert!(flood.len() > 200);
    }
}
