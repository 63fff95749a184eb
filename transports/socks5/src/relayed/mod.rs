//! An open bytestream through a proxy, between two of our own kind.
//!
//! XEP-0065 has no words for an end: a proxy passes the end of a TCP connection on, if that was an
//! end or an error, and cuts the other direction off. And Prosody's (0.12.3) holds the last bytes
//! of a burst back. So what goes through a proxy is framed:
//!
//! - [`frame`]: the frames
//! - [`ledger`]: what is still under way, and when a proxy needs a nudge
//! - `framed.rs`: the connection that speaks them
//! - the stream (this file)

pub mod frame;
mod framed;
pub mod ledger;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};

use self::framed::{Closing, Framed, Inbound};
use crate::parting;

/// A framed TCP connection, as a stream.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Only gone once dropped.
    framed: Option<Framed>,
    is_shut: bool,
    /// How long a shutdown still waits for the peer to have everything.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Relayed {
    /// The connection is active, and the first frame was heard or said.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            framed: Some(Framed::new(stream)),
            is_shut: false,
            patience: None,
        }
    }

    fn framed(&mut self) -> io::Result<&mut Framed> {
        self.framed
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Relayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.framed()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Relayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.framed()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.framed()?.poll_flush(cx)
    }

    /// The connection itself stays open for the other direction. If that has ended, the peer has a
    /// moment to say that it has everything: the process may end right after.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_shut = std::mem::replace(&mut self.is_shut, true);
        let framed = self.framed()?;
        if !is_shut {
            framed.end();
        }
        if let Poll::Ready(flushed) = framed.poll_flush(cx) {
            return Poll::Ready(flushed);
        }
        ready!(framed.poll_drained(cx))?;
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        patience.as_mut().poll(cx).map(Ok)
    }
}

impl Drop for Relayed {
    /// Without an end frame the peer takes this for the break that it is. With one it is waited for
    /// to arrive: a proxy that has not read everything when the connection ends may lose it.
    fn drop(&mut self) {
        let Some(mut framed) = self.framed.take() else {
            return;
        };
        let has_ended = self.is_shut && framed.inbound() == Inbound::Ended;
        if !has_ended {
            return parting::let_go(framed.into_stream());
        }
        if framed.is_settled() {
            return match framed.closing() {
                Closing::Ours => parting::let_go(framed.into_stream()),
                Closing::Theirs => parting::await_end(framed.into_stream()),
            };
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Whoever has gone meanwhile has it, or will never have it.
                let _ = timeout(FAREWELL, poll_fn(|cx| framed.poll_settled(cx))).await;
                parting::let_go(framed.into_stream());
            });
        }
    }
}

/// How long a shutdown waits for the peer, which may be a slow reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the peer may take to say that the end has arrived, when nobody waits for it.
const FAREWELL: Duration = Duration::from_secs(5);
