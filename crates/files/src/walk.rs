//! What is in a folder that is sent.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::Errno;
use thiserror::Error;

use crate::folder::{self, Folder, Identity};
use crate::path::PARTS;
use crate::{PathError, SafeName, SafePath, Source, SourceError, Trouble};

/// What was found to be sent.
#[derive(Debug)]
pub struct Listing {
    /// The files, in the order of their names.
    pub files: Vec<Outgoing>,
    /// What is left out, and why.
    pub skipped: Vec<Skipped>,
}

/// A file that was found, not yet open: there may be more of them than a process may have open.
#[derive(Clone, Debug)]
pub struct Outgoing {
    root: Root,
    path: SafePath,
    size: u64,
}

/// Something in a folder that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub why: WhySkipped,
}

/// Why something in a folder is not sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhySkipped {
    /// It is a symbolic link: what it leads to is sent only if it is named itself.
    #[error("it is a symbolic link")]
    Link,
    /// It is a pipe, a socket or a device.
    #[error("it is no regular file")]
    NotAFile,
    /// It is a folder that is in the listing already.
    #[error("it is the same folder as another one")]
    Twice,
    /// It cannot be looked into.
    #[error("it cannot be read")]
    Unreadable,
}

/// Why a folder cannot be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WalkError {
    /// It cannot be read.
    #[error("cannot read `{path}`: {why}")]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the file system says.
        why: Trouble,
    },
    /// A path in it is too deep or too long to be received.
    #[error("cannot send `{path}`: {why}; send that folder by itself, or an archive of it")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        why: PathError,
    },
    /// What was named is neither a file nor a folder.
    #[error(transparent)]
    Source(SourceError),
    /// There are too many.
    #[error(
        "there are more than {ENTRIES} files and folders in `{path}`: send an archive of it instead"
    )]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

#[derive(Clone, Debug)]
enum Root {
    File(PathBuf),
    Folder {
        open: Arc<Folder>,
        path: PathBuf,
        below: Arc<[OsString]>,
    },
}

/// Finds what is to be sent: a file, or all files of a folder and the folders in it.
///
/// The folder's own name is the first part of each path, so that several folders can be sent to one
/// place. Folders without files are not in the listing.
///
/// # Errors
///
/// There is nothing of that name, nothing that can be sent, or too much.
pub fn walk(path: &Path) -> Result<Listing, WalkError> {
    let mut listing = Listing {
        files: Vec::new(),
        skipped: Vec::new(),
    };
    match Source::open(path) {
        Ok(source) => listing.files.push(Outgoing {
            path: source.name().clone().into(),
            size: source.size(),
            root: Root::File(path.to_owned()),
        }),
        Err(SourceError::Folder { .. }) => walk_folder(path, ENTRIES, &mut listing)?,
        Err(why) => return Err(WalkError::Source(why)),
    }
    Ok(listing)
}

fn walk_folder(path: &Path, left: usize, listing: &mut Listing) -> Result<(), WalkError> {
    let open = Arc::new(Folder::open(path).map_err(|why| cannot_read(path, why))?);
    let identity = open.identity().map_err(|why| cannot_read(path, why))?;
    let mut walk = Walk {
        open: Arc::clone(&open),
        path,
        below: Vec::new(),
        folders: vec![own_name(path)],
        seen: HashSet::from([identity]),
        left,
        listing,
    };
    walk.visit(&open)
}

impl Outgoing {
    /// What a peer is told where it is.
    pub fn path(&self) -> &SafePath {
        &self.path
    }

    /// How many bytes it had when it was found.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it was found, as this machine calls it.
    pub fn place(&self) -> PathBuf {
        match &self.root {
            Root::File(path) => path.clone(),
            Root::Folder { path, below, .. } => path.join(below.iter().collect::<PathBuf>()),
        }
    }

    /// Opens it. Links that have come into its place meanwhile are not followed.
    ///
    /// # Errors
    ///
    /// It is gone, is something else by now, or cannot be read.
    pub fn open(&self) -> Result<Source, SourceError> {
        let (open, below) = match &self.root {
            Root::File(path) => return Source::open(path),
            Root::Folder { open, below, .. } => (open, below),
        };
        let path = self.place();
        let unreadable = |why: io::Error| match Errno::from_io_error(&why) {
            // A link has come into its place.
            Some(Errno::LOOP | Errno::NOTDIR) => SourceError::Changed { path: path.clone() },
            _ => SourceError::cannot_read(&path, why),
        };
        let Some((name, folders)) = below.split_last() else {
            return Err(SourceError::Folder { path });
        };
        let mut folder = open.again().map_err(unreadable)?;
        for step in folders {
            folder = folder.enter(step).map_err(unreadable)?;
        }
        // To open a device can do something; to look at it does not.
        if let Some(found) = folder.stat(name).map_err(unreadable)? {
            SourceError::check_kind(&path, folder::kind(&found))?;
        }
        let file = folder.read(name).map_err(unreadable)?;
        Source::of(file, path, self.path.name().clone())
    }
}

/// On the way through a folder.
struct Walk<'a> {
    open: Arc<Folder>,
    path: &'a Path,
    /// Where it is just now, as the folders are really called, and as a peer is told.
    below: Vec<OsString>,
    folders: Vec<SafeName>,
    seen: HashSet<Identity>,
    /// How many entries may still come.
    left: usize,
    listing: &'a mut Listing,
}

impl Walk<'_> {
    fn visit(&mut self, folder: &Folder) -> Result<(), WalkError> {
        let Ok(names) = folder.names(self.left.saturating_add(1)) else {
            return self.skip(WhySkipped::Unreadable);
        };
        let Some(left) = self.left.checked_sub(names.len()) else {
            let path = self.path.to_owned();
            return Err(WalkError::TooMany { path });
        };
        self.left = left;
        let mut taken = HashMap::new();
        for name in names {
            let safe = unused(&mut taken, &name);
            self.below.push(name);
            self.meet(folder, safe)?;
            self.below.pop();
        }
        Ok(())
    }

    /// Takes in an entry, whose own name is the last of `below`.
    fn meet(&mut self, folder: &Folder, safe: SafeName) -> Result<(), WalkError> {
        let Some(name) = self.below.last() else {
            return Ok(());
        };
        // Whatever is gone by now need not be named.
        let found = match folder.stat(name) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(_) => return self.skip(WhySkipped::Unreadable),
        };
        match folder::kind(&found) {
            FileType::RegularFile => self.add(safe, u64::try_from(found.st_size).unwrap_or(0)),
            FileType::Directory if !self.seen.insert(Identity::of(&found)) => {
                self.skip(WhySkipped::Twice)
            }
            FileType::Directory => match folder.enter(name) {
                Ok(inner) => self.descend(&inner, safe),
                Err(_) => self.skip(WhySkipped::Unreadable),
            },
            FileType::Symlink => self.skip(WhySkipped::Link),
            _ => self.skip(WhySkipped::NotAFile),
        }
    }

    fn descend(&mut self, inner: &Folder, safe: SafeName) -> Result<(), WalkError> {
        self.folders.push(safe);
        if self.folders.len() >= PARTS {
            return Err(self.wrong(PathError::TooDeep));
        }
        self.visit(inner)?;
        self.folders.pop();
        Ok(())
    }

    fn add(&mut self, safe: SafeName, size: u64) -> Result<(), WalkError> {
        let path = SafePath::new(self.folders.clone(), safe).map_err(|why| self.wrong(why))?;
        self.listing.files.push(Outgoing {
            root: Root::Folder {
                open: Arc::clone(&self.open),
                path: self.path.to_owned(),
                below: self.below.clone().into(),
            },
            path,
            size,
        });
        Ok(())
    }

    fn skip(&mut self, why: WhySkipped) -> Result<(), WalkError> {
        let path = self.here();
        self.listing.skipped.push(Skipped { path, why });
        Ok(())
    }

    fn wrong(&self, why: PathError) -> WalkError {
        let path = self.here();
        WalkError::Path { path, why }
    }

    fn here(&self) -> PathBuf {
        self.path.join(self.below.iter().collect::<PathBuf>())
    }
}

/// A safe name that no other entry of the folder has. The same ones come out each time, as names
/// come in order.
fn unused(taken: &mut HashMap<SafeName, u32>, name: &OsStr) -> SafeName {
    let safe = SafeName::of_part(&name.to_string_lossy());
    let mut unused = safe.clone();
    while taken.contains_key(&unused) {
        let times = taken.entry(safe.clone()).or_default();
        *times = times.saturating_add(1);
        unused = safe.numbered(*times);
    }
    taken.insert(unused.clone(), 1);
    unused
}

/// What a folder is called, even if it was named as `.`.
fn own_name(path: &Path) -> SafeName {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let own = path.file_name().or_else(|| whole.file_name());
    SafeName::of_part(&own.unwrap_or_default().to_string_lossy())
}

fn cannot_read(path: &Path, why: io::Error) -> WalkError {
    WalkError::Disk {
        path: path.to_owned(),
        why: why.into(),
    }
}

/// Files and folders within a folder. Each becomes an offer; more than this is a backup.
const ENTRIES: usize = 100_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use std::fs;

    use super::*;

    #[test]
    fn more_than_anybody_sends_file_by_file_is_refused() {
        let place = tempfile::tempdir().unwrap();
        for file in ["a/1", "a/2", "b/3", "b/4"] {
            let path = place.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |left| {
            let mut listing = Listing {
                files: Vec::new(),
                skipped: Vec::new(),
            };
            walk_folder(place.path(), left, &mut listing).map(|()| listing.files.len())
        };
        assert_eq!(found(6).unwrap(), 4);
        for left in 0..6 {
            let refused = found(left).unwrap_err();
            assert!(matches!(refused, WalkError::TooMany { .. }), "{refused}");
        }
    }
}
