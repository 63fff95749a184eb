//! Writes a part beside the task that receives it.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{self, JoinHandle};

use crate::source::BLOCK;
use crate::writeback::Writeback;
use crate::{Checksum, FinishError, Partial, WriteError};

/// A part, written and hashed on another thread while the next bytes are received, and taken by the
/// disk meanwhile.
///
/// Bytes are gathered: dropping it loses the last of them, [`pause`](Self::pause) does not.
#[derive(Debug)]
pub struct Intake {
    writing: Option<JoinHandle<Turn>>,
    writeback: Writeback,
    waiting: Gathered,
    path: PathBuf,
    received: u64,
    size: u64,
    stop: Arc<AtomicBool>,
    /// Held by the few that may gather much.
    wide: Option<SemaphorePermit<'static>>,
}

#[derive(Debug)]
struct Turn {
    partial: Partial,
    written: Gathered,
    outcome: Result<(), WriteError>,
}

/// Bytes that are still to be written. The room behind them is kept from one turn to the next.
#[derive(Debug, Default)]
struct Gathered {
    room: Vec<u8>,
    filled: usize,
}

/// Why nothing was taken: there is a reader and a disk, and no third.
#[derive(Debug, Error)]
pub enum TakeError {
    /// There is nothing to be had.
    #[error("cannot be received: {0}")]
    Read(#[source] io::Error),
    /// What was taken before cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Intake {
    /// Takes a part. What was there before is read at once for the checksum.
    ///
    /// Has to be called in a Tokio runtime.
    pub fn new(partial: Partial) -> Self {
        Self {
            waiting: Gathered::default(),
            path: partial.path().to_owned(),
            received: partial.offset(),
            size: partial.size(),
            stop: partial.stop(),
            wide: WIDE.try_acquire().ok(),
            writeback: Writeback::new(&partial),
            writing: Some(write(partial, Gathered::default())),
        }
    }

    /// How many bytes there are, those included that wait to be written.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Adds bytes. Waits while too many are still to be written. Cancel safe: then none was taken.
    ///
    /// # Errors
    ///
    /// Those of [`Partial::append`], which can be those of bytes that were added before. After one,
    /// there is nothing more to be done than to drop it.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.is_to_be_written() {
            self.flush().await?;
        }
        self.waiting.room(bytes.len()).copy_from_slice(bytes);
        self.add(bytes.len());
        Ok(())
    }

    /// Adds what a reader has next, but no more than so many bytes, and says how many that are: none
    /// if it has ended. Waits as [`append`](Self::append) does. Cancel safe: then none was taken.
    ///
    /// # Errors
    ///
    /// Those of the reader, and those of [`append`](Self::append).
    pub async fn take(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        most: u64,
    ) -> Result<usize, TakeError> {
        if self.is_to_be_written() {
            self.flush().await?;
        }
        let most = usize::try_from(most).map_or(BLOCK, |most| most.min(BLOCK));
        let read = from.read(self.waiting.room(most)).await;
        let read = read.map_err(TakeError::Read)?;
        self.add(read);
        Ok(read)
    }

    fn add(&mut self, bytes: usize) {
        self.waiting.filled += bytes;
        self.received += u64::try_from(bytes).unwrap_or_default();
    }

    /// Gives the file its name when all bytes are there and right, and says where it is.
    ///
    /// # Errors
    ///
    /// As of [`Partial::finish`].
    pub async fn finish(mut self, expected: Option<Checksum>) -> Result<PathBuf, FinishError> {
        let partial = self.settle().await?;
        let finished = task::spawn_blocking(move || partial.finish(expected)).await;
        finished.unwrap_or_else(|_| Err(self.stopped().into()))
    }

    /// Writes what was received, so that it can be gone on with later, and says how much there is. The part is
    /// free then, and there is nothing more to be done than to drop this. Cancel safe: what the
    /// disk then refuses to take is thrown away without a word.
    ///
    /// # Errors
    ///
    /// As of [`Partial::append`].
    pub async fn pause(&mut self) -> Result<u64, WriteError> {
        Ok(self.settle().await?.offset())
    }

    /// Removes what was received. What the disk says of it does not matter any more.
    pub async fn discard(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(turn)) = self.turn().await {
            turn.partial.discard();
        }
    }

    /// Ends what is going on, and waits for that: then the part is free for who goes on with it. After a
    /// [`pause`](Self::pause) nothing is lost by it; otherwise the last bytes are.
    pub async fn let_go(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.turn().await;
    }

    /// Has everything written that waits.
    async fn settle(&mut self) -> Result<Partial, WriteError> {
        self.flush().await?;
        let Some(Ok(mut turn)) = self.turn().await else {
            return Err(self.stopped());
        };
        turn.outcome?;
        self.writeback.settle(&mut turn.partial).await?;
        Ok(turn.partial)
    }

    /// Whether what waits is worth a turn that can begin at once, or is to wait for one.
    fn is_to_be_written(&self) -> bool {
        // Who adds more than was said is told soon.
        self.waiting.filled >= self.most()
            || self.received > self.size
            || self.waiting.filled >= BLOCK
                && self.writing.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Bytes that may wait while a turn takes long.
    fn most(&self) -> usize {
        match self.wide {
            Some(_) => 8 * BLOCK,
            None => 2 * BLOCK,
        }
    }

    /// Waits for what is being written, and has the rest written. Cancel safe.
    async fn flush(&mut self) -> Result<(), WriteError> {
        let Some(Ok(mut turn)) = self.turn().await else {
            return Err(self.stopped());
        };
        turn.outcome?;
        self.writeback.go_on(&mut turn.partial)?;
        let mut next = turn.written;
        next.filled = 0;
        mem::swap(&mut next, &mut self.waiting);
        self.writing = Some(write(turn.partial, next));
        Ok(())
    }

    async fn turn(&mut self) -> Option<Result<Turn, task::JoinError>> {
        let turn = self.writing.as_mut()?.await;
        self.writing = None;
        Some(turn)
    }

    fn stopped(&self) -> WriteError {
        let path = self.path.clone();
        WriteError::Stopped { path }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Gathered {
    /// So many bytes behind those that are there, with whatever was in them before.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(bytes);
        if self.room.len() < end {
            self.room.resize(end, 0);
        }
        self.room.get_mut(self.filled..end).unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.room.get(..self.filled).unwrap_or_default()
    }
}

fn write(mut partial: Partial, bytes: Gathered) -> JoinHandle<Turn> {
    task::spawn_blocking(move || {
        let outcome = partial
            .catch_up()
            .and_then(|()| partial.append(bytes.bytes()));
        Turn {
            partial,
            written: bytes,
            outcome,
        }
    })
}

/// Files that may gather two mebibytes at a time, of all that come at the same time: to wake a thread
/// takes as long as to hash a part of a block, so few large turns are faster. All others gather half a
/// mebibyte, as many files at once are no faster for it, and a contact could have us hold much. Each may have
/// as much again under way to the disk, and a block more in both.
static WIDE: Semaphore = Semaphore::const_new(8);
