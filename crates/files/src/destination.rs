//! A folder in which to receive.

use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rustix::io::Errno;
use thiserror::Error;

use crate::folder::Folder;
use crate::source::Source;
use crate::{Algorithm, Checksum, Overwrite, Partial, SafePath, SourceError, Trouble, part, place};

/// A folder in which to receive. Nothing that a peer says leads out of it.
#[derive(Debug)]
pub struct Destination {
    folder: Folder,
    path: PathBuf,
    overwrite: Overwrite,
}

/// What a peer says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Who sends it: a part is gone on with only for the same one.
    pub sender: String,
    /// Where it is to be below the destination.
    pub path: SafePath,
    /// How many bytes it has.
    pub size: u64,
    /// When it was changed last, there: the file gets that date here. In the future it is none.
    pub modified: Option<SystemTime>,
    /// What tells it from other files of that name; without it nothing is gone on with.
    pub version: Option<Version>,
    /// Which checksum to make while it is received; without one, too, nothing is gone on with, as
    /// two halves that do not belong together would not be noticed.
    pub algorithm: Option<Algorithm>,
}

/// What tells a file from others of the same name and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// What is in it.
    Checksum(Checksum),
    /// When it was last changed. Two that differ can say the same: a checksum has to tell in the
    /// end.
    Modified(SystemTime),
}

/// Why a folder is none to receive in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// It cannot be opened.
    #[error("cannot receive into `{path}`: {why}")]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the file system says.
        why: Trouble,
    },
    /// There is none.
    #[error("there is no folder `{path}`: make it, or choose another one")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{path}` is not a folder: choose another one")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
}

/// Why a file cannot be received, before anything of it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BeginError {
    /// It is being received already, by this process or another one.
    #[error("`{path}` is being received already: wait for that, or stop it")]
    Busy {
        /// Where it is to be.
        path: PathBuf,
    },
    /// The file system does not let it.
    #[error("cannot write `{path}`: {why}")]
    Disk {
        /// What cannot be written.
        path: PathBuf,
        /// What the file system says.
        why: Trouble,
    },
    /// There is a file of that name, which is not to be replaced.
    #[error("`{path}` exists: move it away, or allow to replace it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It would not go in.
    #[error("no room for `{path}`: {missing} bytes more are needed on that disk")]
    NoRoom {
        /// Where it is to be.
        path: PathBuf,
        /// How many bytes are to be made free.
        missing: u64,
    },
    /// A folder on the way is something else, maybe a link that leads away.
    #[error("`{path}` is not a folder: move it away, or choose another destination")]
    NotAFolder {
        /// What it is not.
        path: PathBuf,
    },
}

impl Destination {
    /// Opens the folder that people named; they may have named a link to it.
    ///
    /// # Errors
    ///
    /// There is no such folder. Whether it can be written to is found out later.
    pub fn open(path: &Path) -> Result<Self, DestinationError> {
        let folder = Folder::open(path).map_err(|why| {
            let path = path.to_owned();
            match why.kind() {
                io::ErrorKind::NotFound => DestinationError::Missing { path },
                io::ErrorKind::NotADirectory => DestinationError::NotAFolder { path },
                _ => DestinationError::Disk {
                    path,
                    why: why.into(),
                },
            }
        })?;
        Ok(Self {
            folder,
            path: path.to_owned(),
            overwrite: Overwrite::default(),
        })
    }

    /// Sets what becomes of files that have the name already.
    #[must_use]
    pub fn with_overwrite(self, overwrite: Overwrite) -> Self {
        Self { overwrite, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes can be received, as far as the file system tells; quotas it does not.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    pub fn free(&self) -> Result<Option<u64>, DestinationError> {
        self.folder.free().map_err(|why| DestinationError::Disk {
            path: self.path.clone(),
            why: why.into(),
        })
    }

    /// Whether the file is there already as a whole, with these bytes. It is read for that, until somebody
    /// has it stopped.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read, or it was stopped.
    pub fn has(
        &self,
        path: &SafePath,
        size: u64,
        checksum: Checksum,
        stop: &AtomicBool,
    ) -> Result<bool, SourceError> {
        let whole = self.path_of(path);
        let Some(file) = self.find(path) else {
            return Ok(false);
        };
        let found = match Source::of(file, whole, path.name().clone()) {
            Ok(found) if found.size() == size => found,
            Ok(_) | Err(SourceError::Folder { .. } | SourceError::NotAFile { .. }) => {
                return Ok(false);
            }
            Err(why) => return Err(why),
        };
        let watch = |_| match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        Ok(found.checksum(checksum.algorithm(), watch)? == checksum)
    }

    /// How many bytes of a file are there to go on with, as far as a look tells. Nothing is made, changed
    /// or locked: [`begin`](Self::begin) may find something else.
    ///
    /// # Errors
    ///
    /// As of `begin`, as far as a look tells.
    pub fn look(&self, offered: &Offered) -> Result<u64, BeginError> {
        let path = self.path_of(&offered.path);
        let mut at = self.path.clone();
        let mut folder = self.folder.again().map_err(|why| cannot(&at, why))?;
        for name in offered.path.folders() {
            at.push(name.as_str());
            folder = match folder.enter(OsStr::new(name.as_str())) {
                Ok(folder) => folder,
                // It would be made, and be empty.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {
                    return place::check_room(&folder, offered, 0, &path).map(|()| 0);
                }
                Err(why) => return Err(cannot(&at, why)),
            };
        }
        let offset = part::glance(&folder, offered).map_err(|why| cannot(&path, why))?;
        place::check_free(&folder, offered, self.overwrite, &path)?;
        place::check_room(&folder, offered, offset, &path)?;
        Ok(offset)
    }

    /// Begins to receive a file, or goes on with the part of it that is there.
    ///
    /// # Errors
    ///
    /// There is a file of that name already, no room, or the file system does not let it.
    pub fn begin(&self, offered: &Offered) -> Result<Partial, BeginError> {
        let folder = self.folder_of(&offered.path)?;
        let path = self.path_of(&offered.path);
        Partial::begin(folder, path, offered, self.overwrite)
    }

    /// The folder that a file is to be in, made if it is not there.
    fn folder_of(&self, path: &SafePath) -> Result<Folder, BeginError> {
        let mut at = self.path.clone();
        let mut folder = self.folder.again().map_err(|why| cannot(&at, why))?;
        for name in path.folders() {
            at.push(name.as_str());
            folder = folder
                .enter_or_make(OsStr::new(name.as_str()))
                .map_err(|why| cannot(&at, why))?;
        }
        Ok(folder)
    }

    fn find(&self, path: &SafePath) -> Option<std::fs::File> {
        let mut folder = self.folder.again().ok()?;
        for name in path.folders() {
            folder = folder.enter(OsStr::new(name.as_str())).ok()?;
        }
        folder.read(OsStr::new(path.name().as_str())).ok()
    }

    fn path_of(&self, path: &SafePath) -> PathBuf {
        let folders = path.folders().iter().map(|name| name.as_str());
        let names = folders.chain([path.name().as_str()]);
        self.path.join(names.collect::<PathBuf>())
    }
}

fn cannot(path: &Path, why: io::Error) -> BeginError {
    let path = path.to_owned();
    match Errno::from_io_error(&why) {
        Some(Errno::LOOP | Errno::NOTDIR) => BeginError::NotAFolder { path },
        _ => BeginError::Disk {
            path,
            why: why.into(),
        },
    }
}
