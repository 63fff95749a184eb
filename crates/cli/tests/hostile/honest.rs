//! A well-behaved program that uses the tube, and how fast it is served.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::measuring::soon;
use crate::program::PATIENCE;

/// A program whose bytes go to an echo and come back, and that compares each of them. It says something
/// only while it is asked to, so that it takes no processor from what is not measured.
pub(crate) struct Honest {
    socket: Arc<Mutex<TcpStream>>,
    said: Arc<Vec<u8>>,
}

impl Honest {
    /// Begins; returns when the tube carries as it does from then on.
    pub(crate) async fn begin(tube: SocketAddr) -> Self {
        let socket = TcpStream::connect(tube).await.unwrap();
        // The end of a round would wait for the kernel's acknowledgement of what came before.
        socket.set_nodelay(true).unwrap();
        let mut honest = Self {
            socket: Arc::new(Mutex::new(socket)),
            said: Arc::new(content()),
        };
        honest.round(WARMING_UP).await;
        honest
    }

    /// Says so many pieces, and hears them back: how fast, in bytes a second.
    ///
    /// In a task of its own: what Carol has to do before she says something does not hold it up.
    pub(crate) async fn round(&mut self, pieces: usize) -> f64 {
        let (socket, said) = (Arc::clone(&self.socket), Arc::clone(&self.said));
        let exchanging = tokio::spawn(async move {
            let begun = Instant::now();
            let mut socket = socket.lock().await;
            let (mut reader, mut writer) = socket.split();
            let saying = async {
                for _ in 0..pieces {
                    writer.write_all(&said).await.unwrap();
                }
            };
            let hearing = async {
                let mut heard = vec![0; PIECE];
                for _ in 0..pieces {
                    reader.read_exact(&mut heard).await.unwrap();
                    assert!(heard == *said, "it came damaged");
                }
            };
            tokio::join!(saying, hearing);
            (pieces * PIECE) as f64 / begun.elapsed().as_secs_f64()
        });
        let exchanged = timeout(PATIENCE, exchanging).await;
        exchanged.expect("the tube carries").unwrap()
    }

    /// Says a little now and then, until something is over.
    pub(crate) async fn trickle(&mut self, over: &Cell<bool>) {
        let mut pace = interval(TRICKLE);
        while !over.get() {
            pace.tick().await;
            self.round(1).await;
        }
    }

    /// Ends as a program should, and sees that nothing comes that was not said.
    pub(crate) async fn end(self) {
        let mut socket = self.socket.lock().await;
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ending = socket.read_to_end(&mut rest);
        timeout(PATIENCE, ending).await.expect("an end").unwrap();
        assert!(rest.is_empty(), "{} bytes more than were said", rest.len());
    }
}

/// A program that comes, is served once, and goes.
pub(crate) async fn is_served(tube: SocketAddr) {
    exchange(tube).await.unwrap();
}

/// Programs come and go without an end, one after the other: each is served, and none of them late.
///
/// One that took longer is not made up for: what comes later would be slowed down by that.
pub(crate) async fn come_and_go(tube: SocketAddr) {
    let mut pace = interval(BETWEEN);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        timeout(soon(SOON), is_served(tube)).await.expect("soon");
    }
}

/// A program is served as soon as it can be: the tube may be on its way back.
pub(crate) async fn until_served(tube: SocketAddr) {
    let trying = async {
        while exchange(tube).await.is_err() {
            sleep(TRICKLE).await;
        }
    };
    timeout(PATIENCE, trying).await.expect("it is served");
}

async fn exchange(tube: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect(tube).await?;
    let said = content();
    let mut heard = Vec::new();
    let (mut reader, mut writer) = socket.split();
    let exchange = async {
        tokio::try_join!(
            async {
                writer.write_all(&said).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut heard)
        )
    };
    timeout(PATIENCE, exchange).await.expect("an echo")?;
    assert!(heard == said, "it came damaged");
    Ok(())
}

/// A service that says everything back.
pub(crate) async fn echo() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(MODEST).unwrap();
    socket.set_send_buffer_size(MODEST).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(BACKLOG).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = socket.split();
                // What goes wrong is seen at the other end.
                if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                    let _ = writer.shutdown().await;
                }
            });
        }
    });
    address
}

/// What is said again and again: no part of it stands in another place, too.
fn content() -> Vec<u8> {
    (0..PIECE / 4)
        .flat_map(|word| (word as u32).wrapping_mul(0x9e37_79b1).to_be_bytes())
        .collect()
}

/// Bytes of it.
const PIECE: usize = 32 * 1024;

/// Bytes that the kernel holds for a service that does not read.
const MODEST: u32 = 64 * 1024;

/// Connections that may wait for the service.
const BACKLOG: u32 = 4096;

/// Pieces after which a window of blocks is as wide as it gets.
const WARMING_UP: usize = 8;

/// From one program to the next of those that come and go.
const BETWEEN: Duration = Duration::from_millis(40);

/// When such a one is served at the latest: long before anybody is sent away that says nothing, which is
/// after ten seconds, and before a bytestream is given up, which is after five.
const SOON: Duration = Duration::from_secs(4);

/// From one word to the next of a program that has little to say.
const TRICKLE: Duration = Duration::from_millis(20);
