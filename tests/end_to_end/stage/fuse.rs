//! A transport of an embedder's that panics.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tubes::Ibb;
use tubes::transport::{Attempt, Bytestream, ConnectError, Io, Plan, Transport, Wire};
use xmpp_parsers::minidom::Element;

/// Where a transport may panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Connect,
    Drop,
    Prepare,
    Read,
    Shutdown,
    Write,
}

impl Moment {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Connect,
        Self::Drop,
        Self::Prepare,
        Self::Read,
        Self::Shutdown,
        Self::Write,
    ];
}

/// What is to happen to the next bytestream, and to that one only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuse(Arc<Mutex<Option<Moment>>>);

impl Fuse {
    /// The next bytestream panics at this moment.
    pub(crate) fn light(&self, moment: Moment) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    fn take(&self) -> Option<Moment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// In-Band Bytestreams with a fuse.
#[derive(Debug)]
pub(crate) struct Fused {
    ibb: Ibb,
    fuse: Fuse,
}

impl Fused {
    pub(crate) fn with(fuse: &Fuse) -> Self {
        let (ibb, fuse) = (Ibb::new(), fuse.clone());
        Self { ibb, fuse }
    }
}

#[async_trait]
impl Transport for Fused {
    fn namespace(&self) -> &'static str {
        self.ibb.namespace()
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        let moment = self.fuse.take();
        blow(moment, Moment::Prepare);
        let attempt = self.ibb.prepare(plan).await?;
        Ok(Box::new(FusedAttempt { attempt, moment }))
    }
}

struct FusedAttempt {
    attempt: Box<dyn Attempt>,
    moment: Option<Moment>,
}

#[async_trait]
impl Attempt for FusedAttempt {
    async fn connect(
        self: Box<Self>,
        remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        blow(self.moment, Moment::Connect);
        let moment = self.moment;
        let stream = self.attempt.connect(remote, wire).await?;
        Ok(stream.map(|io| FusedIo { io, moment }))
    }
}

struct FusedIo {
    io: Box<dyn Io>,
    moment: Option<Moment>,
}

impl AsyncRead for FusedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        blow(self.moment, Moment::Read);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for FusedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        blow(self.moment, Moment::Write);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        blow(self.moment, Moment::Shutdown);
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Drop for FusedIo {
    fn drop(&mut self) {
        // A second panic on top of another ends any program; that is Rust's rule.
        if !thread::panicking() {
            blow(self.moment, Moment::Drop);
        }
    }
}

fn blow(moment: Option<Moment>, now: Moment) {
    assert!(moment != Some(now), "the fuse was lit for {now:?}");
}
