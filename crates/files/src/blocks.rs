//! The bytes of a file, read ahead of the task that sends them.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::task::{self, JoinHandle};

use crate::{Algorithm, Checksum, Hasher, Source, SourceError};

/// The bytes of a file from an offset to its end, in blocks. The next ones are read on another
/// thread while the last ones are sent.
#[derive(Debug)]
pub struct Blocks {
    ready: VecDeque<Bytes>,
    course: Course,
    source: Arc<Source>,
    stop: Arc<AtomicBool>,
}

/// What follows the blocks that are ready.
#[derive(Debug)]
enum Course {
    Reading(JoinHandle<Turn>),
    /// The end of the file.
    Ended(Option<Hasher>),
    /// Nothing more: the error is still to be told, or was.
    Failed(Option<SourceError>),
}

/// What was read at once, and how that ended.
#[derive(Debug)]
struct Turn {
    blocks: VecDeque<Bytes>,
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
    at: u64,
    /// Blocks that are read at once.
    ahead: usize,
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
            at: offset,
            ahead: FIRST,
            hashed: 0,
            hasher: algorithm.map(Hasher::new),
            stop: Arc::clone(&stop),
        };
        Self {
            ready: VecDeque::new(),
            course: reader.start(),
            source,
            stop,
        }
    }

    /// The next block; nothing after the last byte, or after an error. Cancel safe.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or changed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return Ok(Some(block));
            }
            let (is_late, turn) = match &mut self.course {
                Course::Reading(reading) => (!reading.is_finished(), reading.await),
                Course::Ended(_) => return Ok(None),
                Course::Failed(why) => return why.take().map_or(Ok(None), Err),
            };
            self.course = match turn {
                Ok(mut turn) => {
                    self.ready = turn.blocks;
                    if is_late {
                        turn.reader.hurry();
                    }
                    match turn.outcome {
                        Ok(Reached::Measure) => turn.reader.start(),
                        Ok(Reached::End) => Course::Ended(turn.reader.hasher),
                        Err(why) => Course::Failed(Some(why)),
                    }
                }
                // The runtime ends. That must not look like the end of the file.
                Err(_) => {
                    let path = self.source.path().to_owned();
                    Course::Failed(Some(SourceError::Stopped { path }))
                }
            };
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
        Course::Reading(task::spawn_blocking(|| self.turn()))
    }

    /// Reads more at once from now on: whoever sends had to wait.
    fn hurry(&mut self) {
        self.ahead = MOST.min(self.ahead * 2);
    }

    fn turn(mut self) -> Turn {
        let mut blocks = VecDeque::with_capacity(self.ahead);
        let outcome = self.catch_up().and_then(|()| self.fill(&mut blocks));
        Turn {
            blocks,
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

    fn fill(&mut self, blocks: &mut VecDeque<Bytes>) -> Result<Reached, SourceError> {
        while blocks.len() < self.ahead {
            let block = self.read()?;
            if block.is_empty() {
                return Ok(Reached::End);
            }
            blocks.push_back(block);
        }
        Ok(Reached::Measure)
    }

    fn read(&mut self) -> Result<Bytes, SourceError> {
        let block = self.source.block(self.at)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&block);
        }
        self.at += u64::try_from(block.len()).unwrap_or_default();
        self.hashed = self.at;
        Ok(block.into())
    }
}

/// Blocks that are read at once to begin with. As many again are being sent meanwhile.
const FIRST: usize = 2;

/// The most blocks that are read at once, where the network takes them as fast: to wake a thread takes
/// as long as to hash a part of one. Eight mebibytes in all, for a file of our own choice.
const MOST: usize = 16;
