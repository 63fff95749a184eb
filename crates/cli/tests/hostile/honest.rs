//! A well-behaved program, which uses the tube all the time, and how fast it is served.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::program::PATIENCE;

/// A program whose bytes go to an echo and come back, and that compares each of them.
pub(crate) struct Honest {
    back: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    writing: JoinHandle<u64>,
    reading: JoinHandle<u64>,
}

impl Honest {
    /// Begins; returns when the first bytes are back.
    pub(crate) async fn begin(tube: SocketAddr) -> Self {
        let (mut reader, mut writer) = TcpStream::connect(tube).await.unwrap().into_split();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let under_way = Arc::new(Semaphore::new(AHEAD));
        let ahead = Arc::clone(&under_way);
        let writing = tokio::spawn(async move {
            let (said, mut sent) = (content(), 0);
            while !stop.load(Ordering::Relaxed) {
                ahead.acquire().await.unwrap().forget();
                writer.write_all(&said).await.unwrap();
                sent += said.len() as u64;
            }
            writer.shutdown().await.unwrap();
            sent
        });
        let back = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&back);
        let reading = tokio::spawn(async move {
            let (said, mut heard) = (content(), vec![0; CONTENT]);
            let mut at = 0;
            loop {
                let length = reader.read(&mut heard[at..]).await.unwrap();
                if length == 0 {
                    return count.load(Ordering::Relaxed);
                }
                assert!(
                    heard[at..at + length] == said[at..at + length],
                    "it came damaged"
                );
                at = (at + length) % CONTENT;
                if at == 0 {
                    under_way.add_permits(1);
                }
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        let honest = Self {
            back,
            stopped,
            writing,
            reading,
        };
        let first = async {
            while honest.back.load(Ordering::Relaxed) == 0 {
                sleep(ROUND / 10).await;
            }
        };
        timeout(PATIENCE, first).await.expect("the tube carries");
        honest
    }

    /// What it carries in a short round, in bytes a second.
    pub(crate) async fn round(&self) -> f64 {
        let (begun, before) = (Instant::now(), self.back.load(Ordering::Relaxed));
        sleep(ROUND).await;
        let carried = self.back.load(Ordering::Relaxed) - before;
        carried as f64 / begun.elapsed().as_secs_f64()
    }

    /// Ends as a program should, and sees that nothing is missing.
    pub(crate) async fn end(self) {
        self.stopped.store(true, Ordering::Relaxed);
        let ending = async { tokio::try_join!(self.writing, self.reading) };
        let (sent, back) = timeout(PATIENCE, ending).await.expect("an end").unwrap();
        assert_eq!(sent, back, "bytes are missing");
    }
}

/// A program that comes, is served once, and goes.
pub(crate) async fn is_served(tube: SocketAddr) {
    exchange(tube).await.unwrap();
}

/// The same as soon as it can be: the tube may be on its way back.
pub(crate) async fn until_served(tube: SocketAddr) {
    let trying = async {
        while exchange(tube).await.is_err() {
            sleep(ROUND / 4).await;
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
    (0..CONTENT / 4)
        .flat_map(|word| (word as u32).wrapping_mul(0x9e37_79b1).to_be_bytes())
        .collect()
}

/// Bytes of it.
const CONTENT: usize = 32 * 1024;

/// Bytes that the kernel holds for a service that does not read.
const MODEST: u32 = 64 * 1024;

/// Connections that may wait for the service.
const BACKLOG: u32 = 4096;

/// How often it is said before the first is back: so much is enough for any tube, and in a slow one does
/// not take long to its end.
const AHEAD: usize = 16;

/// Long beside what a scheduler takes at a time.
const ROUND: Duration = Duration::from_millis(80);
