//! One direction of a splice.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::buffer::{self, Buffer};

/// What is under way in one direction, and how much went that way.
///
/// Reads only when all that was read before is written, so that a slow writer holds the reader
/// back, and a lane holds at most one buffer; an idle one holds none.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    buffer: Buffer,
    moved: u64,
    is_flushed: bool,
    is_idle: bool,
}

impl Lane {
    /// Bytes that the writer took.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether something was read that is not written yet.
    pub(crate) fn is_laden(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether, when last asked, the reader had nothing for now and all it gave was written.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Copies until the reader has ended and all it gave is written.
    ///
    /// Whenever the reader has nothing more for now, the writer is asked to flush, because it
    /// may buffer; but nobody waits for that: it may take the peer's acknowledgement, and what
    /// is written to a bytestream is on its way anyway.
    pub(crate) fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        count: impl Fn(u64),
    ) -> Poll<Result<(), Fault>> {
        self.is_idle = false;
        for _ in 0..ROUNDS {
            if self.buffer.is_empty() {
                match self.poll_fill(cx, from) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(why)) => return Poll::Ready(Err(Fault::Read(why))),
                    Poll::Pending => {
                        self.is_idle = true;
                        if let Poll::Ready(Err(why)) = self.poll_flush(cx, to) {
                            return Poll::Ready(Err(Fault::Write(why)));
                        }
                        return Poll::Pending;
                    }
                }
            }
            let bytes = self.buffer.rest();
            match ready!(Pin::new(&mut *to).poll_write(cx, bytes)) {
                Ok(0) => return Poll::Ready(Err(Fault::Write(io::ErrorKind::WriteZero.into()))),
                // A writer that claims more than it was given counts for no more.
                Ok(written) => self.take_note(written.min(bytes.len()), &count),
                Err(why) => return Poll::Ready(Err(Fault::Write(why))),
            }
        }
        // The other lane's turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Flushes what was written, if anything was.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        if !self.is_flushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        let mut bytes = buffer::lend();
        // The future holds nothing between polls, so it can be a new one each time.
        let read = pin!(from.read_buf(&mut bytes)).poll(cx);
        self.buffer.fill(bytes);
        read
    }

    fn take_note(&mut self, written: usize, count: impl Fn(u64)) {
        self.buffer.advance(written);
        self.is_flushed = false;
        // usize has at most 64 bits.
        let written = written as u64;
        self.moved += written;
        count(written);
    }
}

/// Which end of a lane failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The one that is read.
    Read(io::Error),
    /// The one that is written.
    Write(io::Error),
}

/// Reads and writes before the other lane has its turn. Without that, tokio's budget for a task
/// would all be spent on one lane as long as that is busy, and the other stand still.
const ROUNDS: usize = 16;
