//! One open connection with a local program or service.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tracing::debug;

use crate::process::Leash;
use crate::stdio::Stdio;

/// An open connection with a local program.
///
/// Dropping it closes it, which the program may take for a proper end; [`abort`](Self::abort)
/// is for ends that are none. Must be used within the tokio runtime it was made in.
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
/// use tubes_local::Socket;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = TcpListener::bind("127.0.0.1:0").await?;
/// let mut socket = Socket::from(TcpStream::connect(service.local_addr()?).await?);
/// let (mut served, _) = service.accept().await?;
/// socket.write_all(b"hello").await?;
/// // Lest what was said looks complete.
/// socket.abort();
/// assert!(served.read_to_end(&mut Vec::new()).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Socket {
    kind: Kind,
    source: Source,
    /// The command at the other end, if this side started one.
    leash: Option<Leash>,
}

impl Socket {
    /// Standard input and output, as one connection.
    ///
    /// Never blocks a thread on a pipe, socket or terminal, and changes no flag that others
    /// share: pipes and terminals are opened anew, sockets are asked call by call not to wait.
    /// Fails if a descriptor cannot be had.
    pub fn stdio() -> io::Result<Self> {
        Ok(Self {
            kind: Kind::Stdio(Stdio::of_process()?),
            source: Source::Stdio,
            leash: None,
        })
    }

    /// Who opened the connection: the program, or this side where it dialled.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Ends the connection so that the program sees an error where there is one to see.
    ///
    /// Over TCP it is reset, and what the program has not got yet is lost. Unix sockets and pipes know no reset: they are closed. A command at the other end is told to
    /// end.
    pub fn abort(self) {
        self.reset_when_closed();
    }

    /// Makes the coming close an [`abort`](Self::abort).
    pub(crate) fn reset_when_closed(&self) {
        if let Some(leash) = &self.leash {
            leash.broken();
        }
        if let Kind::Tcp(stream) = &self.kind
            && let Err(why) = tubes_tcp::reset_when_closed(stream)
        {
            debug!(%why, "cannot reset");
        }
    }

    /// Waits until the kernel has handed to the program's side what was written.
    ///
    /// Only TCP needs this before an [`abort`](Self::abort): what was written to a Unix socket
    /// or pipe stays readable. The caller bounds the time. Cancel safe.
    pub(crate) async fn drain(&mut self) {
        match &mut self.kind {
            Kind::Tcp(stream) => tubes_tcp::drain(stream).await,
            Kind::Unix(_) => {}
            Kind::Stdio(stdio) => {
                // What cannot be flushed has nobody to read it.
                let _ = stdio.flush().await;
            }
        }
    }

    pub(crate) fn tcp(stream: TcpStream, source: Source) -> Self {
        Self {
            kind: Kind::Tcp(stream),
            source,
            leash: None,
        }
    }

    pub(crate) fn unix(stream: UnixStream, source: Source) -> Self {
        Self {
            kind: Kind::Unix(stream),
            source,
            leash: None,
        }
    }

    /// The connection of a command that this side started.
    pub(crate) fn of_process(stream: UnixStream, source: Source, leash: Leash) -> Self {
        Self {
            leash: Some(leash),
            ..Self::unix(stream, source)
        }
    }

    /// The addresses of this side and of the other, if they are those of TCP.
    pub(crate) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.kind {
            Kind::Tcp(stream) => Some((stream.local_addr().ok()?, stream.peer_addr().ok()?)),
            Kind::Unix(_) | Kind::Stdio(_) => None,
        }
    }
}

impl From<TcpStream> for Socket {
    /// Takes the remote address for the source, if the socket is still connected.
    fn from(stream: TcpStream) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let source = Source::Tcp(stream.peer_addr().unwrap_or(unknown));
        Self::tcp(stream, source)
    }
}

impl From<UnixStream> for Socket {
    /// Takes whoever is at the other end for the source.
    fn from(stream: UnixStream) -> Self {
        let source = Source::of_unix(&stream);
        Self::unix(stream, source)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Stdio(stdio) => Pin::new(stdio).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Stdio(stdio) => Pin::new(stdio).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Stdio(stdio) => Pin::new(stdio).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Stdio(stdio) => Pin::new(stdio).poll_shutdown(cx),
        }
    }
}

/// Who opened a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A TCP socket with this address.
    Tcp(SocketAddr),
    /// A process, over a Unix socket.
    Unix {
        /// Its effective user when it connected, where the kernel tells.
        uid: Option<u32>,
        /// Its process number, where the kernel tells. It may belong to another one by now.
        pid: Option<i32>,
    },
    /// Whoever holds the other ends of standard input and output.
    Stdio,
}

impl Source {
    /// The address, if it is one of TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix { .. } | Self::Stdio => None,
        }
    }

    /// The user, if the connection is one over a Unix socket and the kernel tells.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Unix { uid, .. } => *uid,
            Self::Tcp(_) | Self::Stdio => None,
        }
    }

    /// Whoever is at the other end of this socket.
    pub(crate) fn of_unix(stream: &UnixStream) -> Self {
        let cred = stream.peer_cred().ok();
        Self::Unix {
            uid: cred.map(|cred| cred.uid()),
            pid: cred.and_then(|cred| cred.pid()),
        }
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self::Unix {
            uid: Some(rustix::process::geteuid().as_raw()),
            pid: Some(rustix::process::getpid().as_raw_pid()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix { uid: None, .. } => f.write_str("unix"),
            Self::Unix {
                uid: Some(uid),
                pid: None,
            } => write!(f, "unix, uid {uid}"),
            Self::Unix {
                uid: Some(uid),
                pid: Some(pid),
            } => write!(f, "unix, uid {uid}, pid {pid}"),
            Self::Stdio => f.write_str("standard input and output"),
        }
    }
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Stdio(Stdio),
}
