//! Carries bytes between a local socket and a bytestream.

use std::future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::{self, Instant, Sleep};
use tracing::debug;
use tubes_transport::Bytestream;

use crate::lane::{Fault, Lane};
use crate::outcome::Failure;
use crate::{Outcome, Socket, SpliceError, Totals};

/// Copies both ways until both directions have ended.
///
/// - An end of file on one side is passed on to the other, after all that came before it; the
///   other direction goes on.
/// - Over a bytestream [without half-close](Bytestream::without_half_close) the local program's
///   end of file would cut the answer short: it is held back until the other direction has
///   ended, or was silent for two seconds. After the peer's, the program has ten seconds to
///   finish.
/// - An error on one side is passed on as one: a TCP program is reset, the bytestream broken;
///   what was read before it is delivered first, if that takes no more than ten seconds.
/// - Who reads slowly is waited for, and holds the other side back. A direction holds at most
///   64 KiB, and nothing while it is idle; an encrypted bytestream about as much again.
///
/// Not cancel safe: dropping the future aborts both sides. `totals` tells meanwhile how much
/// was carried.
pub fn splice(
    socket: Socket,
    stream: Bytestream,
    totals: Arc<Totals>,
) -> impl Future<Output = Outcome> + Send {
    splice_until(socket, stream, totals, future::pending())
}

/// Like [`splice`](splice()), but takes no more from the local program once `stop` is done.
///
/// What the program had written by then is still delivered and the bytestream shut down; what
/// the peer still has to say is awaited up to its end of file. Then the program's connection is
/// aborted, with [`SpliceError::Stopped`]: an end of file would make what it got look complete.
/// The caller bounds the time that this may take.
pub fn splice_until(
    socket: Socket,
    stream: Bytestream,
    totals: Arc<Totals>,
    stop: impl Future<Output = ()> + Send,
) -> impl Future<Output = Outcome> + Send {
    // Made at once, so that both sides are aborted even if the future is never polled.
    let splice = Splice {
        socket,
        stream,
        totals,
        up: Lane::default(),
        down: Lane::default(),
        up_phase: Phase::Copying,
        down_phase: Phase::Copying,
        sent_at_eof: 0,
        timer: None,
        is_stopping: false,
        is_cut: false,
        is_clean: false,
    };
    splice.run(stop)
}

/// ```text
///   Copying ── end of file ──> Closing ── shut down ──> Ended
///      └── no half-close ─> Held ──┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Copying,
    /// The reader has ended, and the writer is not to know yet. Only on the way up.
    Held,
    Closing,
    Ended,
}

struct Splice {
    socket: Socket,
    stream: Bytestream,
    totals: Arc<Totals>,
    /// From the local program to the peer.
    up: Lane,
    /// From the peer to the local program.
    down: Lane,
    up_phase: Phase,
    down_phase: Phase,
    /// What had been sent when the peer's end of file was passed on.
    sent_at_eof: u64,
    /// Ends the time for which a local end of file is held, or a program may go on.
    timer: Option<Pin<Box<Sleep>>>,
    is_stopping: bool,
    /// Whether an end was passed on that was not the program's own.
    is_cut: bool,
    is_clean: bool,
}

impl Splice {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Outcome {
        let mut stop = pin!(async {
            stop.await;
            // What the program wrote before may be known to the kernel only.
            time::sleep(SETTLING).await;
        });
        let flow = future::poll_fn(|cx| {
            self.is_stopping = self.is_stopping || stop.as_mut().poll(cx).is_ready();
            self.poll(cx)
        });
        let failure = flow.await.err();
        match &failure {
            None => self.is_clean = true,
            Some(failure) => {
                debug!(why = %failure.error, "splice failed");
                if time::timeout(PARTING, self.part(failure)).await.is_err() {
                    debug!("not all that came before the failure could be delivered");
                }
            }
        }
        Outcome {
            sent: self.up.moved(),
            received: self.down.moved(),
            error: failure.map(|failure| failure.error),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // The way down first: what the way up waits for may happen there.
        let down = self.poll_down(cx)?;
        let up = self.poll_up(cx)?;
        if down.is_ready() && up.is_ready() {
            // What ends in two directions may have something below that ends in one. Both have said
            // all there is to say: whatever becomes of it, nothing is lost.
            let _ = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
            return Poll::Ready(if self.is_cut {
                Err(Failure::stopped())
            } else {
                Ok(())
            });
        }
        Poll::Pending
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            match self.down_phase {
                Phase::Copying => {
                    let before = self.down.moved();
                    let copied = self.poll_copy_down(cx);
                    if self.down.moved() != before || self.down.is_laden() {
                        self.put_off_hold();
                    }
                    ready!(copied).map_err(Failure::on_the_way_down)?;
                    // The peer stops likewise: its end of file need not be its program's.
                    self.is_cut |= self.is_stopping;
                    self.down_phase = if self.is_cut {
                        Phase::Ended
                    } else {
                        Phase::Closing
                    };
                }
                Phase::Held | Phase::Closing => {
                    ready!(Pin::new(&mut self.socket).poll_shutdown(cx))
                        .map_err(|why| Failure::on_the_way_down(Fault::Write(why)))?;
                    self.sent_at_eof = self.up.moved();
                    self.timer = None;
                    self.down_phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        loop {
            match self.up_phase {
                Phase::Copying => match self.poll_copy_up(cx) {
                    Poll::Ready(Ok(())) if self.stream.half_close() => {
                        self.up_phase = Phase::Closing;
                    }
                    Poll::Ready(Ok(())) => self.up_phase = Phase::Held,
                    Poll::Ready(Err(fault)) => {
                        return Poll::Ready(Err(Failure::on_the_way_up(fault)));
                    }
                    Poll::Pending if self.is_stopping && self.up.is_idle() => {
                        self.is_cut = true;
                        self.up_phase = Phase::Closing;
                    }
                    Poll::Pending => {
                        ready!(self.poll_grace(cx))?;
                        self.up_phase = Phase::Closing;
                    }
                },
                Phase::Held => {
                    ready!(self.poll_hold(cx))?;
                    self.timer = None;
                    self.up_phase = Phase::Closing;
                }
                Phase::Closing => {
                    let done = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
                    if !self.is_parted() {
                        done.map_err(|why| Failure::on_the_way_up(Fault::Write(why)))?;
                    }
                    self.up_phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Whether the peer has closed both directions, and has missed nothing since.
    fn is_parted(&self) -> bool {
        !self.stream.half_close()
            && self.down_phase == Phase::Ended
            && self.up.moved() == self.sent_at_eof
    }

    fn poll_copy_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let count = |bytes| self.totals.count_received(bytes);
        self.down
            .poll_copy(cx, &mut self.stream, &mut self.socket, count)
    }

    fn poll_copy_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let count = |bytes| self.totals.count_sent(bytes);
        self.up
            .poll_copy(cx, &mut self.socket, &mut self.stream, count)
    }

    /// Waits until the program's end of file may be passed on.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.is_stopping || self.down_phase == Phase::Ended {
            return Poll::Ready(Ok(()));
        }
        // The peer can answer only what it has got.
        ready!(self.up.poll_flush(cx, &mut self.stream))
            .map_err(|why| Failure::on_the_way_up(Fault::Write(why)))?;
        ready!(self.poll_timer(cx, SILENCE));
        Poll::Ready(Ok(()))
    }

    /// The peer is not silent.
    fn put_off_hold(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(Instant::now() + SILENCE);
        }
    }

    /// Waits until a program that the peer no longer listens to has had its time to finish.
    fn poll_grace(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.stream.half_close() || self.down_phase != Phase::Ended {
            return Poll::Pending;
        }
        ready!(self.poll_timer(cx, GRACE));
        if self.is_parted() && !self.up.is_laden() {
            return Poll::Ready(Ok(()));
        }
        let why = "still sending ten seconds after the peer had closed";
        let why = io::Error::new(io::ErrorKind::TimedOut, why);
        Poll::Ready(Err(Failure::on_the_way_up(Fault::Read(why))))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, after: Duration) -> Poll<()> {
        self.timer
            .get_or_insert_with(|| Box::pin(time::sleep(after)))
            .as_mut()
            .poll(cx)
    }

    /// Delivers what was read before a failure.
    ///
    /// A side that takes no more may still have something to say: a server that refuses a
    /// request, for example, answers and closes while that is still being sent. However this
    /// ends, the first failure is what is reported.
    async fn part(&mut self, failure: &Failure) {
        match failure.error {
            SpliceError::Local(_) => {
                if failure.may_speak && self.up_phase == Phase::Copying {
                    let _ = future::poll_fn(|cx| self.poll_copy_up(cx)).await;
                }
                let _ = future::poll_fn(|cx| self.up.poll_flush(cx, &mut self.stream)).await;
            }
            SpliceError::Remote(_) => {
                if failure.may_speak && self.down_phase == Phase::Copying {
                    let _ = future::poll_fn(|cx| self.poll_copy_down(cx)).await;
                }
                self.socket.drain().await;
            }
            SpliceError::Stopped => self.socket.drain().await,
        }
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        // The bytestream breaks by itself when dropped unfinished.
        if !self.is_clean {
            self.socket.reset_when_closed();
        }
    }
}

/// How long a peer may be silent before a local end of file that was held back is passed on:
/// long enough for an answer over a slow server, short enough for who waits for the end.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a program may take to finish after a peer that closed both directions at once.
const GRACE: Duration = Duration::from_secs(10);

/// Time for the reactor to take note of what the program wrote before a stop.
const SETTLING: Duration = Duration::from_millis(10);

/// How long what was read before a failure may take to be delivered.
const PARTING: Duration = Duration::from_secs(10);
