//! The bytes of a file, read ahead of the task that sends them.

use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{self, JoinError, JoinHandle};

use crate::queue::{Attendance, Queue};
use crate::{Algorithm, Checksum, Hasher, Source, SourceError};

/// The bytes of a file from an offset to its end, in blocks. The next ones are read on another
/// thread while the last ones are sent.
#[derive(Debug)]
pub struct Blocks {
    queue: Arc<Queue>,
    course: Course,
    /// What is lent.
    block: Vec<u8>,
    source: Arc<Source>,
    stop: Arc<AtomicBool>,
}

/// What follows the blocks that wait.
#[derive(Debug)]
enum Course {
    Reading(JoinHandle<Turn>),
    /// The end of the file.
    Ended(Option<Hasher>),
    /// Nothing more: the error is still to be told, or was.
    Failed(Option<SourceError>),
}

/// How it ended that blocks were read.
#[derive(Debug)]
struct Turn {
    outcome: Result<Reached, SourceError>,
    reader: Reader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    End,
    /// As much as is read ahead.
    Measure,
}

#[derive(Debug)]
struct Reader {
    source: Arc<Source>,
    queue: Arc<Queue>,
    at: u64,
    hashed: u64,
    hasher: Option<Hasher>,
    stop: Arc<AtomicBool>,
}

impl Blocks {
    /// Begins to read. With an algorithm the checksum of the whole file is known in the end; what is
    /// before the offset is then read for that, too.
    ///
    /// Has to be called in a Tokio runtime.
    pub fn new(source: Arc<Source>, offset: u64, algorithm: Option<Algorithm>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            source: Arc::clone(&source),
            queue: Queue::new(FIRST),
            at: offset,
            hashed: 0,
            hasher: algorithm.map(Hasher::new),
            stop: Arc::clone(&stop),
        };
        Self {
            queue: Arc::clone(&reader.queue),
            course: reader.start(),
            block: Vec::new(),
            source,
            stop,
        }
    }

    /// The next block; nothing after the last byte, or after an error. Cancel safe.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or changed.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, SourceError> {
        // The first block takes its time.
        let mut is_in_time = !self.block.is_empty();
        self.queue.recycle(mem::take(&mut self.block));
        loop {
            if self.queue.is_low()
                && let Course::Reading(turn) = &mut self.course
            {
                let turn = turn.await;
                self.course = self.after(turn);
            }
            if let Some(block) = self.queue.pop() {
                self.block = block;
                return Ok(Some(&self.block));
            }
            match &mut self.course {
                Course::Reading(_) => {
                    // Whoever sends is faster than who reads. It is woken for nothing, too.
                    if mem::take(&mut is_in_time) {
                        self.queue.widen(MOST);
                    }
                    self.queue.moved().await;
                }
                Course::Ended(_) => return Ok(None),
                Course::Failed(why) => return why.take().map_or(Ok(None), Err),
            }
        }
    }

    fn after(&self, turn: Result<Turn, JoinError>) -> Course {
        match turn {
            Ok(turn) => match turn.outcome {
                Ok(Reached::Measure) => turn.reader.start(),
                Ok(Reached::End) => Course::Ended(turn.reader.hasher),
                Err(why) => Course::Failed(Some(why)),
            },
            // The runtime ends, or the thread panicked. That must not look like the end of the file.
            Err(_) => {
                let path = self.source.path().to_owned();
                Course::Failed(Some(SourceError::Stopped { path }))
            }
        }
    }

    /// The checksum of the whole file, if one was asked for and the last byte was read.
    pub fn checksum(&self) -> Option<Checksum> {
        match &self.course {
            Course::Ended(hasher) => hasher.as_ref().map(Hasher::checksum),
            _ => None,
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Reader {
    fn start(self) -> Course {
        let attendance = self.queue.attend();
        Course::Reading(task::spawn_blocking(move || self.turn(&attendance)))
    }

    fn turn(mut self, attendance: &Attendance) -> Turn {
        let outcome = self.catch_up().and_then(|()| self.fill(attendance));
        Turn {
            outcome,
            reader: self,
        }
    }

    /// Hashes what is before the offset.
    fn catch_up(&mut self) -> Result<(), SourceError> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(());
        };
        if self.hashed < self.at {
            let stop = &self.stop;
            let watch = |_| match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            self.source.hash_until(self.at, hasher, watch)?;
            self.hashed = self.at;
        }
        Ok(())
    }

    fn fill(&mut self, attendance: &Attendance) -> Result<Reached, SourceError> {
        while !self.stop.load(Ordering::Relaxed) {
            let block = self.read(attendance.room())?;
            if block.is_empty() {
                return Ok(Reached::End);
            }
            if !attendance.give(block) {
                break;
            }
        }
        Ok(Reached::Measure)
    }

    fn read(&mut self, room: Vec<u8>) -> Result<Vec<u8>, SourceError> {
        let block = self.source.block(self.at, room)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block);
        }
        self.at += u64::try_from(block.len()).unwrap_or_default();
        self.hashed = self.at;
        Ok(block)
    }
}

/// Blocks that may wait to be sent, to begin with.
const FIRST: usize = 2;

/// The most blocks that may wait, where the network takes them as fast. With the one that is sent that is 4.25 MiB,
/// for a file of our own choice.
const MOST: usize = 16;
