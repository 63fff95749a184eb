//! The last words of an actor.

use std::fmt;

/// Tells the parent that a child is gone: when it returned, was stopped, or panicked.
///
/// actix restarts nothing after a panic and tells nobody, so every child holds one of these.
pub(crate) struct Obituary(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Obituary {
    /// Calls `notify` when dropped.
    pub(crate) fn new(notify: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(notify)))
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if let Some(notify) = self.0.take() {
            notify();
        }
    }
}

impl fmt::Debug for Obituary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Obituary")
    }
}
