//! One open file to be sent.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::{Algorithm, Checksum, Hasher, SafeName, Trouble};

/// A regular file to be sent, open. It can be read by several at once.
///
/// Its size is the one that it had when it was opened: that is what a peer is told. Whoever reads it
/// learns when it is another one by now.
#[derive(Debug)]
pub struct Source {
    file: File,
    path: PathBuf,
    name: SafeName,
    size: u64,
    modified: SystemTime,
}

/// Why a file cannot be sent, or not any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It was changed since it was opened, so that what was sent is neither the old nor the new.
    #[error("`{path}` changed while it was sent: send it again when nobody writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened or read.
    #[error("cannot read `{path}`: {why}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        why: Trouble,
    },
    /// It is a folder: [`walk()`](crate::walk()) finds what is in it.
    #[error("`{path}` is a folder, not a file")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no file `{path}`: check the name")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Nobody knows how large it is before it ends.
    #[error(
        "`{path}` is {what}, and its size is unknown: write what it gives to a file, and send that"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// Whoever waited for it gave up.
    #[error("reading `{path}` was given up")]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

impl SourceError {
    pub(crate) fn cannot_read(path: &Path, why: io::Error) -> Self {
        let path = path.to_owned();
        match why.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Disk {
                path,
                why: why.into(),
            },
        }
    }

    /// Fails if that is what cannot be sent.
    pub(crate) fn check_kind(path: &Path, kind: FileType) -> Result<(), Self> {
        let path = path.to_owned();
        let what = match kind {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => return Err(Self::Folder { path }),
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            _ => "a device",
        };
        Err(Self::NotAFile { path, what })
    }
}

impl Source {
    /// Opens the file that people named; they may have named a link to it.
    ///
    /// # Errors
    ///
    /// There is no such file, it is no file, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        // To open a device can do something; to look at it does not.
        let found = fs::metadata(path).map_err(|why| SourceError::cannot_read(path, why))?;
        SourceError::check_kind(path, FileType::from_raw_mode(found.mode()))?;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = file.map_err(|why| SourceError::cannot_read(path, why))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::of(file, path.to_owned(), SafeName::of_part(&name))
    }

    /// Takes what was opened, if it is a file.
    pub(crate) fn of(file: File, path: PathBuf, name: SafeName) -> Result<Self, SourceError> {
        let found = file
            .metadata()
            .map_err(|why| SourceError::cannot_read(&path, why))?;
        SourceError::check_kind(&path, FileType::from_raw_mode(found.mode()))?;
        let modified = found
            .modified()
            .map_err(|why| SourceError::cannot_read(&path, why))?;
        Ok(Self {
            file,
            path,
            name,
            size: found.len(),
            modified,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a peer is told that it is called.
    pub fn name(&self) -> &SafeName {
        &self.name
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it was last changed.
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// The checksum of the whole file. The caller is asked after each block, with the number of
    /// bytes so far, whether to go on.
    ///
    /// # Errors
    ///
    /// The file cannot be read or changed, or the caller had it stopped.
    pub fn checksum(
        &self,
        algorithm: Algorithm,
        watch: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Checksum, SourceError> {
        self.checksum_until(self.size, algorithm, watch)
    }

    /// The checksum of so many bytes of its beginning.
    ///
    /// # Errors
    ///
    /// As of [`checksum`](Self::checksum).
    pub fn checksum_until(
        &self,
        end: u64,
        algorithm: Algorithm,
        watch: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Checksum, SourceError> {
        let mut hasher = Hasher::new(algorithm);
        self.hash_until(end, &mut hasher, watch)?;
        self.check()?;
        Ok(hasher.checksum())
    }

    pub(crate) fn hash_until(
        &self,
        end: u64,
        hasher: &mut Hasher,
        mut watch: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        while at < end.min(self.size) {
            let wanted = usize::try_from(end - at).map_or(BLOCK, |left| left.min(BLOCK));
            let read = self.read(at, block.get_mut(..wanted).unwrap_or_default())?;
            hasher.update(block.get(..read).unwrap_or_default());
            at += u64::try_from(read).unwrap_or_default();
            if watch(at).is_break() {
                let path = self.path.clone();
                return Err(SourceError::Stopped { path });
            }
        }
        Ok(())
    }

    /// Reads bytes from an offset into a buffer, and says how many: as many as go in, or as there
    /// are. After the last byte there are none, and the file was looked at once more.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or changed.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize, SourceError> {
        let left = self.size.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        let into = into.get_mut(..wanted).unwrap_or_default();
        if left == 0 {
            self.check()?;
        }
        match self.file.read_exact_at(into, offset) {
            Ok(()) => Ok(wanted),
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                let path = self.path.clone();
                Err(SourceError::Changed { path })
            }
            Err(why) => Err(SourceError::cannot_read(&self.path, why)),
        }
    }

    /// A block from an offset, which ends early only with the file. After the last byte it is empty,
    /// and the file was looked at once more.
    pub(crate) fn block(&self, offset: u64, mut block: Vec<u8>) -> Result<Vec<u8>, SourceError> {
        let left = self.size.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        if wanted == 0 {
            self.check()?;
        }
        // What is not there yet need not be made zero first.
        block.clear();
        block.reserve_exact(wanted);
        while block.len() < wanted {
            // usize has at most 64 bits.
            let at = offset + block.len() as u64;
            match rustix::io::pread(&self.file, spare_capacity(&mut block), at) {
                Ok(0) => {
                    let path = self.path.clone();
                    return Err(SourceError::Changed { path });
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(why) => return Err(SourceError::cannot_read(&self.path, why.into())),
            }
        }
        block.truncate(wanted);
        Ok(block)
    }

    /// Fails if it is no longer what it was when it was opened, as far as its size and its times
    /// tell.
    ///
    /// # Errors
    ///
    /// It changed, or cannot be looked at.
    pub fn check(&self) -> Result<(), SourceError> {
        let now = self.file.metadata();
        let now = now.map_err(|why| SourceError::cannot_read(&self.path, why))?;
        let changed = now
            .modified()
            .map_err(|why| SourceError::cannot_read(&self.path, why))?;
        if now.len() == self.size && changed == self.modified {
            return Ok(());
        }
        let path = self.path.clone();
        Err(SourceError::Changed { path })
    }
}

/// Read at a time: enough that system calls cost nothing, and few enough to stay in the processor's
/// cache.
pub(crate) const BLOCK: usize = 256 * 1024;
