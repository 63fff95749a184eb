//! How a file ends.

use std::sync::{Arc, OnceLock};

use tubes_courier::{Farewell, Settled};

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

/// What became of a file, and what is left to be said of it to the other side.
#[derive(Debug)]
pub(super) struct Concluded {
    pub(super) fate: Fate,
    pub(super) farewell: Option<Farewell>,
}

impl From<Fate> for Concluded {
    fn from(fate: Fate) -> Self {
        Self {
            fate,
            farewell: None,
        }
    }
}

impl Concluded {
    pub(super) fn delivered<T>(
        settled: Settled<T>,
        delivered: impl FnOnce(T) -> Delivered,
    ) -> Self {
        Self {
            fate: Fate::Delivered(delivered(settled.outcome)),
            farewell: settled.farewell,
        }
    }
}

/// What became of a file, as soon as it is known. It is said once, and stays. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<OnceLock<Fate>>);

impl Known {
    /// That is what became of it, unless something else is known already.
    pub(super) fn say(&self, fate: Fate) {
        let _ = self.0.set(fate);
    }

    pub(super) fn fate(&self) -> Option<&Fate> {
        self.0.get()
    }
}

/// How a file ends: tells the application, and then the account, when dropped.
#[derive(Debug)]
pub(super) struct End {
    pub(super) env: Env,
    pub(super) file: FileId,
    pub(super) progress: Progress,
    pub(super) known: Known,
    pub(super) _obituary: Obituary,
}

impl End {
    pub(super) fn of(env: &Env, file: FileId, progress: &Progress, obituary: Obituary) -> Self {
        Self {
            env: env.clone(),
            file,
            progress: progress.clone(),
            known: Known::default(),
            _obituary: obituary,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let fate = self.known.fate().cloned();
        let fate = fate.unwrap_or_else(|| failure::internal().into());
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
