//! Transports that spoil what they carry.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tubes_testkit::compliance::{Breach, Property};
use tubes_transport::{Bytestream, Plan, Role, StreamId, async_trait};

use crate::caught;
use crate::flaw::{Flaw, HANGS};
use crate::spoilt::{Inside, Spoil, spoilt};

#[test]
fn reordering_is_caught() {
    let breach = caught(Property::CarriesInOrder, Reordering);
    assert!(matches!(breach, Breach::Differs { .. }), "{breach}");
}

/// Turns around what is written at a time.
#[derive(Debug)]
struct Reordering;

impl Flaw for Reordering {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self)
    }
}

impl Spoil for Reordering {
    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let turned: Vec<u8> = buf.iter().rev().copied().collect();
        inside.as_mut().poll_write(cx, &turned)
    }
}

#[test]
fn a_lost_byte_is_caught() {
    let breach = caught(Property::CarriesInOrder, Losing { written: 0 });
    assert!(
        matches!(breach, Breach::Differs { expected, heard, .. } if heard + 1 == expected),
        "{breach}"
    );
}

/// Loses one byte of many.
#[derive(Debug)]
struct Losing {
    written: usize,
}

impl Flaw for Losing {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self { written: 0 })
    }
}

impl Spoil for Losing {
    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let before = self.written;
        let lost = 100_000;
        let wrote = match before == lost {
            true => 1,
            false => {
                let end = buf.len().min(lost.checked_sub(before).unwrap_or(buf.len()));
                ready!(inside.as_mut().poll_write(cx, &buf[..end]))?
            }
        };
        self.written += wrote;
        Poll::Ready(Ok(wrote))
    }
}

#[test]
fn a_direction_that_waits_for_the_other_is_caught() {
    let breach = caught(Property::CarriesBothWays, Alternating { has_read: false });
    assert!(matches!(breach, Breach::Silent(_)), "{breach}");
}

/// Whoever has read anything cannot write any more.
#[derive(Debug)]
struct Alternating {
    has_read: bool,
}

impl Flaw for Alternating {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self { has_read: false })
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

impl Spoil for Alternating {
    fn poll_read(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(inside.as_mut().poll_read(cx, buf))?;
        self.has_read = true;
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.has_read {
            true => Poll::Pending,
            false => inside.as_mut().poll_write(cx, buf),
        }
    }
}

#[test]
fn mixing_streams_is_caught() {
    caught(Property::KeepsStreamsApart, Mixing);
}

/// The responder takes one stream for another.
#[derive(Debug)]
struct Mixing;

#[async_trait]
impl Flaw for Mixing {
    async fn prepare(&self, mut plan: Plan) -> Plan {
        if plan.role == Role::Responder {
            plan.stream = match plan.stream.as_str() {
                "s0" => StreamId::from("s1"),
                "s1" => StreamId::from("s0"),
                other => StreamId::from(other),
            };
        }
        plan
    }
}

#[test]
fn hoarding_is_caught() {
    let breach = caught(Property::StopsTheWriter, Hoarding { hoard: Vec::new() });
    assert!(matches!(breach, Breach::Unbounded { .. }), "{breach}");
}

/// Takes whatever is written, though the inside does not.
#[derive(Debug)]
struct Hoarding {
    hoard: Vec<u8>,
}

impl Flaw for Hoarding {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self { hoard: Vec::new() })
    }
}

impl Spoil for Hoarding {
    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.hoard.extend_from_slice(buf);
        if let Poll::Ready(wrote) = inside.as_mut().poll_write(cx, &self.hoard) {
            self.hoard.drain(..wrote?);
        }
        Poll::Ready(Ok(buf.len()))
    }
}

#[test]
fn a_writer_that_is_never_woken_is_caught() {
    let breach = caught(Property::GoesOnWhenRead, Sleeping { asleep: false });
    assert!(matches!(breach, Breach::Silent(_)), "{breach}");
}

/// Once it had to wait, it waits for ever.
#[derive(Debug)]
struct Sleeping {
    asleep: bool,
}

impl Flaw for Sleeping {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        spoilt(stream, Self { asleep: false })
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

impl Spoil for Sleeping {
    fn poll_write(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.asleep {
            return Poll::Pending;
        }
        let wrote = inside.as_mut().poll_write(cx, buf);
        self.asleep = wrote.is_pending();
        wrote
    }
}
