//! Lines of the log, beside everything else that is shown.

use std::io::{self, Write};

use super::question;

/// Standard error, as the log has it: its lines go above a question, and above bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nobody is left to be told that standard error is gone.
        let _ = question::beside(&io::stderr(), || io::stderr().lock().write_all(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The one line that says why a command ends.
pub(crate) fn complain(why: &str) {
    // Somebody may have closed it, who then has the exit code.
    let _ = writeln!(io::stderr(), "tubes: {why}");
}
