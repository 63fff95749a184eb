//! How a tube ends.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tubes_protocol::tube::TubeNumber;

use crate::announcer::Announcer;
use crate::event::{Event, Failure, TubeId};
use crate::failure;
use crate::obituary::Obituary;

/// Tells the application, then the account, and then whoever asked for it: the next order of theirs finds
/// an account that has one tube less.
///
/// The tube, its listener and each of its connections hold it, so that the end of a tube is
/// always the last that is heard of it, also if a panic ended it before those.
#[derive(Debug)]
pub(super) struct End {
    tube: TubeId,
    number: TubeNumber,
    announcer: Announcer,
    reason: Mutex<Option<Failure>>,
    // Fields are dropped in their order, which matters here.
    _obituary: Obituary,
    /// Whoever waits for the tube to be closed; dropping them is the word.
    closers: Mutex<Vec<oneshot::Sender<()>>>,
}

impl End {
    /// An end that nobody saw coming, until a reason for it is given.
    pub(super) fn of(
        tube: TubeId,
        number: TubeNumber,
        announcer: Announcer,
        obituary: Obituary,
    ) -> Self {
        Self {
            tube,
            number,
            announcer,
            reason: Mutex::new(Some(failure::internal())),
            _obituary: obituary,
            closers: Mutex::default(),
        }
    }

    /// Why it ends; none: this side wanted it.
    pub(super) fn because(&self, reason: Option<Failure>) {
        *locked(&self.reason) = reason;
    }

    /// What ends with the tube.
    pub(super) fn awaited(&self) -> oneshot::Receiver<()> {
        let (closer, closed) = oneshot::channel();
        locked(&self.closers).push(closer);
        closed
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let error = locked(&self.reason).take();
        self.announcer.announce(Event::TubeClosed {
            tube: self.tube,
            number: self.number.value(),
            error,
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
