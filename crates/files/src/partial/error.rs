//! Why a part is not gone on with, and does not become a file.

use std::path::PathBuf;

use thiserror::Error;

use crate::Trouble;

/// Why bytes cannot be added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file system does not take them.
    #[error("cannot write `{path}`: {why}")]
    Disk {
        /// Where the file is to be.
        path: PathBuf,
        /// What the file system says.
        why: Trouble,
    },
    /// Whoever waited for it gave up.
    #[error("writing `{path}` was given up")]
    Stopped {
        /// Where the file was to be.
        path: PathBuf,
    },
    /// There are more than was said.
    #[error("more than the {size} bytes that were announced came for `{path}`")]
    TooMuch {
        /// Where the file is to be.
        path: PathBuf,
        /// How many there were to be.
        size: u64,
    },
}

/// Why a file cannot be completed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FinishError {
    /// It is not what the sender has. The part is thrown away.
    #[error(
        "`{path}` arrived with other bytes than were sent, and was thrown away: repeat the command"
    )]
    Differs {
        /// Where the file was to be.
        path: PathBuf,
    },
    /// Another file has come into its place, which is not to be replaced.
    #[error("`{path}` exists by now: move it away, then repeat the command")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else removed the part, or put something in its place.
    #[error("somebody took away what was received of `{path}`: repeat the command")]
    Lost {
        /// Where the file was to be.
        path: PathBuf,
    },
    /// It is not all there.
    #[error("the last {missing} bytes of `{path}` are missing: repeat the command to go on")]
    Short {
        /// Where the file is to be.
        path: PathBuf,
        /// How many are missing.
        missing: u64,
    },
    /// The last bytes cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
