//! What waits to be sent to one client: bounded, and never a reason for others to stop.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time,
};
use tokio_xmpp::Stanza;
use xmpp_parsers::stream_error::DefinedCondition;

/// The end that everybody puts stanzas into.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    budget: Arc<Semaphore>,
    farewell: mpsc::Sender<DefinedCondition>,
}

impl Outbox {
    pub(super) fn new() -> (Self, Outgoings) {
        let (queue, waiting) = mpsc::channel(ENTRIES);
        let (farewell, farewells) = mpsc::channel(1);
        let budget = Arc::new(Semaphore::new(BUDGET as usize));
        let outbox = Self {
            queue,
            budget,
            farewell,
        };
        (outbox, Outgoings { waiting, farewells })
    }

    /// Puts what the server itself has to say: presence, roster pushes, errors.
    ///
    /// It never waits, so that it may be called in the midst of a change and keeps the order of
    /// changes. A client that has let so much pile up is sent away.
    pub(super) fn post(&self, stanza: impl Into<Stanza>) {
        let outgoing = Outgoing {
            stanza: Box::new(stanza.into()),
            _cost: None,
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(outgoing) {
            self.send_away(DefinedCondition::ResourceConstraint);
        }
    }

    /// Puts what another client said, if there is room at once; else hands it back.
    pub(super) fn offer(&self, stanza: Box<Stanza>, size: usize) -> Result<(), Box<Stanza>> {
        match Arc::clone(&self.budget).try_acquire_many_owned(cost(size)) {
            Ok(permit) => self.put(stanza, permit),
            Err(_) => Err(stanza),
        }
    }

    /// Puts what another client said, waiting for room. A client that makes no room within
    /// [`PATIENCE`] is sent away, and the stanza comes back, as it does when the client has gone.
    pub(super) async fn deliver(
        &self,
        stanza: Box<Stanza>,
        size: usize,
    ) -> Result<(), Box<Stanza>> {
        let room = Arc::clone(&self.budget).acquire_many_owned(cost(size));
        match time::timeout(PATIENCE, room).await {
            Ok(Ok(permit)) => self.put(stanza, permit),
            Ok(Err(_)) => Err(stanza),
            Err(_) => {
                self.send_away(DefinedCondition::ResourceConstraint);
                Err(stanza)
            }
        }
    }

    /// Ends the client's stream with this error.
    pub(super) fn send_away(&self, why: DefinedCondition) {
        // There is room for one reason: a full channel means that another one was first.
        let _ = self.farewell.try_send(why);
    }

    fn put(&self, stanza: Box<Stanza>, permit: OwnedSemaphorePermit) -> Result<(), Box<Stanza>> {
        let outgoing = Outgoing {
            stanza,
            _cost: Some(permit),
        };
        self.queue.try_send(outgoing).map_err(|error| {
            if let mpsc::error::TrySendError::Full(_) = error {
                self.send_away(DefinedCondition::ResourceConstraint);
            }
            error.into_inner().stanza
        })
    }
}

/// The end that the client's connection takes them from.
#[derive(Debug)]
pub(super) struct Outgoings {
    waiting: mpsc::Receiver<Outgoing>,
    farewells: mpsc::Receiver<DefinedCondition>,
}

impl Outgoings {
    /// The next stanza to send, and what it holds of the budget.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        self.waiting.poll_recv(cx)
    }

    /// Why the stream is to end. `None` when nobody can say so any more.
    pub(super) fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<Option<DefinedCondition>> {
        self.farewells.poll_recv(cx)
    }

    /// Closes the box and empties it: what is left was never sent.
    pub(super) fn into_unsent(mut self) -> Vec<Stanza> {
        self.waiting.close();
        let mut unsent = Vec::new();
        while let Ok(outgoing) = self.waiting.try_recv() {
            unsent.push(*outgoing.stanza);
        }
        unsent
    }
}

/// A stanza on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) stanza: Box<Stanza>,
    _cost: Option<OwnedSemaphorePermit>,
}

/// What a stanza of so many bytes takes of the budget.
fn cost(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(BUDGET).clamp(LEAST, BUDGET)
}

/// Bytes of other clients' stanzas that may wait for one client.
const BUDGET: u32 = 4 * 1024 * 1024;

/// Parsed, even an empty stanza takes some memory.
const LEAST: u32 = 1024;

/// As many as the budget allows, and a thousand things that the server itself has to say.
const ENTRIES: usize = (BUDGET / LEAST) as usize + 1024;

/// How long a client may leave its box full while somebody waits.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use xmpp_parsers::presence::Presence;

    use super::*;

    fn stanza() -> Box<Stanza> {
        Box::new(Presence::available().into())
    }

    #[tokio::test(start_paused = true)]
    async fn sends_away_who_makes_no_room() {
        let (outbox, mut outgoings) = Outbox::new();
        outbox.offer(stanza(), BUDGET as usize).unwrap();
        assert!(outbox.offer(stanza(), 1).is_err());
        assert!(outbox.deliver(stanza(), 1).await.is_err());
        let why = outgoings.farewells.recv().await;
        assert_eq!(why, Some(DefinedCondition::ResourceConstraint));
    }

    #[tokio::test(start_paused = true)]
    async fn delivers_as_soon_as_there_is_room() {
        let (outbox, mut outgoings) = Outbox::new();
        outbox.offer(stanza(), BUDGET as usize).unwrap();
        let make_room = async { drop(outgoings.waiting.recv().await) };
        let (delivered, ()) = tokio::join!(outbox.deliver(stanza(), 1), make_room);
        assert!(delivered.is_ok());
        assert_eq!(outgoings.into_unsent().len(), 1);
    }

    #[tokio::test]
    async fn what_the_server_says_needs_no_budget_but_is_bounded() {
        let (outbox, mut outgoings) = Outbox::new();
        outbox.offer(stanza(), BUDGET as usize).unwrap();
        for _ in 0..ENTRIES {
            outbox.post(Presence::available());
        }
        assert!(outgoings.farewells.recv().await.is_some());
        assert_eq!(outgoings.into_unsent().len(), ENTRIES);
    }

    #[tokio::test]
    async fn hands_back_what_is_for_a_client_that_has_gone() {
        let (outbox, outgoings) = Outbox::new();
        drop(outgoings);
        assert!(outbox.offer(stanza(), 1).is_err());
        assert!(outbox.deliver(stanza(), 1).await.is_err());
    }
}
