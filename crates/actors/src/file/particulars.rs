//! What is known of a file that is sent.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tubes_courier::{Certainty, Counter};
use tubes_files::{PathError, SafeName, SafePath};
use tubes_protocol::file::{Contents, FileOffer};

/// A file that is sent, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub(crate) u64);

impl FileId {
    /// One that no other file of the process has, whatever the account.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl FileId {
    /// As a number, counted from 1 in this process.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the sender says of a file.
///
/// Of a file that comes, the names are as the sender has them: where it is put they are made safe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Particulars {
    /// Its name.
    pub name: String,
    /// The folders on the way to it, the outermost first, if it is sent as a part of one.
    pub folder: Vec<String>,
    /// How many bytes it has.
    pub size: u64,
    /// When it was changed last.
    pub modified: Option<SystemTime>,
    /// A word of the sender's.
    pub description: Option<String>,
}

impl Particulars {
    /// Where it is put, below the folder that it is received into: the same, with names that are safe
    /// everywhere.
    ///
    /// # Errors
    ///
    /// It is too long, or leads too deep: it is not received.
    pub fn path(&self) -> Result<SafePath, PathError> {
        let folders = self.folder.iter().map(|part| SafeName::of_part(part));
        SafePath::new(folders.collect(), SafeName::of(&self.name))
    }

    pub(crate) fn of(offer: &FileOffer, contents: Option<&Contents>) -> Self {
        Self {
            name: offer.name().to_owned(),
            folder: contents.map_or_else(Vec::new, |contents| contents.folder().to_vec()),
            size: offer.size,
            modified: offer.date.map(|date| date.time()),
            description: offer.description.clone(),
        }
    }
}

impl fmt::Display for Particulars {
    /// The path, as the sender has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.folder {
            write!(f, "{part}/")?;
        }
        f.write_str(&self.name)
    }
}

/// How far a file has come; goes on counting while it is sent.
///
/// Cheap to clone. Two are equal if they belong to the same file.
#[derive(Clone, Debug)]
pub struct Progress(Counter);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Counter::default())
    }

    /// Bytes of the file that the other side has taken over, or this side has got: with those of an
    /// earlier time, where that is taken up.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// What counts it.
    pub(crate) fn counter(&self) -> Counter {
        self.0.clone()
    }
}

impl PartialEq for Progress {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

impl Eq for Progress {}

/// A file that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Where it is, at the receiver.
    pub path: Option<PathBuf>,
    /// The SHA-256 of the whole, in hexadecimal digits, where it is known.
    pub sha256: Option<String>,
    /// How sure that is.
    pub certainty: Certainty,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn path(folder: &[&str], name: &str) -> Result<String, PathError> {
        let particulars = Particulars {
            name: name.to_owned(),
            folder: folder.iter().map(|&part| part.to_owned()).collect(),
            size: 0,
            modified: None,
            description: None,
        };
        particulars.path().map(|path| path.to_string())
    }

    #[test]
    fn the_path_is_made_of_names_that_are_safe() {
        assert_eq!(path(&["trip"], "a b.jpg").unwrap(), "trip/a b.jpg");
        assert_eq!(path(&[], "../../.bashrc").unwrap(), "_bashrc");
        assert_eq!(path(&[".."], "gpj\u{202e}.exe").unwrap(), "file/gpj.exe");
        assert_eq!(path(&["a"; 40], "b"), Err(PathError::TooDeep));
    }
}
