//! A question at the terminal, which stays in sight.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{bars, harmless};
use crate::terminal::{LINE, Terminal};

/// A question that waits for an answer. Bars are hidden meanwhile, and it is asked again below whatever else is
/// told, with what was typed so far.
#[derive(Debug)]
pub(crate) struct Question(Arc<Terminal>);

impl Question {
    /// Asks. There is one question at a time.
    pub(crate) fn ask(terminal: &Arc<Terminal>, text: String) -> Self {
        let mut standing = standing();
        bars::hide();
        let asked = Standing {
            terminal: Arc::clone(terminal),
            text,
            typed: Vec::new(),
        };
        standing.insert(asked).afresh();
        Self(Arc::clone(terminal))
    }

    /// Asks once more: the answer was none.
    pub(crate) fn repeat(&self) {
        if let Some(standing) = &mut *standing() {
            standing.afresh();
        }
    }

    /// The next line that is typed, unless that takes longer than a moment.
    pub(crate) fn answer(&self) -> Result<Option<String>, Errno> {
        let is_typed = self.0.is_typed()?;
        // From here on nobody else takes what is typed.
        let mut standing = standing();
        let Some(standing) = &mut *standing else {
            return Ok(None);
        };
        if is_typed {
            standing.typed.extend(self.0.typed()?);
        }
        Ok(standing.line())
    }

    /// Says that no answer is wanted any more.
    pub(crate) fn take_back(self) {
        let _standing = standing();
        self.0
            .show("\nThat was taken back: it is not asked any more.\n");
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        *standing() = None;
        bars::show();
    }
}

/// What is asked just now.
#[derive(Debug)]
struct Standing {
    terminal: Arc<Terminal>,
    text: String,
    /// What was typed of the answer. The terminal has the rest of it.
    typed: Vec<u8>,
}

impl Standing {
    /// Asks. Whatever was typed before is no answer to it.
    fn afresh(&mut self) {
        self.terminal.forget_typed();
        self.typed.clear();
        self.show();
    }

    fn show(&self) {
        let typed = harmless(&String::from_utf8_lossy(&self.typed));
        self.terminal.show(&format!("{}{typed}", self.text));
    }

    /// Has something written, and is to be seen below.
    fn make_way<T>(&mut self, write: impl FnOnce() -> T) -> T {
        self.typed.extend(self.terminal.begun());
        self.terminal.show("\n");
        let written = write();
        // What is answered is not asked again.
        if !self.typed.contains(&b'\n') {
            self.show();
        }
        written
    }

    /// What was answered, once it is complete. What is longer than any answer is none, and that is known
    /// before its end.
    fn line(&mut self) -> Option<String> {
        let end = self.typed.iter().position(|byte| *byte == b'\n');
        let end = match end {
            None if self.typed.len() > LINE => self.typed.len(),
            end => end?,
        };
        let line = self.typed.get(..end).unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        self.typed.clear();
        Some(line)
    }
}

/// Writes lines without tearing a question or a bar.
pub(super) fn beside<T>(paper: &impl IsTerminal, write: impl FnOnce() -> T) -> T {
    // Nothing is torn there, and who does not read it must not hold up who writes elsewhere.
    if !paper.is_terminal() {
        return write();
    }
    match &mut *standing() {
        Some(question) => question.make_way(write),
        None => bars::beside(write),
    }
}

fn standing() -> MutexGuard<'static, Option<Standing>> {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is one at a time.
static STANDING: Mutex<Option<Standing>> = Mutex::new(None);
