//! Alice offers, Fernand accepts, each in a process of its own; their programs and the service
//! are the test's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Signal, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::program::{Account, BINARY, PATIENCE, Program, friends, words};
use crate::vitals::Vitals;

/// Makes a test of each function for each kind of server.
#[macro_export]
macro_rules! on_each_server {
    ($($name:ident),+ $(,)?) => {
        mod embedded { $(#[tokio::test] async fn $name() {
            super::$name(tubes_server::ServerKind::Embedded).await;
        })+ }
        mod prosody { $(#[tokio::test] async fn $name() {
            super::$name(tubes_server::ServerKind::Prosody).await;
        })+ }
        mod ejabberd { $(#[tokio::test] async fn $name() {
            super::$name(tubes_server::ServerKind::Ejabberd).await;
        })+ }
    };
}

/// A tube between two processes.
pub(crate) struct Shared {
    pub(crate) offering: Program,
    pub(crate) accepting: Program,
    pub(crate) alice: Account,
    pub(crate) fernand: Account,
    pub(crate) tube: SocketAddr,
    pub(crate) service: Arc<TcpListener>,
}

impl Shared {
    /// In-band: the session is what most can go wrong with. None where the server is not installed.
    pub(crate) async fn on(kind: ServerKind) -> Option<Self> {
        Self::over(kind, "ibb").await
    }

    /// The same over another transport.
    pub(crate) async fn over(kind: ServerKind, transport: &'static str) -> Option<Self> {
        let (alice, fernand) = couple(kind).await?;
        let (alice, fernand) = (alice.by(transport), fernand.by(transport));
        Some(Self::between(alice, fernand, &[BINARY], &[BINARY]).await)
    }

    /// The processes are started by these words, with their options behind.
    pub(crate) async fn between(
        alice: Account,
        fernand: Account,
        offerer: &[&str],
        joiner: &[&str],
    ) -> Self {
        let service = Arc::new(listen());
        let offering = Program::start_by(offerer, &words(&offer(&alice, &fernand, &service)));
        let accept = accept(&fernand, &alice, "127.0.0.1:0");
        let mut accepting = Program::start_by(joiner, &words(&accept));
        let tube = address(&accepting.event("listening").await);
        Self {
            offering,
            accepting,
            alice,
            fernand,
            tube,
            service,
        }
    }

    /// Alice offers anew.
    pub(crate) fn offer_again(&mut self) {
        let offer = offer(&self.alice, &self.fernand, &self.service);
        self.offering = Program::start(&words(&offer));
    }

    /// Fernand accepts anew, and listens there.
    pub(crate) fn accept_again(&mut self, listen: &str) {
        let accept = accept(&self.fernand, &self.alice, listen);
        self.accepting = Program::start(&words(&accept));
    }

    /// A program that uses the tube, and the service's end of it.
    pub(crate) async fn connection(&self) -> (TcpStream, TcpStream) {
        let connecting = async {
            tokio::try_join!(modest().connect(self.tube), async {
                Ok(self.service.accept().await?.0)
            })
        };
        let connected = timeout(PATIENCE, connecting).await;
        connected.expect("a connection").unwrap()
    }

    /// Has every connection echoed.
    pub(crate) fn serve_echo(&self) {
        echo(Arc::clone(&self.service));
    }

    /// Both sides report the proper end of so many connections more.
    pub(crate) async fn all_closed(&mut self, count: u64) {
        for program in [&mut self.offering, &mut self.accepting] {
            for _ in 0..count {
                let closed = program.event_within(CROWDED, "connection_closed").await;
                assert!(closed["error"].is_null(), "{closed}");
            }
        }
    }

    /// The two processes.
    pub(crate) fn vitals(&self) -> [Vitals; 2] {
        [&self.offering, &self.accepting].map(|program| Vitals::of(program.pid()))
    }

    /// Both end as they should, and had nothing to complain of.
    pub(crate) async fn leave(self) {
        assert_eq!(
            self.leave_complaining().await,
            [String::new(), String::new()]
        );
    }

    /// Both end as they should; what they said on standard error.
    pub(crate) async fn leave_complaining(self) -> [String; 2] {
        let mut said = [String::new(), String::new()];
        for (program, said) in [self.offering, self.accepting].into_iter().zip(&mut said) {
            program.signal(Signal::TERM);
            let (code, complaints) = program.end().await;
            assert_eq!(code, Some(0), "{complaints}");
            *said = complaints;
        }
        said
    }
}

/// Two accounts for tests that open many connections, each with a name for its one client: a
/// server that waits for the dead learns from the next login that it is in vain.
pub(crate) async fn couple(kind: ServerKind) -> Option<(Account, Account)> {
    raise_descriptors();
    let (alice, fernand) = friends(kind).await?;
    Some((
        alice.with_resource("laptop"),
        fernand.with_resource("phone"),
    ))
}

fn offer(account: &Account, to: &Account, service: &TcpListener) -> Vec<String> {
    let service = service.local_addr().unwrap().to_string();
    account.with(&["offer", &service, "--to", &to.jid, "--service", "x-test"])
}

fn accept(account: &Account, from: &Account, listen: &str) -> Vec<String> {
    account.with(&["accept", "--from", &from.jid, "--listen", listen])
}

/// Where programs find the tube, from a `listening` event.
pub(crate) fn address(listening: &Value) -> SocketAddr {
    let address = listening["address"].as_str().unwrap();
    address.strip_prefix("tcp:").unwrap().parse().unwrap()
}

/// A socket for which the kernel holds little, also at the other end: what a socket may hold
/// unsent follows from the size of its segments, which over the loopback interface is huge.
pub(crate) fn modest() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(MODEST).unwrap();
    socket.set_recv_buffer_size(MODEST).unwrap();
    socket2::SockRef::from(&socket)
        .set_tcp_mss(SEGMENT)
        .unwrap();
    socket
}

/// A service's listener; what the tube dials is modest, too.
fn listen() -> TcpListener {
    let socket = modest();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    socket.listen(4096).unwrap()
}

/// Says back what is said, to the end, to everybody.
fn echo(service: Arc<TcpListener>) {
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = service.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = socket.split();
                // What goes wrong is seen at the other end.
                if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                    let _ = writer.shutdown().await;
                }
            });
        }
    });
}

/// `length` bytes that no other seed has.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.rotate_left(32).to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// Sends this and expects it back.
pub(crate) async fn pass(socket: &mut TcpStream, said: &[u8]) {
    let (mut reader, mut writer) = socket.split();
    let mut heard = vec![0; said.len()];
    let echo = async { tokio::try_join!(writer.write_all(said), reader.read_exact(&mut heard)) };
    timeout(CROWDED, echo).await.expect("an echo").unwrap();
    assert!(heard == said, "the echo came damaged");
}

/// Tests that measure run one at a time.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// The test holds both ends of each connection, and perhaps a server.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// What is done a thousand times at once takes minutes on a slow machine; what takes longer hangs.
pub(crate) const CROWDED: Duration = Duration::from_secs(300);

/// Bytes of a socket's buffers; the kernel makes it a few thousand.
const MODEST: u32 = 4096;

/// Bytes of a segment, as on a network of old.
const SEGMENT: u32 = 536;
