//! What `send` and `receive` share: watching files on their way.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tubes::{FileTransfer, Outcome, Step};

use crate::exit::{Kind, Stop};
use crate::output::{Bar, FileProgress, Output, Report};

/// The files on their way; all are watched at once.
#[derive(Debug)]
pub(super) struct Transfers {
    output: Output,
    running: JoinSet<Outcome>,
}

impl Transfers {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            running: JoinSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Watches a file to its end.
    pub(super) fn watch(&mut self, transfer: FileTransfer) {
        self.running.spawn(watched(transfer, self.output));
    }

    /// The end of one of them; never, if there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Outcome {
        match self.running.join_next().await {
            Some(Ok(outcome)) => outcome,
            // A task that watches neither panics nor is aborted.
            Some(Err(_)) => Outcome::GivenUp,
            None => std::future::pending().await,
        }
    }
}

async fn watched(mut transfer: FileTransfer, output: Output) -> Outcome {
    let file = transfer.id().number();
    let particulars = transfer.particulars().clone();
    let mut bar = None;
    let mut told: Option<Instant> = None;
    while let Some(step) = transfer.next().await {
        match step {
            Step::Ended(outcome) => return outcome,
            Step::Progress { bytes, size } => {
                if let Some(bar) = &bar {
                    Bar::set(bar, bytes);
                } else if told.is_none_or(|told| told.elapsed() >= PACE) {
                    told = Some(Instant::now());
                    let progress = FileProgress { file, bytes, size };
                    // Whoever cannot be told this is told the end, and that fails.
                    let _ = output.report(&Report::FileProgress(progress));
                }
            }
            Step::Started { .. } if output.is_json() => {
                // So that it comes after what the account tells of the start.
                told = Some(Instant::now());
            }
            Step::Started { offset, .. } => {
                bar = Some(Bar::new(&particulars.name, particulars.size, offset));
            }
            _ => {}
        }
    }
    Outcome::GivenUp
}

/// What ends a command, of how a file ended.
pub(super) fn verdict(outcome: Outcome) -> Result<(), Stop> {
    match outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::Failed(failure) => Err(failure.into()),
        // Nobody but the user gives a file up, and that ends the command.
        Outcome::GivenUp => Err(Stop::failed(Kind::Gone, "the file was given up")),
        Outcome::Unconfirmed => Err(Stop::failed(
            Kind::TimedOut,
            "a file was sent, and the other side has not shown that it has it: ask there, or send it again",
        )),
    }
}

/// How often programs are told how far a file has come.
const PACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_which_nobody_knows_whether_it_arrived_is_no_success() {
        assert!(!Outcome::Unconfirmed.is_done());
        let code = verdict(Outcome::Unconfirmed).map_err(|stop| stop.code());
        assert_eq!(code, Err(69));
    }
}
