//! An open bytestream as XEP-0065 has it: a TCP connection, and nothing else.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tubes_transport::Bytestream;

use crate::{Way, parting};

/// A TCP connection that, when dropped before both directions have ended, ends in an error at its
/// other end.
#[derive(Debug)]
pub(crate) struct Plain {
    /// Only gone once dropped.
    stream: Option<TcpStream>,
    end: End,
    is_shut: bool,
    has_ended: bool,
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
        }
    }

    /// The open bytestream, with what this way's label says.
    pub(crate) fn open(stream: TcpStream, end: End, way: Way) -> Bytestream {
        let stream = Bytestream::new(Self::new(stream, end), way.label());
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
        self.stream()?.poll_flush(cx)
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
