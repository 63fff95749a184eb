//! `tubes send`: sends files, and stays until the other side has them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tubes::files::Outgoing;
use tubes::{
    Event, Failure, FailureKind, Jid, Limits, Outcome, SendError, SendFile, SendFileError, Tubes,
};

use super::name;
use super::queue::Queue;
use super::transfer::{Transfers, verdict};
use crate::args::{Global, Send};
use crate::exit::{Kind, Stop, Trouble};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online::Online;
use crate::output::{Output, Why};

pub(crate) async fn run(global: &Global, send: Send, interrupt: &Interrupt) -> Result<(), Stop> {
    deliver(global, send, interrupt)
        .await
        .map_err(|stop| match stop {
            // Other commands end when they are told to; this one is done when the files are there.
            Stop::Terminated => Stop::Interrupted,
            stop => stop,
        })
}

async fn deliver(global: &Global, send: Send, interrupt: &Interrupt) -> Result<(), Stop> {
    let output = Output::new(global.output);
    // Better now than when the contact has come online in vain.
    let mut queue = Queue::of(&send, output)?;
    let sent = empty(&mut queue, global, &send, interrupt).await;
    let told = match &sent {
        Err(Stop::Failed(trouble)) => queue.abandon(Some(&trouble.into())),
        // Then nothing was begun.
        Err(Stop::Usage(_)) => Ok(()),
        _ => queue.abandon(None),
    };
    sent.and(told).and_then(|()| queue.verdict())
}

/// Sends what is in the queue, as far as that is possible.
async fn empty(
    queue: &mut Queue,
    global: &Global,
    send: &Send,
    interrupt: &Interrupt,
) -> Result<(), Stop> {
    let output = Output::new(global.output);
    let online = Online::log_in(global, None, Limits::new(), output, interrupt).await?;
    let working = online.work(interrupt, async |tubes: &Tubes, feed: &mut Feed| {
        name(tubes, &send.to.to_bare(), global).await;
        let mut sending = Sending {
            tubes,
            to: &send.to,
            description: send.description.as_deref(),
            queue,
            transfers: Transfers::new(output),
            begun: false,
        };
        sending.run(feed).await
    });
    working.await
}

struct Sending<'a> {
    tubes: &'a Tubes,
    to: &'a Jid,
    description: Option<&'a str>,
    queue: &'a mut Queue,
    transfers: Transfers,
    begun: bool,
}

impl Sending<'_> {
    /// Sends a few at a time; what fails for one file does not keep the others from being sent, and what
    /// fails for all of them does.
    async fn run(&mut self, feed: &mut Feed) -> Result<(), Stop> {
        let silence = Instant::now() + SILENCE;
        let mut verdicts = Ok(());
        loop {
            while self.transfers.len() < AT_A_TIME {
                let Some(file) = self.queue.next() else {
                    break;
                };
                verdicts = verdicts.and(self.start(file).await?);
            }
            if self.transfers.len() == 0 {
                return verdicts;
            }
            tokio::select! {
                outcome = self.transfers.next() => {
                    if let Some(failure) = spoiling(&outcome) {
                        self.queue.abandon(Some(&failure.clone().into()))?;
                    }
                    verdicts = verdicts.and_then(|()| verdict(outcome));
                }
                event = feed.next() => {
                    self.begun |= matches!(event?, Event::FileStarted { .. } | Event::FileFailed { .. });
                }
                () = sleep_until(silence), if !self.begun => {
                    self.begun = true;
                    let to = self.to;
                    feed.remark(&format!(
                        "waiting for {to} to take it: `tubes receive`, or another program that takes files, \
                         has to run there; interrupt to end"
                    ))?;
                }
            }
        }
    }

    /// Begins with a file; why it is not sent, unless it cannot be read, of which the queue takes notice.
    async fn start(&mut self, file: Outgoing) -> Result<Result<(), Stop>, Stop> {
        let place = file.place();
        let mut order = SendFile::listed(self.to.clone(), file);
        if let Some(description) = self.description {
            order = order.with_description(description);
        }
        match self.tubes.send_file(order).await {
            Ok(transfer) => self.transfers.watch(transfer),
            Err(SendError::Source(why)) => self.queue.leave_out(&place, why.to_string())?,
            Err(why) => {
                let trouble = Trouble::from(why);
                self.queue.skip(&place, Some(Why::from(&trouble)))?;
                return Ok(Err(Stop::Failed(trouble)));
            }
        }
        Ok(Ok(()))
    }
}

/// What ended it, if the next file would fare no better.
fn spoiling(outcome: &Outcome) -> Option<&Failure> {
    let Outcome::Failed(failure) = outcome else {
        return None;
    };
    let is_for_all = matches!(
        failure.kind,
        FailureKind::Gone
            | FailureKind::TimedOut
            | FailureKind::Unreachable
            | FailureKind::Untrusted
    );
    is_for_all.then_some(failure)
}

impl From<SendError> for Trouble {
    fn from(error: SendError) -> Self {
        let kind = match &error {
            SendError::Account(SendFileError::Closed) => Kind::Gone,
            SendError::Account(SendFileError::Full) => Kind::Limit,
            _ => Kind::Io,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

/// Files under way at once: small ones wait for round trips most of the time.
const AT_A_TIME: usize = 4;

/// Whoever is there begins within this time; only a longer wait is worth a word.
const SILENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_stopped_there_leaves_the_others_to_be_sent() {
        let spoils = |kind| {
            spoiling(&Outcome::Failed(Failure {
                kind,
                message: String::new(),
                remedy: None,
            }))
            .is_some()
        };
        assert!(!spoils(FailureKind::Closed));
        assert!(spoils(FailureKind::Gone));
        assert!(spoiling(&Outcome::Unconfirmed).is_none());
    }
}
