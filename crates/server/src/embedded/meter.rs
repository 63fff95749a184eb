//! Counts what a client sends, so that no stanza grows beyond a bound.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// A reader that fails once more than `limit` bytes were read since [`Meter::lap`].
#[derive(Debug)]
pub(super) struct Meter<Io> {
    io: Io,
    read: AtomicUsize,
    limit: AtomicUsize,
}

impl<Io> Meter<Io> {
    pub(super) fn new(io: Io, limit: usize) -> Self {
        Self {
            io,
            read: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
        }
    }

    /// How many bytes were read since the last call.
    pub(super) fn lap(&self) -> usize {
        self.read.swap(0, Ordering::Relaxed)
    }

    /// Changes the bound.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether the bound was overstepped.
    pub(super) fn overrun(&self) -> bool {
        self.read.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn into_inner(self) -> Io {
        self.io
    }

    fn check(&self) -> io::Result<()> {
        if self.overrun() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "stanza too big"));
        }
        Ok(())
    }
}

impl<Io: AsyncBufRead + Unpin> AsyncBufRead for Meter<Io> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.check()?;
        Pin::new(&mut self.get_mut().io).poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.read.fetch_add(amount, Ordering::Relaxed);
        Pin::new(&mut self.get_mut().io).consume(amount);
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Meter<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let grown = buffer.filled().len() - before;
        this.read.fetch_add(grown, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Meter<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
