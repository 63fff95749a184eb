//! Where a file is within a folder that is sent.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::SafeName;

/// A path below a folder: names that are safe, the last of them that of the file.
///
/// As text it has a `/` between names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    folders: Vec<SafeName>,
    name: SafeName,
}

/// Why what a peer says is no path to be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// A part is missing between two separators, or before or behind one.
    #[error("the path has a part without a name")]
    Nameless,
    /// It leaves the folder, or stays where it is.
    #[error("the path has a part that is `.` or `..`")]
    Relative,
    /// It has too many parts.
    #[error("the path has more than {PARTS} parts")]
    TooDeep,
    /// It has too many bytes.
    #[error("the path has more than {BYTES} bytes")]
    TooLong,
}

impl SafePath {
    /// A file below folders, the outermost first.
    ///
    /// # Errors
    ///
    /// There are too many of them, or it takes too many bytes.
    pub fn new(folders: Vec<SafeName>, name: SafeName) -> Result<Self, PathError> {
        let all = folders.iter().chain([&name]);
        let bytes: usize = all.map(|part| part.as_str().len() + 1).sum();
        if folders.len() >= PARTS {
            return Err(PathError::TooDeep);
        }
        if bytes > BYTES {
            return Err(PathError::TooLong);
        }
        Ok(Self { folders, name })
    }

    /// The folders that it is in, the outermost first.
    pub fn folders(&self) -> &[SafeName] {
        &self.folders
    }

    /// The name of the file.
    pub fn name(&self) -> &SafeName {
        &self.name
    }
}

impl FromStr for SafePath {
    type Err = PathError;

    /// Reads what a peer says. Names are made safe; a path that leads anywhere but down is refused.
    fn from_str(said: &str) -> Result<Self, Self::Err> {
        if said.len() > BYTES {
            return Err(PathError::TooLong);
        }
        let mut names = Vec::new();
        for part in said.split('/') {
            match part {
                "" => return Err(PathError::Nameless),
                "." | ".." => return Err(PathError::Relative),
                _ if names.len() == PARTS => return Err(PathError::TooDeep),
                part => names.push(SafeName::of_part(part)),
            }
        }
        let name = names.pop().ok_or(PathError::Nameless)?;
        Self::new(names, name)
    }
}

impl From<SafeName> for SafePath {
    fn from(name: SafeName) -> Self {
        Self {
            folders: Vec::new(),
            name,
        }
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for folder in &self.folders {
            write!(out, "{folder}/")?;
        }
        write!(out, "{}", self.name)
    }
}

/// Deeper trees are made by accident, or to hurt.
pub(crate) const PARTS: usize = 32;

/// In all, separators included: below what system calls take (`PATH_MAX`), with room for the folder
/// that it is put into.
const BYTES: usize = 3 * 1024;
