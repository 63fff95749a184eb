//! A file that is not complete yet.

mod error;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use tracing::warn;

pub use self::error::{FinishError, WriteError};

use crate::folder::Folder;
use crate::part::{self, Memory};
use crate::source::BLOCK;
use crate::{Algorithm, BeginError, Checksum, Hasher, Offered, Overwrite, SafeName, Stop, place};

/// A file that is not complete yet, beside the place where it is to be. It is for nobody else, and
/// locked.
///
/// Dropped, it stays to be gone on with if there is something in it and it can be known again;
/// otherwise it is removed.
#[derive(Debug)]
pub struct Partial {
    folder: Folder,
    /// What it is called as long as it is not complete.
    part: OsString,
    file: File,
    name: SafeName,
    /// Where it is to be, for people.
    path: PathBuf,
    overwrite: Overwrite,
    modified: Option<SystemTime>,
    size: u64,
    offset: u64,
    hashed: u64,
    hasher: Option<Hasher>,
    fate: Fate,
    /// Nobody waits for it any more.
    stop: Arc<AtomicBool>,
    order: Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is removed.
    Discard,
    /// It has its name, and is no part any more.
    Done,
    /// It is gone on with.
    Keep,
}

impl Partial {
    pub(crate) fn begin(
        folder: Folder,
        path: PathBuf,
        offered: &Offered,
        overwrite: Overwrite,
    ) -> Result<Self, BeginError> {
        let cannot = |why: io::Error| BeginError::Disk {
            path: path.clone(),
            why: why.into(),
        };
        let name = offered.path.name().clone();
        let Some(part) = part::open(&folder, offered).map_err(cannot)? else {
            return Err(BeginError::Busy { path });
        };
        let partial = Self {
            folder,
            part: part.name,
            file: part.file,
            name,
            path: path.clone(),
            overwrite,
            modified: offered.modified,
            size: offered.size,
            offset: part.length,
            hashed: 0,
            hasher: offered.algorithm.map(Hasher::new),
            fate: match part.memory {
                Memory::Forgotten => Fate::Discard,
                Memory::Kept => Fate::Keep,
            },
            stop: Arc::default(),
            order: Stop::default(),
        };
        // Only now, as whoever had the part before may just have completed it.
        place::check_free(&partial.folder, offered, overwrite, &path)?;
        place::check_room(&partial.folder, offered, partial.offset, &path)?;
        Ok(partial)
    }

    /// Whoever gives this order has it stopped, unless it is too late.
    #[must_use]
    pub fn with_stop(mut self, order: Stop) -> Self {
        self.order = order;
        self
    }

    /// How many bytes there are: where the sender has to go on.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes there will be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the file is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Throws away what is there from an offset on, for a sender that goes on from it.
    ///
    /// # Errors
    ///
    /// The file system does not let it.
    pub fn cut(&mut self, offset: u64) -> Result<(), WriteError> {
        if offset >= self.offset {
            return Ok(());
        }
        self.file.set_len(offset).map_err(|why| self.cannot(why))?;
        self.offset = offset;
        self.hashed = 0;
        self.hasher = self.hasher.as_ref().map(|old| Hasher::new(old.algorithm()));
        Ok(())
    }

    /// Adds bytes at the end. If something was there before, the first call reads it.
    ///
    /// # Errors
    ///
    /// There are more than was said, and none is written; or the file system does not take them.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.catch_up()?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > self.size - self.offset {
            return Err(WriteError::TooMuch {
                path: self.path.clone(),
                size: self.size,
            });
        }
        bytes.chunks(BLOCK).try_for_each(|block| self.write(block))
    }

    /// Writes and hashes a block as long as it is in the processor's cache.
    fn write(&mut self, block: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all_at(block, self.offset);
        written.map_err(|why| self.cannot(why))?;
        self.offset += u64::try_from(block.len()).unwrap_or_default();
        if let Some(hasher) = &mut self.hasher {
            hasher.update(block);
            self.hashed = self.offset;
        }
        Ok(())
    }

    /// The checksum of what is there, if one is made. What was there before is read for it.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn checksum(&mut self) -> Result<Option<Checksum>, WriteError> {
        self.catch_up()?;
        Ok(self.hasher.as_ref().map(Hasher::checksum))
    }

    /// Gives the file its name when all bytes are there and right, and says where it is.
    ///
    /// Without an expected checksum their number alone has to be right.
    ///
    /// # Errors
    ///
    /// Bytes are missing or wrong, the name is taken, it was stopped, or the file system does not let it.
    pub fn finish(mut self, expected: Option<Checksum>) -> Result<PathBuf, FinishError> {
        let path = self.path.clone();
        match self.size - self.offset {
            0 => {}
            missing => return Err(FinishError::Short { path, missing }),
        }
        if let Some(expected) = expected
            && self.checksum_by(expected.algorithm())? != expected
        {
            self.fate = Fate::Discard;
            return Err(FinishError::Differs { path });
        }
        self.set_date();
        if let Err(why) = self.file.sync_all() {
            return Err(self.distrust(why).into());
        }
        // Who can exchange it behind this look can do the same to the complete file.
        if !self.is_at(&self.part) {
            return Err(FinishError::Lost { path });
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(self.stopped().into());
        }
        let settle = || place::settle(&self.folder, &self.part, &self.name, self.overwrite);
        let Some(settled) = self.order.unless_ordered(settle) else {
            return Err(self.stopped().into());
        };
        let name = settled.map_err(|why| match why {
            Errno::EXIST | Errno::ISDIR => FinishError::Exists { path: path.clone() },
            Errno::NOENT => FinishError::Lost { path: path.clone() },
            why => self.cannot(why.into()).into(),
        })?;
        self.fate = Fate::Done;
        // The file is whole and in its place, even if its name might not outlive a loss of power.
        if let Err(why) = self.folder.sync() {
            warn!(path = %path.display(), %why, "cannot write the folder to the disk");
        }
        Ok(path.with_file_name(name.as_str()))
    }

    /// Removes what is there.
    pub fn discard(mut self) {
        self.fate = Fate::Discard;
    }

    /// Its file once more, which others can have the disk take meanwhile. It is locked as long as this is
    /// here.
    pub(crate) fn file(&self) -> Result<File, WriteError> {
        self.file.try_clone().map_err(|why| self.cannot(why))
    }

    /// What makes reading what is there end early.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Takes what was there before into the checksum.
    pub(crate) fn catch_up(&mut self) -> Result<(), WriteError> {
        let Some(mut hasher) = self.hasher.take() else {
            return Ok(());
        };
        let done = self.hash(&mut hasher, self.hashed);
        if done.is_err() {
            // Nobody knows how much of it was seen.
            hasher = Hasher::new(hasher.algorithm());
        }
        self.hasher = Some(hasher);
        self.hashed = *done.as_ref().unwrap_or(&0);
        done.map(drop)
    }

    /// Adds without a checksum from now on. Whoever wants one in the end waits until all is read again.
    pub(crate) fn forget_sum(&mut self) {
        self.hasher = None;
    }

    fn checksum_by(&mut self, algorithm: Algorithm) -> Result<Checksum, WriteError> {
        match self.checksum()? {
            Some(checksum) if checksum.algorithm() == algorithm => Ok(checksum),
            _ => {
                let mut hasher = Hasher::new(algorithm);
                self.hash(&mut hasher, 0)?;
                Ok(hasher.checksum())
            }
        }
    }

    /// Hashes from an offset to the end, and says where that is.
    fn hash(&self, hasher: &mut Hasher, from: u64) -> Result<u64, WriteError> {
        let mut at = from;
        let mut block = Vec::new();
        while at < self.offset {
            if self.stop.load(Ordering::Relaxed) {
                return Err(self.stopped());
            }
            block.resize(BLOCK, 0);
            let left = usize::try_from(self.offset - at).unwrap_or(BLOCK);
            block.truncate(left);
            let read = self.file.read_exact_at(&mut block, at);
            read.map_err(|why| self.cannot(why))?;
            hasher.update(&block);
            at += u64::try_from(block.len()).unwrap_or_default();
        }
        Ok(at)
    }

    /// Gives the file the date that it has at the sender. It is as good without one.
    fn set_date(&self) {
        let latest = SystemTime::now() + AHEAD;
        let Some(modified) = self.modified.filter(|modified| *modified <= latest) else {
            return;
        };
        if let Err(why) = self.file.set_modified(modified) {
            warn!(path = %self.path.display(), %why, "cannot set the date");
        }
    }

    /// Whether an entry of the folder is this very file.
    fn is_at(&self, name: &OsStr) -> bool {
        self.folder.holds(name, &self.file).unwrap_or(false)
    }

    pub(crate) fn stopped(&self) -> WriteError {
        let path = self.path.clone();
        WriteError::Stopped { path }
    }

    /// What the disk has not taken is not kept either: it says so once, and what is read of it later
    /// comes from memory.
    pub(crate) fn distrust(&mut self, why: io::Error) -> WriteError {
        self.fate = Fate::Discard;
        self.cannot(why)
    }

    pub(crate) fn cannot(&self, why: io::Error) -> WriteError {
        WriteError::Disk {
            path: self.path.clone(),
            why: why.into(),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let stays = match self.fate {
            Fate::Discard => false,
            Fate::Done => true,
            Fate::Keep => self.offset > 0,
        };
        // Whatever somebody else put in its place is not ours to remove.
        if !stays
            && self.is_at(&self.part)
            && let Err(why) = self.folder.remove(&self.part)
        {
            warn!(path = %self.path.display(), %why, "cannot remove what was received");
        }
        // The disk may still be taking it, which can last, and has it open as well. File systems without
        // locks have nothing to free.
        let _ = self.file.unlock();
    }
}

/// How far the clocks of two machines may be apart: a date that is later than that is made up.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;
