//! A proxy for SOCKS5 bytestreams (XEP-0065 §6): small, and as blunt as the real ones.
//!
//! ```text
//!   requester ──► handshake ──► Parties ◄── handshake ◄── target
//!                                  │ activate
//!                                relay
//! ```
//!
//! - `socks5`: what is read and said, without I/O
//! - `parties`: who waits for whom
//!
//! A TCP connection has two directions that end one by one, but the proxies of Prosody 0.12 and
//! ejabberd 23.01 do not know that: an end of file in one direction ends both. What was read in
//! that direction is delivered before; what the other one carries is cut. So does this one, for
//! programs are to get along with those.

mod parties;
mod socks5;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time,
};
use tracing::{debug, warn};
use xmpp_parsers::jid::Jid;

use self::{
    parties::{Order, Parties},
    socks5::{Hash, Refusal},
};

/// A running proxy for SOCKS5 bytestreams (XEP-0065 §6), without XMPP: who may activate what is
/// its owner's to say.
///
/// It lets exactly two connections in for each bytestream and reads nothing from them until
/// they are activated. Dropping it closes all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    parties: Arc<Parties>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens at an address, whose port may be 0, and lives on the runtime that it is started
    /// from.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpListener::bind(address).await?)
    }

    /// Takes over a socket that listens already.
    pub(crate) fn on(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let parties = Arc::new(Parties::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&parties)));
        Ok(Self {
            address,
            parties,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the bytes of a bytestream flow (XEP-0065 §6.3.5). The JIDs are the ones that both
    /// sides have hashed.
    ///
    /// # Errors
    ///
    /// See [`ActivationError`].
    pub fn activate(
        &self,
        sid: &str,
        requester: &Jid,
        target: &Jid,
    ) -> Result<(), ActivationError> {
        self.parties.activate(&Hash::of(sid, requester, target))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections belong to the task that accepts them.
        self.accepting.abort();
    }
}

/// Why a bytestream was not activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// It is active already.
    #[error("the bytestream is active already")]
    Active,
    /// There are no two connections with the hash of this bytestream.
    #[error("fewer than two connections wait for the bytestream")]
    Incomplete,
}

async fn accept(listener: TcpListener, parties: Arc<Parties>) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < CONNECTIONS;
        let accepted = tokio::select! {
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if room => accepted,
        };
        match accepted {
            Ok((tcp, _)) => {
                connections.spawn(serve(tcp, Arc::clone(&parties)));
            }
            Err(why) => {
                // Out of descriptors, most likely: there is no event for that being over.
                warn!(%why, "no connection accepted");
                time::sleep(RETRY).await;
            }
        }
    }
}

/// Serves a connection until it ends, or its socket is handed over.
async fn serve(mut tcp: TcpStream, parties: Arc<Parties>) {
    let (hash, ordered) = match admit(&mut tcp, &parties).await {
        Ok(admitted) => admitted,
        Err(why) => {
            debug!(%why, "connection not served");
            if let Unserved::Refused(refusal) = why {
                finish(tcp, &refusal.answer()).await;
            }
            return;
        }
    };
    let order = async {
        tcp.write_all(&hash.granted()).await?;
        tokio::select! {
            order = ordered => Ok(order),
            () = hung_up(&tcp) => Err(io::Error::from(io::ErrorKind::NotConnected)),
        }
    };
    match time::timeout(ACTIVATION, order).await {
        Ok(Ok(Ok(Order::HandOver(to)))) => {
            // Whoever relays waits for it.
            let _ = to.send(tcp);
            return;
        }
        Ok(Ok(Ok(Order::Relay(from)))) => {
            if let Ok(other) = from.await {
                relay(tcp, other).await;
            }
        }
        // The other one has dismissed the party, and somebody else may have its place by now.
        Ok(Ok(Err(_))) => return,
        Ok(Err(_)) | Err(_) => debug!("connection never activated"),
    }
    parties.dismiss(&hash);
}

/// Shakes hands with a client and lets it wait for the other one.
async fn admit(
    tcp: &mut TcpStream,
    parties: &Parties,
) -> Result<(Hash, oneshot::Receiver<Order>), Unserved> {
    let hash = time::timeout(HANDSHAKE, request(tcp))
        .await
        .map_err(io::Error::from)??;
    let ordered = parties.join(&hash).ok_or(Refusal::NotAllowed)?;
    Ok((hash, ordered))
}

/// Reads a client's request, and not a byte more.
async fn request(tcp: &mut TcpStream) -> Result<Hash, Unserved> {
    tcp.set_nodelay(true)?;
    let [version, methods] = read(tcp).await?;
    let mut offered = vec![0; usize::from(methods)];
    tcp.read_exact(&mut offered).await?;
    socks5::check_methods(version, &offered)?;
    tcp.write_all(&socks5::NO_AUTHENTICATION).await?;
    socks5::check_head(read(tcp).await?)?;
    Ok(Hash::read(read(tcp).await?)?)
}

async fn read<const N: usize>(tcp: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    tcp.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Why a connection gets no further than the handshake.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error("{0}")]
    Lost(#[from] io::Error),
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// Waits until a client that says nothing has gone. One that speaks before its time is not heard,
/// and whether it has gone is not known.
async fn hung_up(tcp: &TcpStream) {
    if !matches!(tcp.peek(&mut [0]).await, Ok(0) | Err(_)) {
        std::future::pending().await
    }
}

/// Copies both ways until one of them ends. What the other one had brought by then is passed on,
/// as with the real ones, which take things in the order in which they came.
async fn relay(one: TcpStream, other: TcpStream) {
    let (mut there, mut back) = (Direction::default(), Direction::default());
    // Not `copy_bidirectional`: real proxies cut the other direction.
    let ended = tokio::select! {
        ended = there.carry(&one, &other) => ended,
        ended = back.carry(&other, &one) => ended,
    };
    debug!(?ended, "bytestream has ended");
    let rest = async { tokio::join!(there.settle(&one, &other), back.settle(&other, &one)) };
    let _ = time::timeout(LINGER, rest).await;
    tokio::join!(finish(one, &[]), finish(other, &[]));
}

/// One direction of a bytestream. Keeps what was read and not written when it is interrupted.
#[derive(Default)]
struct Direction {
    unwritten: Vec<u8>,
}

impl Direction {
    /// Copies to the end. Cancel safe.
    async fn carry(&mut self, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        loop {
            self.write(to).await?;
            from.readable().await?;
            match self.read(from) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Copies what is there, and waits for no more.
    async fn settle(&mut self, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        self.write(to).await?;
        while self.read(from)? > 0 {
            self.write(to).await?;
        }
        Ok(())
    }

    fn read(&mut self, from: &TcpStream) -> io::Result<usize> {
        self.unwritten.reserve(PIECE);
        from.try_read_buf(&mut self.unwritten)
    }

    async fn write(&mut self, to: &TcpStream) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            to.writable().await?;
            match to.try_write(&self.unwritten) {
                Ok(wrote) => drop(self.unwritten.drain(..wrote)),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}

/// Says a last word and closes a connection, such that all that was said arrives: a socket that
/// is closed with something unread is reset, and takes what is under way with it.
async fn finish(mut tcp: TcpStream, last: &[u8]) {
    let finish = async {
        tcp.write_all(last).await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await
    };
    // Who goes on sending learns by a reset that nobody listens.
    let _ = time::timeout(LINGER, finish).await;
}

/// Connections at a time that shake hands, wait or are relayed; a relayed pair counts as one.
/// More of them wait in the kernel.
const CONNECTIONS: usize = 1024;

/// How long a client may take to say what it wants; it needs two round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may wait for the other one and for the activation: what ejabberd
/// allows.
const ACTIVATION: Duration = Duration::from_secs(60);

/// How long a client is given to take the end.
const LINGER: Duration = Duration::from_secs(2);

/// How long to wait after the system refused to accept.
const RETRY: Duration = Duration::from_millis(100);

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
