//! Transports that end as they should not.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tubes_testkit::compliance::{Breach, Carrier, Property};
use tubes_transport::{Attempt, Bytestream, ConnectError, Plan, Wire, async_trait};

use crate::caught;
use crate::flaw::{Flaw, HANGS, InStream};
use crate::spoilt::{Inside, Spoil, spoilt};

#[test]
fn an_end_that_is_not_told_is_caught() {
    let breach = caught(Property::EndsWithoutAByte, Mute);
    assert!(matches!(breach, Breach::Silent(_)), "{breach}");
}

/// Shuts down here, and does not tell the peer.
#[derive(Debug)]
struct Mute;

impl Flaw for Mute {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self)
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

impl Spoil for Mute {
    fn poll_shutdown(&mut self, _: &mut Inside, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_half_close_that_is_none_is_caught() {
    let breach = caught(
        Property::EndsOneDirection,
        InStream(Deaf::claiming_half_close),
    );
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

#[test]
fn losing_what_was_shut_down_is_caught_without_half_close_too() {
    let breach = caught(Property::EndsOneDirection, InStream(Deaf::declaring_none));
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

/// Hears nothing any more once it was shut down.
struct Deaf {
    shut_down: bool,
}

impl Deaf {
    fn claiming_half_close(stream: Bytestream) -> Bytestream {
        spoilt(stream, Self { shut_down: false })
    }

    fn declaring_none(stream: Bytestream) -> Bytestream {
        Self::claiming_half_close(stream).without_half_close()
    }
}

impl Spoil for Deaf {
    fn poll_read(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.shut_down {
            true => Poll::Ready(Ok(())),
            false => inside.as_mut().poll_read(cx, buf),
        }
    }

    fn poll_shutdown(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        inside.as_mut().poll_shutdown(cx)
    }
}

#[test]
fn a_shutdown_that_forgets_what_it_holds_is_caught() {
    let flaw = InStream(|stream| {
        let (held, forgets) = (Vec::new(), Forgets::AtShutdown);
        spoilt(stream, Holding { held, forgets })
    });
    let breach = caught(Property::ClosesAfterFlushing, flaw);
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

#[test]
fn a_flush_that_passes_nothing_on_is_caught() {
    let flaw = InStream(|stream| {
        let (held, forgets) = (Vec::new(), Forgets::AtFlush);
        spoilt(stream, Holding { held, forgets })
    });
    let breach = caught(Property::FlushesBeforeBreaking, flaw);
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

/// Holds a page back, and forgets it when it should not.
struct Holding {
    held: Vec<u8>,
    forgets: Forgets,
}

#[derive(PartialEq)]
enum Forgets {
    AtFlush,
    AtShutdown,
}

impl Holding {
    fn pass_on(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let wrote = ready!(inside.as_mut().poll_write(cx, &self.held))?;
            self.held.drain(..wrote);
        }
        Poll::Ready(Ok(()))
    }
}

impl Spoil for Holding {
    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.len() >= 4096 {
            ready!(self.pass_on(inside, cx))?;
        }
        self.held.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.forgets {
            Forgets::AtFlush => Poll::Ready(Ok(())),
            Forgets::AtShutdown => self.pass_on(inside, cx),
        }
    }

    fn poll_shutdown(&mut self, inside: &mut Inside, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.forgets == Forgets::AtFlush {
            ready!(self.pass_on(inside, cx))?;
        }
        inside.as_mut().poll_shutdown(cx)
    }
}

#[test]
fn a_drop_that_looks_like_an_end_is_caught() {
    let breach = caught(
        Property::BreaksWhenDropped,
        InStream(|stream| spoilt(stream, Polite)),
    );
    assert!(matches!(breach, Breach::ForgedEnd(_)), "{breach}");
}

/// Shuts down when it is dropped.
pub(crate) struct Polite;

impl Spoil for Polite {
    fn dropped(&mut self, inside: &mut Inside) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = inside.as_mut().poll_shutdown(&mut cx);
    }
}

#[test]
fn outliving_the_session_that_should_carry_it_is_caught() {
    let breach = caught(Property::EndsWithItsCarrier, Misdeclared);
    assert!(matches!(breach, Breach::Silent(_)), "{breach}");
}

/// Says that the session carries it.
#[derive(Debug)]
struct Misdeclared;

impl Flaw for Misdeclared {
    fn carrier(&self) -> Carrier {
        Carrier::Session
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

#[test]
fn a_lost_session_that_looks_like_an_end_is_caught() {
    let breach = caught(Property::EndsWithItsCarrier, Tied(Carrier::Session));
    assert!(matches!(breach, Breach::ForgedEnd(_)), "{breach}");
}

#[test]
fn hanging_on_a_session_that_carries_nothing_is_caught() {
    let breach = caught(
        Property::EndsWithItsCarrier,
        Tied(Carrier::Own { kernel: 0 }),
    );
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

/// Takes the end of the wire for the end of the stream.
#[derive(Debug)]
struct Tied(Carrier);

#[async_trait]
impl Flaw for Tied {
    fn carrier(&self) -> Carrier {
        self.0
    }

    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let stream = attempt.connect(None, wire).await?;
        let mut wire = wire.take();
        let gone = Box::pin(async move { while wire.next().await.is_ok() {} });
        Ok(spoilt(stream, Leash { gone: Some(gone) }))
    }
}

struct Leash {
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Spoil for Leash {
    fn poll_read(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if inside.as_mut().poll_read(cx, buf)?.is_ready() && buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        if let Some(gone) = &mut self.gone {
            ready!(gone.as_mut().poll(cx));
            self.gone = None;
        }
        Poll::Ready(Ok(()))
    }
}
