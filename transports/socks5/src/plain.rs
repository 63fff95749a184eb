//! An open bytestream as XEP-0065 has it: a TCP connection, and nothing else.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tubes_transport::Bytestream;

use crate::{Way, parting};

/// A TCP connection that, when dropped before both directions have ended, ends in an error at its
/// other end.
#[derive(Debug)]
pub(crate) struct Plain {
    /// Only gone once dropped, or once it has broken after both directions had ended.
    stream: Option<TcpStream>,
    end: End,
    is_shut: bool,
    has_ended: bool,
    /// Until the next look whether the peer has everything.
    glance: Option<Pin<Box<Sleep>>>,
}

/// What the end of one direction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The end of that direction, as in TCP.
    OfOneDirection,
    /// The end of everything: so proxies have it, and Gabble.
    OfBoth,
}

impl Plain {
    pub(crate) fn new(stream: TcpStream, end: End) -> Self {
        // Whatever becomes of this process, an end that was not meant does not look like one.
        parting::reset_when_closed(&stream);
        Self {
            stream: Some(stream),
            end,
            is_shut: false,
            has_ended: false,
            glance: None,
        }
    }

    /// The open bytestream, with what this way's label says.
    pub(crate) fn open(stream: TcpStream, end: End, way: Way) -> Bytestream {
        let stream = Bytestream::new(Self::new(stream, end), way.label());
        let stream = match way {
            // Elsewhere it was not tried what a kernel says of a connection that has ended.
            Way::Direct if cfg!(target_os = "linux") => stream.with_receipt(),
            Way::Direct => stream,
            // It acknowledges everything itself, and ends in order when the peer has gone.
            Way::Proxy => stream,
        };
        match end {
            End::OfOneDirection => stream,
            End::OfBoth => stream.without_half_close(),
        }
    }

    /// When both directions have ended, the connection may.
    fn note_end(&self) {
        if self.is_shut
            && self.has_ended
            && let Some(stream) = &self.stream
        {
            parting::end_when_closed(stream);
        }
    }

    /// Waits for the peer's machine to have everything. No event tells of it: a socket of which both
    /// directions have ended is ready for anything.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let stream = self.stream.as_ref().ok_or_else(gone)?;
            match tubes_tcp::has_ended(stream) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(why) => {
                    // That is said once.
                    self.stream = None;
                    return Poll::Ready(Err(why));
                }
            }
            let glance = self.glance.get_or_insert_with(|| Box::pin(sleep(GLANCE)));
            ready!(glance.as_mut().poll(cx));
            self.glance = None;
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut();
        stream.map(Pin::new).ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let wanted = buf.remaining();
        ready!(self.stream()?.poll_read(cx, buf))?;
        if wanted > 0 && buf.filled().len() == before && !self.has_ended {
            self.has_ended = true;
            self.note_end();
            if let (End::OfBoth, Some(stream)) = (self.end, &self.stream) {
                // Nothing is written from now on, and the peer waits to hear so. Fails if it has gone.
                let _ = SockRef::from(stream).shutdown(Shutdown::Write);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_ended && self.end == End::OfBoth {
            // The kernel would take it, and nobody would get it.
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.is_shut && self.has_ended {
            true => self.poll_received(cx),
            false => self.stream()?.poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_shutdown(cx))?;
        self.is_shut = true;
        self.note_end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        match self.stream.take() {
            Some(stream) if !self.is_shut => parting::break_off(stream),
            Some(stream) if !self.has_ended => parting::hear_no_more(stream),
            _ => {}
        }
    }
}

/// Between two looks whether the peer has everything: less than a person notices.
const GLANCE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// A bytestream to others and its other end, which has ended its direction and read nothing; how much
    /// is written.
    async fn unread(way: Way) -> (Bytestream, TcpStream, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut near, mut far) = (Plain::open(near.unwrap(), End::OfBoth, way), far.unwrap().0);
        let block = vec![7; 1 << 20];
        let mut written = 0;
        while let Ok(wrote) = timeout(MOMENT, near.write(&block)).await {
            written += wrote.unwrap();
        }
        near.shutdown().await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        (near, far, written)
    }

    #[tokio::test]
    async fn what_is_unread_when_both_directions_have_ended_is_waited_for() {
        let (mut near, mut far, written) = unread(Way::Direct).await;
        assert!(timeout(MOMENT, near.flush()).await.is_err());
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), written);
        timeout(PATIENCE, near.flush()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_goes_with_something_unread_does_not_have_it() {
        let (mut near, far, _) = unread(Way::Direct).await;
        drop(far);
        for _ in 0..2 {
            let flushed = timeout(PATIENCE, near.flush()).await.unwrap();
            flushed.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_proxy_tells_nothing_of_the_peer() {
        let (direct, ..) = unread(Way::Direct).await;
        let (proxied, ..) = unread(Way::Proxy).await;
        assert!(direct.receipt() && !proxied.receipt());
    }

    const MOMENT: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(30);
}
