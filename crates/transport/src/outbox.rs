//! The session's end: what is to be sent, and in which order.

use tokio::sync::mpsc;

use crate::Answered;
use crate::stanzas::Outbound;

/// What is to be sent, for the session to take.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) answers: mpsc::Receiver<Answered>,
    pub(crate) control: mpsc::Receiver<Outbound>,
    pub(crate) bulk: mpsc::Receiver<Outbound>,
}

impl Outbox {
    /// The next thing to send: answers before control before bulk. Cancel safe.
    ///
    /// `None` once nobody is left to say anything.
    pub async fn next(&mut self) -> Option<Outbound> {
        let (_, next) = self.next_up_to(Lane::Bulk).await?;
        Some(next)
    }

    /// The next thing to send, on this lane or on one that overtakes it. Cancel safe.
    ///
    /// `None` once nobody is left to say anything there.
    pub async fn next_up_to(&mut self, lane: Lane) -> Option<(Lane, Outbound)> {
        tokio::select! {
            biased;
            Some(answer) = self.answers.recv() => Some((Lane::Urgent, Outbound::Answer(answer))),
            Some(outbound) = self.control.recv() => Some((Lane::Urgent, outbound)),
            Some(outbound) = self.bulk.recv(), if lane == Lane::Bulk => Some((Lane::Bulk, outbound)),
            else => None,
        }
    }

    /// The next thing to send, if anything waits.
    pub fn try_next(&mut self) -> Option<Outbound> {
        let answer = self.answers.try_recv().map(Outbound::Answer);
        answer
            .or_else(|_| self.control.try_recv())
            .or_else(|_| self.bulk.try_recv())
            .ok()
    }

    /// Throws away all that waits. Its questions fail with [`Gone::Session`](crate::Gone::Session).
    pub fn clear(&mut self) {
        while self.answers.try_recv().is_ok() {}
        while self.control.try_recv().is_ok() {}
        while self.bulk.try_recv().is_ok() {}
    }
}

/// How soon something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Answers, and what is said through [`Stanzas`](crate::Stanzas).
    Urgent,
    /// What is said on a [`Wire`](crate::Wire).
    Bulk,
}
