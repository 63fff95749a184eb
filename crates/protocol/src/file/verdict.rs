//! The last words on the bytestream of a file, between our own kind.
//!
//! ```text
//!   sender     bytes ── "sha-256 9f86d081…\n" ── end
//!   receiver   "received\n" ── end                         once the file is in its place
//!              "failed full\n" ── end                      at any time
//! ```

use std::fmt;
use std::str::FromStr;

use super::{FileError, Sha256};

/// The sender's last word: the sum of the whole file, also if only a part was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(pub Sha256);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{SUM}{}", self.0)
    }
}

impl FromStr for Sum {
    type Err = FileError;

    fn from_str(line: &str) -> Result<Self, FileError> {
        let sum = line
            .strip_prefix(SUM)
            .and_then(|sum| sum.strip_suffix('\n'));
        let sum = sum.ok_or(FileError::Unintelligible)?;
        Ok(Self(sum.parse()?))
    }
}

/// The receiver's last word, and the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is not in its place, and will not be.
    Failed(Reason),
    /// The file is whole, has the right sum, and is in its place.
    Received,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(reason) => writeln!(f, "{FAILED}{}", reason.name()),
            Self::Received => f.write_str(RECEIVED),
        }
    }
}

impl FromStr for Verdict {
    type Err = FileError;

    /// Reads a line. A reason that is not known yet is one.
    fn from_str(line: &str) -> Result<Self, FileError> {
        if line == RECEIVED {
            return Ok(Self::Received);
        }
        let name = line.strip_prefix(FAILED);
        let name = name.and_then(|name| name.strip_suffix('\n'));
        let name = name.ok_or(FileError::Unintelligible)?;
        Ok(Self::Failed(Reason::named(name)))
    }
}

/// Why a file does not come to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody there did not want it any more.
    Cancelled,
    /// The file was changed while it was sent.
    Changed,
    /// What came is not what was sent. What is there is thrown away.
    Differs,
    /// There is a file of that name.
    Exists,
    /// The disk is full.
    Full,
    /// The disk failed, or something else there.
    Io,
    /// It may not be written, or read, there.
    Permission,
    /// The user may not have more there.
    Quota,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Cancelled,
        Self::Changed,
        Self::Differs,
        Self::Exists,
        Self::Full,
        Self::Io,
        Self::Permission,
        Self::Quota,
    ];

    /// By what it goes on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Changed => "changed",
            Self::Differs => "differs",
            Self::Exists => "exists",
            Self::Full => "full",
            Self::Io => "io",
            Self::Permission => "permission",
            Self::Quota => "quota",
        }
    }

    /// The reason of this name; what a later version may have is some failure there.
    pub fn named(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|reason| reason.name() == name);
        known.unwrap_or(Self::Io)
    }
}

const SUM: &str = "sha-256 ";

const FAILED: &str = "failed ";

const RECEIVED: &str = "received\n";

/// Bytes in a last word; whoever says more says something else.
pub const LINE: usize = 128;
