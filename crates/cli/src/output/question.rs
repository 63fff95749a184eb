//! A question at the terminal, which stays in sight.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bars;

/// A question that waits for an answer. Bars are hidden meanwhile, and it is asked again below whatever else is
/// told.
#[derive(Debug)]
pub(crate) struct Question(());

impl Question {
    /// Asks on standard error. There is one question at a time.
    pub(crate) fn ask(text: String) -> Self {
        let mut standing = standing();
        bars::hide();
        show(&text);
        *standing = Some(text);
        Self(())
    }

    /// Asks once more: the answer was none.
    pub(crate) fn repeat(&self) {
        if let Some(text) = &*standing() {
            show(text);
        }
    }

    /// Says that no answer is wanted any more.
    pub(crate) fn take_back(self) {
        let _standing = standing();
        eprintln!("\nThat was taken back: it is not asked any more.");
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        *standing() = None;
        bars::show();
    }
}

/// Writes lines without tearing a question or a bar.
pub(super) fn beside<T>(write: impl FnOnce() -> T) -> T {
    match &*standing() {
        Some(text) if io::stdout().is_terminal() => {
            eprintln!();
            let written = write();
            show(text);
            written
        }
        Some(_) => write(),
        None => bars::beside(write),
    }
}

fn show(text: &str) {
    eprint!("{text}");
    // Nobody can be asked whom it cannot be shown.
    let _ = io::stderr().flush();
}

fn standing() -> MutexGuard<'static, Option<String>> {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked just now.
static STANDING: Mutex<Option<String>> = Mutex::new(None);
