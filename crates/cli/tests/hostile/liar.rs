//! A proxy for SOCKS5 bytestreams gone bad: it says where it is, and activates what it is asked to, but.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tubes_server::Server;

use crate::attacker::Attacker;
use crate::program::PATIENCE;
use crate::words::{SOCKS5, attribute, result};

/// How it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// What it says comes byte by byte.
    ByteByByte,
    /// What is carried ends in the middle, after whoever uses it has tried it out.
    CutsOff,
    /// Bytes without an end come before anything is activated.
    Floods,
    /// It speaks no SOCKS5.
    Garbage,
    /// Whoever comes is sent away.
    HangsUp,
    /// To activate something it is asked in vain.
    NeverActivates,
    /// None any more.
    No,
    /// Once it was tried out it says other bytes than those that it is given.
    OtherBytes,
    /// Whoever comes never hears a word.
    Silence,
}

/// The proxy, which somebody names to his own client.
pub(crate) struct Liar {
    pub(crate) jid: String,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

impl Liar {
    /// An account of its own answers for it.
    pub(crate) async fn who(lie: Lie, server: &Server) -> Self {
        let made = server.fresh_account("proxy").await.unwrap();
        let client = Attacker::log_in(server, made.jid.as_str(), &made.password, "proxy").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            lie: Mutex::new(lie),
            waiting: Mutex::default(),
            visits: AtomicUsize::new(0),
            carried: watch::Sender::default(),
        });
        let jid = client.jid.clone();
        let answering = tokio::spawn(answer(Arc::clone(&shared), client, address));
        let sharing = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                sharing.visits.fetch_add(1, Ordering::Relaxed);
                // Whoever is lied to goes.
                drop(tokio::spawn(serve(Arc::clone(&sharing), client)));
            }
        });
        Self {
            jid,
            shared,
            tasks: [answering, listening],
        }
    }

    /// How many connections there were.
    pub(crate) fn visits(&self) -> usize {
        self.shared.visits.load(Ordering::Relaxed)
    }

    /// Waits until both have found that it is a good one.
    pub(crate) async fn is_trusted(&self) {
        let mut carried = self.shared.carried.subscribe();
        let trusted = carried.wait_for(|carried| *carried >= TRIALS);
        timeout(PATIENCE, trusted).await.expect("a trial").unwrap();
    }

    /// It is a good one from now on.
    pub(crate) fn relent(&self) {
        *lock(&self.shared.lie) = Lie::No;
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Shared {
    lie: Mutex<Lie>,
    /// By their destinations, those whose other half has not come.
    waiting: Mutex<HashMap<Vec<u8>, TcpStream>>,
    visits: AtomicUsize,
    /// Bytestreams that have ended.
    carried: watch::Sender<usize>,
}

impl Shared {
    fn lie(&self) -> Lie {
        *lock(&self.lie)
    }
}

async fn answer(shared: Arc<Shared>, mut client: Attacker, address: SocketAddr) {
    let (ip, port) = (address.ip(), address.port());
    loop {
        let Some(asked) = client.next(&["<iq", SOCKS5]).await else {
            return;
        };
        let (from, id) = (attribute(&asked, "from"), attribute(&asked, "id"));
        if asked.contains("<activate") {
            if shared.lie() != Lie::NeverActivates {
                client.say(result(from, id)).await;
            }
        } else {
            let jid = &client.jid;
            let host = format!("<streamhost jid='{jid}' host='{ip}' port='{port}'/>");
            client
                .say(format!(
                    "<iq type='result' id='{id}' to='{from}'><query xmlns='{SOCKS5}'>{host}</query></iq>"
                ))
                .await;
        }
    }
}

async fn serve(shared: Arc<Shared>, mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let lie = shared.lie();
    match lie {
        Lie::HangsUp => return Ok(()),
        Lie::Silence => return listen(client).await,
        Lie::Garbage => {
            client.write_all(&[0xA5; PIECE]).await?;
            return listen(client).await;
        }
        _ => {}
    }
    let destination = shake_hands(&mut client, lie).await?;
    if lie == Lie::Floods {
        loop {
            client.write_all(&[0xA5; PIECE]).await?;
        }
    }
    let other = lock(&shared.waiting).remove(&destination);
    let Some(other) = other else {
        lock(&shared.waiting).insert(destination, client);
        return Ok(());
    };
    let is_trial = *shared.carried.borrow() < TRIALS;
    let ended = match lie {
        Lie::CutsOff if !is_trial => cut_off(other, client).await,
        Lie::OtherBytes if !is_trial => say_other_bytes(other, client).await,
        _ => relay(other, client).await,
    };
    shared.carried.send_modify(|carried| *carried += 1);
    ended
}

/// RFC 1928, as far as XEP-0065 needs it; the destination.
pub(crate) async fn shake_hands(client: &mut TcpStream, lie: Lie) -> io::Result<Vec<u8>> {
    let pause = match lie {
        Lie::ByteByByte => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    let mut greeting = [0; 3];
    client.read_exact(&mut greeting).await?;
    say_slowly(client, &[5, 0], pause).await?;
    let mut request = [0; 4 + 1 + 40 + 2];
    client.read_exact(&mut request).await?;
    let destination = request[5..45].to_vec();
    request[1] = 0;
    say_slowly(client, &request, pause).await?;
    Ok(destination)
}

async fn say_slowly(client: &mut TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    if pause.is_zero() {
        return client.write_all(bytes).await;
    }
    for byte in bytes {
        client.write_all(&[*byte]).await?;
        sleep(pause).await;
    }
    Ok(())
}

async fn relay(mut one: TcpStream, mut other: TcpStream) -> io::Result<()> {
    copy_bidirectional(&mut one, &mut other).await.map(drop)
}

/// So many bytes, and then what looks like a proper end.
async fn cut_off(mut one: TcpStream, mut other: TcpStream) -> io::Result<()> {
    let (mut from_one, mut to_one) = one.split();
    let (mut from_other, mut to_other) = other.split();
    let there = async {
        tokio::io::copy(&mut (&mut from_one).take(CUT), &mut to_other).await?;
        to_other.shutdown().await
    };
    let back = async {
        tokio::io::copy(&mut (&mut from_other).take(CUT), &mut to_one).await?;
        to_one.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}

async fn say_other_bytes(mut one: TcpStream, mut other: TcpStream) -> io::Result<()> {
    loop {
        one.write_all(&[0xA5; PIECE]).await?;
        other.write_all(&[0xA5; PIECE]).await?;
    }
}

/// Without a word.
async fn listen(mut client: TcpStream) -> io::Result<()> {
    let mut heard = [0; 1024];
    while client.read(&mut heard).await? > 0 {}
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each of the two who know it tries it out.
const TRIALS: usize = 2;

/// Bytes that are said at a time.
const PIECE: usize = 4096;

/// Bytes that are carried before the end: of what a test says once, the greater part is missing then.
const CUT: u64 = 8 * 1024;
