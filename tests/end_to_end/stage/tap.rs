//! Somebody on the way of the bytes, whatever carries them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tubes::transport::{Attempt, Bytestream, ConnectError, Io, Plan, Stanzas, Transport, Wire};
use tubes::{FullJid, Ibb, Socks5, TransportName};
use xmpp_parsers::minidom::Element;

/// What is done to what one side reads, or says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Meddling {
    /// It ends here.
    CutShort,
    /// A bit of it is changed.
    Garble,
    /// It reads nothing more once so many bytes were carried, until something else is done.
    Hold(usize),
    #[default]
    Nothing,
    /// It says nothing more once so many bytes were carried, however long it tries.
    Silence(usize),
}

/// Sees what a transport carries, as the network does, and meddles with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seen: Vec<u8>,
    meddling: Meddling,
    /// Who waits to read on.
    held: Option<Waker>,
}

impl State {
    fn holds(&self) -> bool {
        matches!(self.meddling, Meddling::Hold(from) if self.seen.len() >= from)
    }

    fn silences(&self) -> bool {
        matches!(self.meddling, Meddling::Silence(from) if self.seen.len() >= from)
    }
}

impl Tap {
    /// The transport of this name, tapped.
    pub(crate) fn on(&self, name: TransportName) -> Arc<dyn Transport> {
        let inner: Arc<dyn Transport> = match name {
            TransportName::Socks5Direct => Arc::new(Socks5::direct()),
            TransportName::Socks5Proxy => Arc::new(Socks5::proxied().with_flawed_proxies()),
            _ => Arc::new(Ibb::new()),
        };
        let tap = self.clone();
        Arc::new(Tapped { inner, tap })
    }

    /// From now on this is done.
    pub(crate) fn meddle(&self, meddling: Meddling) {
        let held = self.with(|state| {
            state.meddling = meddling;
            state.held.take()
        });
        held.into_iter().for_each(Waker::wake);
    }

    /// All that was carried.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.with(|state| state.seen.clone())
    }

    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug)]
struct Tapped {
    inner: Arc<dyn Transport>,
    tap: Tap,
}

#[async_trait]
impl Transport for Tapped {
    fn namespace(&self) -> &'static str {
        self.inner.namespace()
    }

    async fn explore(&self, account: FullJid, stanzas: Stanzas) {
        self.inner.explore(account, stanzas).await;
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        let attempt = self.inner.prepare(plan).await?;
        let tap = self.tap.clone();
        Ok(Box::new(TappedAttempt { attempt, tap }))
    }
}

struct TappedAttempt {
    attempt: Box<dyn Attempt>,
    tap: Tap,
}

#[async_trait]
impl Attempt for TappedAttempt {
    async fn connect(
        self: Box<Self>,
        remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let tap = self.tap;
        let stream = self.attempt.connect(remote, wire).await?;
        Ok(stream.map(|io| TappedIo { io, tap }))
    }
}

struct TappedIo {
    io: Box<dyn Io>,
    tap: Tap,
}

impl AsyncRead for TappedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_held = self.tap.with(|state| {
            state.held = state.holds().then(|| cx.waker().clone());
            state.held.is_some()
        });
        if is_held {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled_mut().get_mut(before..).unwrap_or_default();
        let cut = self.tap.with(|state| {
            state.seen.extend_from_slice(read);
            if let (Meddling::Garble, Some(last)) = (state.meddling, read.last_mut()) {
                *last ^= 1;
            }
            state.meddling == Meddling::CutShort
        });
        if cut {
            buf.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TappedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.tap.with(|state| state.silences()) {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        let taken = buf.get(..written).unwrap_or_default();
        self.tap.with(|state| state.seen.extend_from_slice(taken));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.tap.with(|state| state.silences()) {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
