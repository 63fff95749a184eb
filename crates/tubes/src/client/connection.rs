//! A connection through a tube that the application holds itself.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tubes_local::Socket;

/// A connection to the service behind a tube.
///
/// The end of what can be read is a proper one: a connection that breaks, or never opens, ends with
/// an error. Each direction can be shut down by itself. Dropping it closes it. Must be used within the tokio
/// runtime it was made in.
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tubes::{ClientEvent, Command, Offer, StreamTubeClient, Tubes};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let keys = tempfile::tempdir()?;
/// # let mut people = Vec::new();
/// # for name in ["alice", "fernand"] {
/// #     let (account, at) = (server.fresh_account(name).await?, server.address());
/// #     let account = tubes::Account::new(account.jid.into(), account.password)?
/// #         .with_server(&at.ip().to_string(), at.port())?
/// #         .with_roots_pem(server.ca().pem().as_bytes())?;
/// #     let builder = Tubes::builder(account).keys_in(keys.path());
/// #     people.push(builder.start().await?.0);
/// # }
/// # let (fernand, alice) = (people.pop().ok_or("two")?, people.pop().ok_or("two")?);
/// # let fernands = fernand.login().await?.jid.to_bare();
/// # let alices = alice.login().await?.jid.to_bare();
/// # for (one, other) in [(&alice, &fernands), (&fernand, &alices)] {
/// #     one.befriend(other).await;
/// # }
/// # alice.offer(Offer::command(fernands, "x-echo", Command::new("cat"))).await?;
/// let client = StreamTubeClient::builder().services_for_contacts(["x-echo"]).build();
/// let (_, mut events) = client.watch();
/// client.add(&fernand).await?;
/// let tube = loop {
///     match events.next().await.ok_or("the client is gone")? {
///         ClientEvent::TubeAccepted { tube, .. } => break tube,
///         _ => {}
///     }
/// };
/// let mut connection = client.connect(tube.id).await?;
/// connection.write_all(b"hello").await?;
/// connection.shutdown().await?;
/// let mut answer = String::new();
/// connection.read_to_string(&mut answer).await?;
/// assert_eq!(answer, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// A connection, and the end of it that goes into the tube.
    ///
    /// A pair of Unix sockets would do, if only they knew a reset: a connection that breaks would look
    /// as if it had ended.
    pub(super) async fn pair() -> io::Result<(Self, Socket)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (ours, others) = tokio::try_join!(TcpStream::connect(address), async {
            listener.accept().await
        })?;
        let own = ours.local_addr()?;
        let (mut inside, mut source) = others;
        // Another program may have come first; it is cut off.
        while source != own {
            (inside, source) = listener.accept().await?;
        }
        ours.set_nodelay(true)?;
        inside.set_nodelay(true)?;
        Ok((Self(ours), inside.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
