//! How a file ends.

use super::{Delivered, FileId, Progress};
use crate::env::Env;
use crate::event::{Event, Failure};
use crate::failure;
use crate::obituary::Obituary;

/// What became of a file.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It was sent.
    Delivered(Delivered),
    /// It was not, for this reason.
    Failed(Failure),
    /// This side gave it up.
    GivenUp,
}

impl From<Failure> for Fate {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How a file ends: tells the application, and then the account, when dropped.
#[derive(Debug)]
pub(super) struct End {
    pub(super) env: Env,
    pub(super) file: FileId,
    pub(super) progress: Progress,
    pub(super) fate: Fate,
    pub(super) _obituary: Obituary,
}

impl End {
    pub(super) fn of(env: &Env, file: FileId, progress: &Progress, obituary: Obituary) -> Self {
        Self {
            env: env.clone(),
            file,
            progress: progress.clone(),
            fate: Fate::Failed(failure::internal()),
            _obituary: obituary,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let fate = std::mem::replace(&mut self.fate, Fate::GivenUp);
        tracing::debug!(file = %self.file, ?fate, "file ended");
        let (file, carried) = (self.file, self.progress.bytes());
        self.env.announcer.announce(match fate {
            Fate::Delivered(delivered) => Event::FileDone { file, delivered },
            Fate::Failed(failure) => Event::FileFailed {
                file,
                carried,
                error: Some(failure),
            },
            Fate::GivenUp => Event::FileFailed {
                file,
                carried,
                error: None,
            },
        });
    }
}
