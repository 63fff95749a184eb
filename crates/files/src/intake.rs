//! Writes a part beside the task that receives it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{self, JoinHandle};

use crate::queue::{Attendance, Queue};
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
    queue: Arc<Queue>,
    /// What is being received, and how much of it is.
    block: Vec<u8>,
    filled: usize,
    path: PathBuf,
    received: u64,
    size: u64,
    stop: Arc<AtomicBool>,
}

/// What one thread after the other writes.
#[derive(Debug)]
struct Writer {
    // Dropped first: what the disk has said, and nobody heard, is seen to as long as the part is locked.
    writeback: Writeback,
    partial: Partial,
    /// Held by the few that may gather much, as long as they have it.
    _wide: Option<SemaphorePermit<'static>>,
}

/// How it ended that there was something to be written.
#[derive(Debug)]
struct Turn {
    writer: Writer,
    outcome: Result<(), WriteError>,
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
        let wide = WIDE.try_acquire().ok();
        let queue = Queue::new(if wide.is_some() { MOST } else { FEW });
        Self {
            block: Vec::new(),
            filled: 0,
            path: partial.path().to_owned(),
            received: partial.offset(),
            size: partial.size(),
            stop: partial.stop(),
            writing: Some(Writer::new(partial, wide).start(&queue)),
            queue,
        }
    }

    /// How many bytes there are, those included that wait to be written.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Adds what a reader has next, but no more than so many bytes, and says how many that are: none
    /// if it has ended. Waits while too much is still to be written. Cancel safe: then none was taken.
    ///
    /// # Errors
    ///
    /// Those of the reader, and those of [`Partial::append`], which can be those of bytes that were added
    /// before. After one, there is nothing more to be done than to drop it.
    pub async fn take(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        most: u64,
    ) -> Result<usize, TakeError> {
        // Who adds more than was said is told soon, and what cannot be written as well.
        if self.filled == BLOCK || self.received > self.size || self.queue.is_left() {
            self.hand_over().await?;
        }
        let left = BLOCK - self.filled;
        let end = self.filled + usize::try_from(most).map_or(left, |most| most.min(left));
        // A small file takes little room.
        if self.block.len() < end {
            self.block.resize(end, 0);
        }
        let room = self.block.get_mut(self.filled..end).unwrap_or_default();
        let read = from.read(room).await.map_err(TakeError::Read)?;
        self.filled += read;
        self.received += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }

    /// Gives the file its name when all bytes are there and right, and says where it is. There is nothing more
    /// to be done then than to drop this. Given up before it is done, it may get its name all the same, unless
    /// that was [ordered](crate::Stop::order) before.
    ///
    /// # Errors
    ///
    /// As of [`Partial::finish`].
    pub async fn finish(&mut self, expected: Option<Checksum>) -> Result<PathBuf, FinishError> {
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
        // It takes long to read what was there before, and who goes on has to do it again.
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.settle().await?.offset())
    }

    /// Removes what was received. What the disk says of it does not matter any more.
    pub async fn discard(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(turn)) = self.turn().await {
            turn.writer.partial.discard();
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
        self.hand_over().await?;
        let mut writer = self.writer().await?;
        writer.writeback.settle(&mut writer.partial).await?;
        Ok(writer.partial)
    }

    /// Has written what was received. Cancel safe.
    async fn hand_over(&mut self) -> Result<(), WriteError> {
        while self.filled > 0 {
            self.block.truncate(self.filled);
            if self.queue.push(&mut self.block) {
                self.filled = 0;
            } else if self.queue.is_attended() {
                self.queue.moved().await;
            } else {
                self.go_on().await?;
            }
        }
        self.go_on().await
    }

    /// Sees to it that somebody writes. Cancel safe.
    async fn go_on(&mut self) -> Result<(), WriteError> {
        if self.queue.is_attended() {
            return Ok(());
        }
        let writer = self.writer().await?;
        self.writing = Some(writer.start(&self.queue));
        Ok(())
    }

    /// What writes, when it has nothing to write any more. Cancel safe.
    async fn writer(&mut self) -> Result<Writer, WriteError> {
        let Some(Ok(turn)) = self.turn().await else {
            return Err(self.stopped());
        };
        turn.outcome?;
        Ok(turn.writer)
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

impl Writer {
    fn new(partial: Partial, wide: Option<SemaphorePermit<'static>>) -> Self {
        Self {
            writeback: Writeback::new(&partial),
            partial,
            _wide: wide,
        }
    }

    /// Writes what there is, on another thread.
    fn start(mut self, queue: &Arc<Queue>) -> JoinHandle<Turn> {
        let attendance = queue.attend();
        task::spawn_blocking(move || Turn {
            outcome: self.write(&attendance),
            writer: self,
        })
    }

    fn write(&mut self, attendance: &Attendance) -> Result<(), WriteError> {
        match self.partial.catch_up() {
            // What came is kept all the same.
            Err(WriteError::Stopped { .. }) => self.partial.forget_sum(),
            done => done?,
        }
        let mut block = Vec::new();
        while let Some(next) = attendance.take(block) {
            self.partial.append(&next)?;
            self.writeback.go_on(&mut self.partial)?;
            block = next;
        }
        Ok(())
    }
}

/// Blocks of a file that may wait to be written.
const MOST: usize = 8;

/// As many, where many files come at the same time: as many at once are no faster for more, and a contact
/// could have us hold much.
const FEW: usize = 2;

/// Files of which [`MOST`] blocks may wait, of all that come at the same time. Of each there is one block more
/// that is received, and one that is written.
static WIDE: Semaphore = Semaphore::const_new(8);
