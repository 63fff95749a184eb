//! Where a Gabble waits for the target of its bytestream: its SOCKS5 server.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tubes::FullJid;

use super::Host;
use crate::stage::{own_addresses, patiently};

/// One listener for one bytestream, at all addresses of the machine.
///
/// A second connection that reaches it before a CONNECT succeeded aborts a Gabble as a whole: here
/// it makes the test fail.
pub(crate) struct Listener {
    port: u16,
    connected: Option<oneshot::Receiver<TcpStream>>,
    state: Arc<State>,
    accepting: AbortHandle,
}

/// What it does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes it, and says no more.
    Deaf,
    /// Closes it at once.
    Drops,
    /// Serves it as a Gabble does.
    Serves,
}

#[derive(Debug, Default)]
struct State {
    accepted: AtomicUsize,
    has_crashed: AtomicBool,
}

impl Listener {
    /// Binds a port of the kernel's choice for a stream of this hash.
    pub(crate) async fn open(hash: String, manner: Manner) -> Self {
        let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await;
        let listener = match both {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let (connect, connected) = oneshot::channel();
        let accepting = accept(listener, hash, manner, Arc::clone(&state), connect);
        Self {
            port,
            connected: Some(connected),
            state,
            accepting: tokio::spawn(accepting).abort_handle(),
        }
    }

    /// What the Gabble tells of it: every address leads to the same listener, and there are at
    /// least two, so that there is one too many to dial.
    pub(crate) fn hosts(&self, gabble: &FullJid) -> Vec<Host> {
        let addresses = own_addresses();
        let twice = addresses.iter().chain(addresses.first());
        twice
            .map(|address| Host {
                jid: gabble.to_string(),
                host: address.to_string(),
                port: self.port,
            })
            .collect()
    }

    /// The connection that asked for the right stream.
    pub(crate) async fn connected(&mut self) -> TcpStream {
        let connected = self.connected.take().unwrap();
        let connected = patiently("somebody connects", connected).await;
        connected.unwrap_or_else(|_| panic!("nobody connected as it should"))
    }

    /// How many connections there were. Panics if that was one too many.
    pub(crate) fn accepted(&self) -> usize {
        assert!(!self.has_crashed(), "{CRASH}");
        self.state.accepted.load(Ordering::SeqCst)
    }

    fn has_crashed(&self) -> bool {
        self.state.has_crashed.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
        if !thread::panicking() {
            assert!(!self.has_crashed(), "{CRASH}");
        }
    }
}

/// Accepts until a CONNECT has succeeded; then nobody listens any more.
async fn accept(
    listener: TcpListener,
    hash: String,
    manner: Manner,
    state: Arc<State>,
    connect: oneshot::Sender<TcpStream>,
) {
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, from) = accepted.unwrap();
                state.count(from);
                greetings.spawn(greet(stream, hash.clone(), manner));
            }
            Some(greeted) = greetings.join_next() => {
                let Some(stream) = greeted.unwrap() else { continue };
                if let Some(Ok((_, from))) = listener.accept().now_or_never() {
                    state.count(from);
                }
                // The test may not care.
                let _ = connect.send(stream);
                return;
            }
        }
    }
}

impl State {
    fn count(&self, from: SocketAddr) {
        if self.accepted.fetch_add(1, Ordering::SeqCst) > 0 {
            eprintln!("{CRASH}: from {from}");
            self.has_crashed.store(true, Ordering::SeqCst);
        }
    }
}

/// The handshake; nothing if it does not succeed.
async fn greet(mut stream: TcpStream, hash: String, manner: Manner) -> Option<TcpStream> {
    match manner {
        Manner::Deaf => tokio::time::sleep(FOREVER).await,
        Manner::Drops => return None,
        Manner::Serves => {}
    }
    let [version, count] = hear(&mut stream).await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await.ok()?;
    if version != 5 || !methods.contains(&0) {
        return None;
    }
    stream.write_all(&[5, 0]).await.ok()?;
    if hear(&mut stream).await? != [5, 1, 0, 3, 40] {
        return None;
    }
    let name: [u8; 40] = hear(&mut stream).await?;
    let port: [u8; 2] = hear(&mut stream).await?;
    if port != [0, 0] || name != hash.as_bytes() {
        return None;
    }
    let reply = [&[5, 0, 0, 3, 40], hash.as_bytes(), &[0, 0]].concat();
    stream.write_all(&reply).await.ok()?;
    Some(stream)
}

async fn hear<const N: usize>(stream: &mut TcpStream) -> Option<[u8; N]> {
    let mut heard = [0; N];
    stream.read_exact(&mut heard).await.ok()?;
    Some(heard)
}

const CRASH: &str = "a second connection reached the Gabble's listener, and aborted it";

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::stage::dial;

    #[tokio::test]
    async fn a_second_connection_is_noticed() {
        for manner in [Manner::Deaf, Manner::Drops, Manner::Serves] {
            let listener = Listener::open("0".repeat(40), manner).await;
            let place = (Ipv4Addr::LOCALHOST, listener.port);
            let first = TcpStream::connect(place).await.unwrap();
            while listener.accepted() == 0 {
                tokio::task::yield_now().await;
            }
            let second = TcpStream::connect(place).await.unwrap();
            while !listener.has_crashed() {
                tokio::task::yield_now().await;
            }
            let dropping = AssertUnwindSafe(|| drop(listener));
            assert!(catch_unwind(dropping).is_err());
            drop((first, second));
        }
    }

    #[tokio::test]
    async fn a_second_connection_after_the_right_one_finds_nobody() {
        let hash = "a".repeat(40);
        let mut listener = Listener::open(hash.clone(), Manner::Serves).await;
        let host = Host {
            jid: String::new(),
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: listener.port,
        };
        let mut first = dial(&host, hash.clone()).await.unwrap();
        drop(listener.connected().await);
        assert!(dial(&host, hash).await.is_none());
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(listener.accepted(), 1);
    }
}
