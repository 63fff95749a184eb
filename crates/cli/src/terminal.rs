//! The terminal at which somebody is asked: where questions are shown, and answers are typed.

use std::fs::File;
use std::io::{self, IsTerminal, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, tcflush, tcgetattr, tcgetpgrp,
    tcsetattr,
};

/// A terminal. Its keyboard is standard input.
#[derive(Debug)]
pub(crate) struct Terminal(Screen);

#[derive(Debug)]
enum Screen {
    /// The terminal that the process belongs to, where standard error leads elsewhere.
    Controlling(File),
    StandardError,
}

impl Terminal {
    /// None where nobody can type, or nobody would see the question.
    pub(crate) fn find() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        if io::stderr().is_terminal() {
            return Some(Self(Screen::StandardError));
        }
        let device = File::options().write(true).open("/dev/tty").ok()?;
        Some(Self(Screen::Controlling(device)))
    }

    /// Shows this. Whoever has closed the terminal is shown nothing.
    pub(crate) fn show(&self, text: &str) {
        let _ = match &self.0 {
            Screen::Controlling(device) => {
                let mut device = device;
                device.write_all(text.as_bytes())
            }
            Screen::StandardError => io::stderr().lock().write_all(text.as_bytes()),
        };
    }

    /// Forgets what was typed and not read yet.
    pub(crate) fn forget_typed(&self) {
        // A terminal that is gone has nothing to forget.
        if is_ours() {
            let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        }
    }

    /// Waits a moment for something to be typed. A terminal hands out whole lines.
    pub(crate) fn is_typed(&self) -> Result<bool, Errno> {
        is_ready(&GLANCE)
    }

    /// What was typed, if anything was.
    pub(crate) fn typed(&self) -> Result<Vec<u8>, Errno> {
        if !is_ready(&NOW)? || !is_ours() {
            return Ok(Vec::new());
        }
        let mut line = [0; LINE];
        match read(io::stdin(), &mut line) {
            // Nobody is there any more.
            Ok(0) => Err(Errno::IO),
            Ok(length) => Ok(line.get(..length).unwrap_or_default().to_owned()),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Vec::new()),
            Err(why) => Err(why),
        }
    }

    /// Takes what was typed of a line that is not complete yet: what follows comes without it, and cannot
    /// take it back.
    pub(crate) fn begun(&self) -> Vec<u8> {
        // Where it cannot be had it stays where it is, and is not seen for a while.
        taken().unwrap_or_default()
    }
}

/// Whether this program is in the foreground: whoever reads or changes a terminal from the background is
/// stopped, with all that it does.
fn is_ours() -> bool {
    // A terminal that is gone stops nobody.
    tcgetpgrp(io::stdin()).map_or(true, |foreground| foreground == getpgrp())
}

/// A terminal keeps a line to itself until it is complete, unless it is to hand out each letter.
fn taken() -> Result<Vec<u8>, Errno> {
    let keyboard = io::stdin();
    if !is_ours() {
        return Ok(Vec::new());
    }
    let by_lines = tcgetattr(&keyboard)?;
    let mut by_letters = by_lines.clone();
    by_letters.local_modes.remove(LocalModes::ICANON);
    // Without waiting for any.
    by_letters.special_codes[SpecialCodeIndex::VMIN] = 0;
    by_letters.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&keyboard, OptionalActions::Now, &by_letters)?;
    let mut line = [0; LINE];
    let length = read(&keyboard, &mut line);
    tcsetattr(&keyboard, OptionalActions::Now, &by_lines)?;
    Ok(line.get(..length?).unwrap_or_default().to_owned())
}

fn is_ready(patience: &Timespec) -> Result<bool, Errno> {
    let keyboard = io::stdin();
    let mut ready = [PollFd::new(&keyboard, PollFlags::IN)];
    match poll(&mut ready, Some(patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(why) => Err(why),
    }
}

/// How long it takes at most until a question that was taken back is known to be.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Bytes that are read at a time: more than any answer has.
pub(crate) const LINE: usize = 256;
