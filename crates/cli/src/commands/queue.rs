//! What `send` still has to send.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use tubes::files::{Outgoing, SafeName, Skipped, WalkError, WhySkipped, walk};

use crate::args::Send;
use crate::exit::{Kind, Stop};
use crate::output::{FileSkipped, Output, Report, Why};

/// The files that wait to be sent, in the order in which they were named. Whatever leaves it and is not sent
/// is told.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Outgoing>,
    output: Output,
    /// How many files and folders could not be read.
    unread: usize,
}

impl Queue {
    /// What the command line names.
    pub(super) fn of(send: &Send, output: Output) -> Result<Self, Stop> {
        let mut queue = Self {
            waiting: VecDeque::new(),
            output,
            unread: 0,
        };
        let mut named = HashMap::new();
        for path in &send.files {
            queue.add(path, &mut named)?;
        }
        match (queue.waiting.is_empty(), queue.unread) {
            (true, 0) => Err(Stop::Usage("there is no file in that folder".to_owned())),
            (true, _) => queue.verdict().and(Ok(queue)),
            (false, _) => Ok(queue),
        }
    }

    /// Takes in a file or a folder, which is called there as nothing else that was `named`.
    fn add<'a>(
        &mut self,
        path: &'a Path,
        named: &mut HashMap<SafeName, &'a Path>,
    ) -> Result<(), Stop> {
        if path == Path::new("-") {
            return Err(Stop::Usage(
                "standard input has no size that is known before it ends: write it to a file, and send that"
                    .to_owned(),
            ));
        }
        let listing = walk(path)?;
        if let Some(file) = listing.files.first()
            && let Some(other) = named.insert(outermost(file).clone(), path)
        {
            return Err(Stop::Usage(format!(
                "`{}` and `{}` would both be `{}` there: rename one of them, or send the folders that they are in",
                other.display(),
                path.display(),
                outermost(file),
            )));
        }
        self.waiting.extend(listing.files);
        listing.skipped.iter().try_for_each(|one| self.pass(one))
    }

    /// Tells of something in a folder that is not sent.
    fn pass(&mut self, skipped: &Skipped) -> Result<(), Stop> {
        let message = skipped.why.to_string();
        match skipped.why {
            WhySkipped::Unreadable => self.leave_out(&skipped.path, message),
            _ => self.skip(&skipped.path, Some(Why::new(Kind::Refused, message))),
        }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        self.waiting.pop_front()
    }

    /// Tells of what cannot be read.
    pub(super) fn leave_out(&mut self, path: &Path, why: impl Into<String>) -> Result<(), Stop> {
        self.unread += 1;
        self.skip(path, Some(Why::new(Kind::Io, why)))
    }

    /// Tells of what is not sent, and why; nothing, if that was this side's will.
    pub(super) fn skip(&self, path: &Path, error: Option<Why>) -> Result<(), Stop> {
        let path = path.to_string_lossy().into_owned();
        let skipped = FileSkipped { path, error };
        self.output.report(&Report::FileSkipped(skipped))
    }

    /// Sends no more: tells of all that wait.
    pub(super) fn abandon(&mut self, error: Option<&Why>) -> Result<(), Stop> {
        let mut told = Ok(());
        let mut named = 0;
        for file in self.waiting.drain(..) {
            let path = file.place().to_string_lossy().into_owned();
            let error = error.cloned();
            let skipped = Report::FileSkipped(FileSkipped { path, error });
            named += 1;
            let output = match named > NAMED {
                true => self.output.for_programs(),
                false => self.output,
            };
            told = told.and_then(|()| output.report(&skipped));
        }
        match named.saturating_sub(NAMED) {
            0 => told,
            more => {
                told.and_then(|()| self.output.remark(&format!("and {more} more are left out")))
            }
        }
    }

    /// Whether all was sent that could be read.
    pub(super) fn verdict(&self) -> Result<(), Stop> {
        match self.unread {
            0 => Ok(()),
            1 => Err(Stop::Incomplete(
                "something could not be read and was left out: see above".to_owned(),
            )),
            many => Err(Stop::Incomplete(format!(
                "{many} files or folders could not be read and were left out: see above"
            ))),
        }
    }
}

/// What it is called there, or the outermost of the folders that it is in.
fn outermost(file: &Outgoing) -> &SafeName {
    let path = file.path();
    path.folders().first().unwrap_or_else(|| path.name())
}

impl From<WalkError> for Stop {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Disk { .. } => Self::failed(Kind::Io, error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// Files that people are told the names of, when none of them is sent any more: they named fewer things than
/// a folder has.
const NAMED: usize = 16;
