//! Hosts that are of no use.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::peers::PATIENCE;

/// How a host treats those who connect.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Says nothing at all.
    Silent,
    /// Says nothing once the greeting is over.
    SilentAfterGreeting,
    /// Speaks something else.
    Nonsense,
    /// Wants a password.
    WantsPassword,
    /// Knows no such stream.
    Refuses,
    /// Ends the connection at once.
    Leaves,
}

/// A host that takes connections, and that is all it does.
pub(crate) struct Host {
    pub(crate) port: u16,
    visitors: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Host {
    pub(crate) async fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let visitors = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visitors);
        let accepting = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut visitor, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                receive(&mut visitor, manner).await;
                if !matches!(manner, Manner::Leaves) {
                    open.push(visitor);
                }
            }
        });
        Self {
            port,
            visitors,
            accepting: accepting.abort_handle(),
        }
    }

    /// Waits for the first who connects, and there is none more.
    pub(crate) async fn visited_once(&self) {
        let visited = async {
            while self.visitors() == 0 {
                // It is let in by a task of its own.
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, visited).await.expect("a visitor");
        assert_eq!(self.visitors(), 1);
    }

    /// Who has connected so far.
    pub(crate) fn visitors(&self) -> usize {
        self.visitors.load(Ordering::Relaxed)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn receive(visitor: &mut TcpStream, manner: Manner) {
    let (greeting, answer): (_, &[u8]) = match manner {
        Manner::Silent | Manner::Leaves => return,
        Manner::SilentAfterGreeting => (&[5, 0], &[]),
        Manner::Nonsense => (b"HT", b"TP/1.1 400 Bad Request\r\n\r\n"),
        Manner::WantsPassword => (&[5, 2], &[]),
        Manner::Refuses => (&[5, 0], &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]),
    };
    let mut heard = [0; 3];
    // Who has gone is told nothing.
    let _ = visitor.read_exact(&mut heard).await;
    let _ = visitor.write_all(greeting).await;
    let mut heard = [0; 47];
    if !answer.is_empty() {
        let _ = visitor.read(&mut heard).await;
        let _ = visitor.write_all(answer).await;
    }
}

/// A port at which nobody listens; kept from being given to others.
pub(crate) struct Refusing {
    pub(crate) port: u16,
    _keeper: Socket,
}

impl Refusing {
    pub(crate) fn new() -> Self {
        let (keeper, port) = bound();
        Self {
            port,
            _keeper: keeper,
        }
    }
}

/// A listener that cannot take a connection more: whoever tries waits.
pub(crate) struct Blackhole {
    pub(crate) port: u16,
    _sockets: Vec<Socket>,
}

impl Blackhole {
    pub(crate) fn new() -> Self {
        let (listener, port) = bound();
        listener.listen(0).unwrap();
        let mut sockets = vec![listener];
        // One more than asked for is let in; the next finds no place.
        for _ in 0..3 {
            let visitor = socket();
            visitor.set_nonblocking(true).unwrap();
            // It is under way, for ever perhaps.
            let _ = visitor.connect(&localhost(port));
            sockets.push(visitor);
        }
        Self {
            port,
            _sockets: sockets,
        }
    }
}

fn bound() -> (Socket, u16) {
    let socket = socket();
    socket.bind(&localhost(0)).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address.port())
}

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn localhost(port: u16) -> SockAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}
