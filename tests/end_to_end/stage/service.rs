//! Services to share.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tubes::Address;

use super::socket::abstract_path;
use super::{Content, Family, Place, Stream, connect, digest, patiently};

/// A service that listens.
pub(crate) struct Service {
    place: Place,
    listener: Listener,
}

impl Service {
    /// Listens at a new address of this family.
    pub(crate) async fn listen(family: Family) -> io::Result<Self> {
        let mut place = family.place();
        let listener = match &place.address {
            Address::Tcp { host, port } => {
                Listener::Tcp(TcpListener::bind((&**host, *port)).await?)
            }
            Address::Unix(path) => Listener::Unix(UnixListener::bind(path)?),
            Address::Abstract(name) => Listener::Unix(UnixListener::bind(abstract_path(name))?),
            other => panic!("nobody listens at {other}"),
        };
        if let Listener::Tcp(listener) = &listener {
            place.address = listener.local_addr()?.into();
        }
        Ok(Self { place, listener })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        self.place.address.clone()
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Stream {
        patiently("the service is connected to", self.next()).await
    }

    /// Serves every connection in a task of its own, as long as the result is kept.
    pub(crate) fn serve<F>(self, serve: impl Fn(Stream) -> F + Send + 'static) -> Serving
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let address = self.address();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                // What a service sees of an error the test sees from its own side.
                let stream = self.next().await;
                connections.spawn(serve(stream));
            }
        });
        Serving { address, task }
    }

    async fn next(&self) -> Stream {
        match &self.listener {
            Listener::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
            Listener::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// A service at work. Stops, and breaks its connections, when dropped.
pub(crate) struct Serving {
    pub(crate) address: Address,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says back what is said, to the end.
pub(crate) async fn echo(stream: Stream) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return writer.shutdown().await;
        }
        writer.write_all(buffer.get(..length).unwrap()).await?;
    }
}

/// Says something to an echo, and hears it to the end. What ends well and is not what was said is
/// [`ErrorKind::InvalidData`].
pub(crate) async fn exchange(address: &Address) -> io::Result<()> {
    let said = Content::of(7, SIZE);
    let mut program = connect(address).await?;
    program.write_all(&said).await?;
    program.shutdown().await?;
    let mut heard = Vec::new();
    program.read_to_end(&mut heard).await?;
    match digest(&heard) == digest(&said) {
        true => Ok(()),
        false => Err(ErrorKind::InvalidData.into()),
    }
}

/// How much more there is before the end.
pub(crate) async fn at_end(stream: &mut (impl AsyncReadExt + Unpin)) -> usize {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    patiently("the end is heard", reading).await.unwrap()
}

/// Connects until an echo can be reached again.
pub(crate) async fn until_served(address: &Address) {
    while !matches!(timeout(LOST, exchange(address)).await, Ok(Ok(()))) {
        sleep(BETWEEN_TRIES).await;
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A few blocks.
const SIZE: usize = 20_000;

/// An exchange that takes this long is lost. Where a server lost a stanza, its acknowledgements
/// lag behind, and each block of data is held back for seconds.
const LOST: Duration = Duration::from_secs(45);

/// While a link is down, nobody is reached at once: many who try without a rest would take the
/// processors from those that they wait for.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
