//! A server gone bad: it stands before the real one, and adds, changes, leaves out and ends what it likes.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::program::PATIENCE;
use crate::stanzas::Stanzas;

/// What a client takes for its server. What both say passes through it stanza by stanza, from when the
/// client has logged in, so that it can be [meddled with](Self::plot).
pub(crate) struct Meddler {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// To whom something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toward {
    Client,
    Server,
}

/// What becomes of a stanza: all that is said in its place, to whomever.
type Plot = dyn FnMut(Toward, String) -> Vec<(Toward, String)> + Send;

impl Meddler {
    /// Before the server that waits here for clients without encryption.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            plot: Mutex::new(Box::new(|toward, stanza| vec![(toward, stanza)])),
            last_words: Mutex::default(),
            client: Mutex::default(),
            logins: AtomicUsize::new(0),
        });
        let sharing = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Whatever ends it, the client comes back.
                drop(tokio::spawn(carry(Arc::clone(&sharing), client)));
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// Does this with every stanza from now on.
    pub(crate) fn plot(
        &self,
        plot: impl FnMut(Toward, String) -> Vec<(Toward, String)> + Send + 'static,
    ) {
        *lock(&self.shared.plot) = Box::new(plot);
    }

    /// Lets everything pass from now on.
    pub(crate) fn relent(&self) {
        self.plot(|toward, stanza| vec![(toward, stanza)]);
    }

    /// Says exactly this to the client that logged in last, between two stanzas of the server's.
    pub(crate) async fn say(&self, bytes: impl Into<Vec<u8>>) {
        let client = lock(&self.shared.client).clone().unwrap();
        let saying = client.send(Piece::Bytes(bytes.into()));
        // Who has hung up hears nothing; what follows says whether that was right.
        let _ = timeout(PATIENCE, saying).await.expect("the client reads");
    }

    /// Ends the connection of the client that logged in last.
    pub(crate) async fn hang_up(&self) {
        let client = lock(&self.shared.client).clone().unwrap();
        // It may have gone by itself.
        let _ = client.send(Piece::End).await;
    }

    /// Says this to whoever logs in from now on, and hangs up.
    pub(crate) fn dismisses_with(&self, words: Option<&'static str>) {
        *lock(&self.shared.last_words) = words;
    }

    /// How often somebody has logged in.
    pub(crate) fn logins(&self) -> usize {
        self.shared.logins.load(Ordering::Relaxed)
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Shared {
    server: SocketAddr,
    plot: Mutex<Box<Plot>>,
    last_words: Mutex<Option<&'static str>>,
    /// Of whom has logged in last.
    client: Mutex<Option<mpsc::Sender<Piece>>>,
    logins: AtomicUsize,
}

/// What is written at a time.
enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// Where to write, to either side.
#[derive(Clone)]
struct Ends {
    client: mpsc::Sender<Piece>,
    server: mpsc::Sender<Piece>,
}

async fn carry(shared: Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let server = TcpStream::connect(shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let ((client, of_client), (server, of_server)) = (mpsc::channel(1), mpsc::channel(1));
    let ends = Ends { client, server };
    let before = shared.logins();
    tokio::select! {
        ended = write(to_client, of_client) => ended,
        ended = write(to_server, of_server) => ended,
        ended = read_server(&shared, from_server, &ends) => ended,
        ended = read_client(&shared, from_client, &ends, before) => ended,
    }
}

impl Shared {
    fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    async fn meddle(&self, toward: Toward, stanza: String, ends: &Ends) {
        let said = lock(&self.plot)(toward, stanza);
        for (toward, stanza) in said {
            let end = match toward {
                Toward::Client => &ends.client,
                Toward::Server => &ends.server,
            };
            // An end that is gone ends the other, too.
            let _ = end.send(Piece::Bytes(stanza.into_bytes())).await;
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut pieces: mpsc::Receiver<Piece>) -> io::Result<()> {
    while let Some(Piece::Bytes(bytes)) = pieces.recv().await {
        writer.write_all(&bytes).await?;
    }
    writer.shutdown().await
}

async fn read_server(shared: &Shared, mut reader: OwnedReadHalf, ends: &Ends) -> io::Result<()> {
    let mut bytes = vec![0; PIECE];
    let mut headers = 0;
    // The client says nothing between a header of the server's and its own, so that each comes alone.
    while headers < HEADERS {
        let said = read(&mut reader, &mut bytes).await?;
        headers += usize::from(String::from_utf8_lossy(said).contains("</stream:features>"));
        if headers == HEADERS {
            *lock(&shared.client) = Some(ends.client.clone());
            shared.logins.fetch_add(1, Ordering::Relaxed);
        }
        let _ = ends.client.send(Piece::Bytes(said.to_vec())).await;
    }
    let last_words = *lock(&shared.last_words);
    if let Some(words) = last_words {
        let _ = ends.client.send(Piece::Bytes(words.into())).await;
        let _ = ends.client.send(Piece::End).await;
    }
    let mut stanzas = Stanzas::default();
    loop {
        let said = read(&mut reader, &mut bytes).await?;
        for stanza in stanzas.cut(said) {
            shared.meddle(Toward::Client, stanza, ends).await;
        }
    }
}

async fn read_client(
    shared: &Shared,
    mut reader: OwnedReadHalf,
    ends: &Ends,
    before: usize,
) -> io::Result<()> {
    let mut bytes = vec![0; PIECE];
    let mut stanzas = Stanzas::default();
    loop {
        let said = read(&mut reader, &mut bytes).await?;
        if shared.logins() == before {
            let _ = ends.server.send(Piece::Bytes(said.to_vec())).await;
            continue;
        }
        for stanza in stanzas.cut(said) {
            shared.meddle(Toward::Server, stanza, ends).await;
        }
    }
}

async fn read<'a>(reader: &mut OwnedReadHalf, bytes: &'a mut [u8]) -> io::Result<&'a [u8]> {
    match reader.read(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok(&bytes[..length]),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With the second one the server lets a client in that it knows by then.
const HEADERS: usize = 2;

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
