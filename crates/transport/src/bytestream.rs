//! What comes out of a negotiation.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Tried;

/// Anything that bytes can be read from and written to.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open bytestream.
///
/// - Reading ends with end-of-file only after the peer shut its side down properly, and
///   everything it wrote was read; a bytestream that breaks ends in an error.
/// - `poll_flush` is done when the transport has passed on what was written, `poll_shutdown`
///   when moreover the peer has been told that no more follows. What was written before arrives.
///   When both directions have ended, one more shutdown waits for what is still to be put away. Where
///   there is a [`receipt`](Self::receipt), one more flush waits for the peer to have everything, and
///   fails if that will never be known; elsewhere it says nothing of the peer.
/// - After a shutdown the other direction goes on, unless [`half_close`](Self::half_close) says
///   otherwise.
/// - Dropping it before both directions have ended breaks it: the peer reads an error.
pub struct Bytestream {
    io: Box<dyn Io>,
    label: &'static str,
    half_close: bool,
    receipt: bool,
    detours: Vec<Tried>,
}

impl Bytestream {
    /// A bytestream over `io`; `label` names the transport to people: `ibb`, `socks5-direct`.
    pub fn new(io: impl Io + 'static, label: &'static str) -> Self {
        Self {
            io: Box::new(io),
            label,
            half_close: true,
            receipt: false,
            detours: Vec::new(),
        }
    }

    /// Says that shutting one direction down cuts the other one short.
    pub fn without_half_close(mut self) -> Self {
        self.half_close = false;
        self
    }

    /// Says that one direction may end before the other, whatever carries it.
    pub fn with_half_close(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// Promises that a flush, when both directions have ended, is done only once the peer's machine has all that
    /// was written, and fails if that will never be known. Whoever reads it takes it for an arrival: where
    /// somebody in between takes what is written, or it was not tried, nothing is promised.
    pub fn with_receipt(mut self) -> Self {
        self.receipt = true;
        self
    }

    /// Remembers the ways of the same transport that failed before this one.
    pub fn after(mut self, detours: Vec<Tried>) -> Self {
        self.detours = detours;
        self
    }

    /// Hands over what [`after`](Self::after) remembered.
    pub fn take_detours(&mut self) -> Vec<Tried> {
        std::mem::take(&mut self.detours)
    }

    /// The transport's name for people.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// Whether one direction may end before the other.
    pub fn half_close(&self) -> bool {
        self.half_close
    }

    /// Whether a flush tells, when both directions have ended, that everything has arrived at the peer.
    pub fn receipt(&self) -> bool {
        self.receipt
    }

    /// Wraps what is inside, which takes time and may fail: to encrypt.
    ///
    /// # Errors
    ///
    /// Those of `wrap`; then what was inside is gone.
    pub async fn try_map<T, E, F>(self, wrap: impl FnOnce(Box<dyn Io>) -> F) -> Result<Self, E>
    where
        T: Io + 'static,
        F: Future<Output = Result<T, E>>,
    {
        Ok(Self {
            io: Box::new(wrap(self.io).await?),
            ..self
        })
    }

    /// Wraps what is inside: to meter, to delay.
    pub fn map<T: Io + 'static>(self, wrap: impl FnOnce(Box<dyn Io>) -> T) -> Self {
        Self {
            io: Box::new(wrap(self.io)),
            ..self
        }
    }
}

impl AsyncRead for Bytestream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl fmt::Debug for Bytestream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytestream")
            .field("label", &self.label)
            .field("half_close", &self.half_close)
            .field("receipt", &self.receipt)
            .finish_non_exhaustive()
    }
}
