//! A bytestream with something wrong between its face and its inside.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tubes_transport::{Bytestream, Io};

/// The inside.
pub(crate) type Inside = Pin<Box<dyn Io>>;

/// What is wrong. Whatever it does not say is as the inside does it.
pub(crate) trait Spoil: Send + Unpin + 'static {
    fn poll_read(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inside.as_mut().poll_read(cx, buf)
    }

    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        inside.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside.as_mut().poll_shutdown(cx)
    }

    fn dropped(&mut self, _inside: &mut Inside) {}
}

/// Puts what is wrong around a bytestream.
pub(crate) fn spoilt(stream: Bytestream, spoil: impl Spoil) -> Bytestream {
    stream.map(|inside| Spoilt {
        inside: Box::into_pin(inside),
        spoil,
    })
}

struct Spoilt<S: Spoil> {
    inside: Inside,
    spoil: S,
}

impl<S: Spoil> AsyncRead for Spoilt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inside, spoil } = &mut *self;
        spoil.poll_read(inside, cx, buf)
    }
}

impl<S: Spoil> AsyncWrite for Spoilt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { inside, spoil } = &mut *self;
        spoil.poll_write(inside, cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inside, spoil } = &mut *self;
        spoil.poll_flush(inside, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inside, spoil } = &mut *self;
        spoil.poll_shutdown(inside, cx)
    }
}

impl<S: Spoil> Drop for Spoilt<S> {
    fn drop(&mut self) {
        self.spoil.dropped(&mut self.inside);
    }
}
