//! The two halves of a bytestream: tokio's pipe, and whether its end was meant.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// One end of a bytestream.
///
/// A pipe ends alike whether its writer was shut down or dropped. The contract wants an error
/// for the latter, so each half says whether it was shut down.
#[derive(Debug)]
pub(crate) struct Half {
    pipe: DuplexStream,
    shut_down: Arc<AtomicBool>,
    peer_shut_down: Arc<AtomicBool>,
}

/// Two halves of one bytestream.
pub(crate) fn pair() -> (Half, Half) {
    let (a, b) = tokio::io::duplex(PIPE);
    let (a_shut_down, b_shut_down) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let here = Half {
        pipe: a,
        shut_down: Arc::clone(&a_shut_down),
        peer_shut_down: Arc::clone(&b_shut_down),
    };
    let there = Half {
        pipe: b,
        shut_down: b_shut_down,
        peer_shut_down: a_shut_down,
    };
    (here, there)
}

impl AsyncRead for Half {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let wanted = buf.remaining();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buf))?;
        let ended = wanted > 0 && buf.filled().len() == before;
        if ended && !self.peer_shut_down.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Half {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Said before the pipe ends, so that whoever sees the end sees this, too.
        self.shut_down.store(true, Ordering::Release);
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// Bytes on their way in each direction; a writer that is ahead of its reader by more waits.
const PIPE: usize = 64 * 1024;
