//! The TCP connection below a session.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that is tuned for many small stanzas.
///
/// Until [`Allowance::lift`] it takes only so many bytes: a server that is not yet trusted
/// cannot fill the memory with an endless list of features.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    allowance: Allowance,
    pulse: Pulse,
}

impl Socket {
    /// Connects. The caller sets the deadline.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // A stanza waits for no acknowledgement: 34 round trips a second become 5,000.
        stream.set_nodelay(true)?;
        tubes_tcp::watch_peer(&stream)?;
        Ok(Self {
            stream,
            allowance: Allowance::default(),
            pulse: Pulse::new(),
        })
    }

    /// The limit on what may still be read.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// When the server was last heard.
    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        tubes_tcp::acknowledge(&self.stream);
        self.pulse.beat();
        let spent = self.allowance.spend(buf.filled().len() - before);
        if spent.is_err() {
            // An error promises that nothing was read.
            buf.set_filled(before);
        }
        Poll::Ready(spent)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// When something last came over a connection.
///
/// A connection that dies without a word is noticed late; what waits for its return has waited
/// since then.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// When the last bytes came, or when it was connected.
    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// How many bytes a server may send before the login is done.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Takes the limit away.
    pub(crate) fn lift(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Ok(());
        }
        match left.checked_sub(bytes) {
            Some(left) => {
                self.0.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more data than any login needs",
            )),
        }
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(BEFORE_LOGIN)))
    }
}

/// A login takes a few kilobytes, a chain of certificates a few more.
const BEFORE_LOGIN: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (socket, accepted) = tokio::join!(Socket::connect(address), listener.accept());
        (socket.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn sends_at_once() {
        let (socket, _server) = pair().await;
        assert!(socket.stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn acknowledges_at_once_after_each_read() {
        let (mut socket, mut server) = pair().await;
        for _ in 0..3 {
            #[cfg(target_os = "linux")]
            rustix::net::sockopt::set_tcp_quickack(&socket.stream, false).unwrap();
            server.write_all(b"x").await.unwrap();
            socket.read_u8().await.unwrap();
            #[cfg(target_os = "linux")]
            assert!(rustix::net::sockopt::tcp_quickack(&socket.stream).unwrap());
        }
    }

    #[tokio::test]
    async fn takes_only_so_much_before_the_login() {
        let (mut socket, mut server) = pair().await;
        tokio::spawn(async move { server.write_all(&vec![0; 2 * BEFORE_LOGIN]).await });
        let mut sink = Vec::new();
        let error = socket.read_to_end(&mut sink).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(sink.len() <= BEFORE_LOGIN);
    }

    #[tokio::test]
    async fn takes_everything_after_the_login() {
        let (mut socket, mut server) = pair().await;
        socket.allowance().lift();
        let flood = tokio::spawn(async move { server.write_all(&vec![0; 2 * BEFORE_LOGIN]).await });
        let mut sink = Vec::new();
        socket.read_to_end(&mut sink).await.unwrap();
        assert_eq!(sink.len(), 2 * BEFORE_LOGIN);
        flood.await.unwrap().unwrap();
    }
}
