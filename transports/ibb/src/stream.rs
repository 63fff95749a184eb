//! The face of a bytestream: what programs read and write.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tubes_transport::{Ask, Kind, Wire};

use crate::element;
use crate::{Fault, Machine, Reading, driver};

/// Opens the face and starts the driver. Wants a tokio runtime.
pub(crate) fn open(wire: Wire, kind: Kind, block_size: u16, window: usize) -> Stream {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            machine: Machine::new(kind, block_size, window, wire.share()),
            reader: None,
            writer: None,
        }),
        work: Notify::new(),
    });
    tokio::spawn(driver::drive(Arc::clone(&shared), wire));
    Stream { shared }
}

/// What a program holds of an in-band bytestream.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Arc<Shared>,
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        let taken = match state.machine.read() {
            Reading::Bytes(bytes) => {
                let length = bytes.len().min(buf.remaining());
                buf.put_slice(bytes.get(..length).unwrap_or(bytes));
                length
            }
            Reading::Ended => return Poll::Ready(Ok(())),
            Reading::Broken(fault) => return Poll::Ready(Err(fault.read_error())),
            Reading::Empty => {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        state.machine.consume(taken);
        state.answer();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        match state.machine.write(buf) {
            Ok(0) if !buf.is_empty() => {
                state.writer = Some((Waiting::Room, cx.waker().clone()));
                Poll::Pending
            }
            Ok(taken) => {
                drop(state);
                self.shared.work.notify_one();
                Poll::Ready(Ok(taken))
            }
            Err(fault) => Poll::Ready(Err(fault.write_error())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        state.poll_until(Waiting::Flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.machine.shut_down() {
            state.answer();
            self.shared.work.notify_one();
        }
        state.poll_until(Waiting::ShutDown, cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.machine.release();
        state.answer();
        drop(state);
        self.shared.work.notify_one();
    }
}

/// The machine, between the face and the driver.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Tells the driver that the face did something.
    pub(crate) work: Notify,
}

impl Shared {
    /// Lets the driver do something to the machine, sends the answers that follow from it, and
    /// wakes whom it concerns.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Machine<Ask>) -> R) -> R {
        let mut state = self.lock();
        let outcome = act(&mut state.machine);
        state.answer();
        let reader = state.take_reader();
        let writer = state.take_writer();
        drop(state);
        for waker in [reader, writer].into_iter().flatten() {
            waker.wake();
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    machine: Machine<Ask>,
    reader: Option<Waker>,
    writer: Option<(Waiting, Waker)>,
}

impl State {
    /// Gives the answers that are due. That never waits.
    fn answer(&mut self) {
        while let Some((ask, outcome)) = self.machine.next_answer() {
            match outcome {
                Ok(()) => ask.grant(None),
                Err(condition) => ask.refuse(element::error(condition)),
            }
        }
    }

    fn poll_until(&mut self, what: Waiting, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match what.is_over(&self.machine) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                self.writer = Some((what, cx.waker().clone()));
                Poll::Pending
            }
            Err(fault) => Poll::Ready(Err(fault.write_error())),
        }
    }

    /// Whom to wake for something to read.
    fn take_reader(&mut self) -> Option<Waker> {
        self.reader
            .take_if(|_| self.machine.read() != Reading::Empty)
    }

    /// Whom to wake because what it waits for has happened, or never will.
    fn take_writer(&mut self) -> Option<Waker> {
        let (_, waker) = self
            .writer
            .take_if(|(what, _)| !matches!(what.is_over(&self.machine), Ok(false)))?;
        Some(waker)
    }
}

/// What a writer waits for.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Flushed,
    Room,
    ShutDown,
}

impl Waiting {
    fn is_over(self, machine: &Machine<Ask>) -> Result<bool, Fault> {
        match self {
            Self::Flushed => machine.is_flushed(),
            Self::Room => machine.has_room(),
            Self::ShutDown => machine.is_shut_down(),
        }
    }
}
