//! Who has said that it closes, and who has answered.

use tubes_transport::Kind;

use crate::element::Speech;

/// The closes of both sides.
#[derive(Debug)]
pub(crate) struct Farewell<T> {
    /// The answer to the peer's close, while our data is still on its way.
    held: Option<T>,
    ours: Ours,
    peer: Peer,
    /// Closes that were said and not answered. A close may be followed by an abort.
    unanswered: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ours {
    Unsaid,
    /// To be said next.
    Due(Speech),
    /// Handed out; on its way to the session.
    Saying,
    Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Speaking,
    Closed,
}

impl<T> Default for Farewell<T> {
    fn default() -> Self {
        Self {
            held: None,
            ours: Ours::Unsaid,
            peer: Peer::Speaking,
            unanswered: 0,
        }
    }
}

impl<T> Farewell<T> {
    pub(crate) fn say(&mut self, speech: Speech) {
        self.ours = Ours::Due(speech);
    }

    pub(crate) fn next_speech(&mut self) -> Option<Speech> {
        let Ours::Due(speech) = &self.ours else {
            return None;
        };
        let speech = speech.clone();
        self.ours = Ours::Saying;
        Some(speech)
    }

    pub(crate) fn handle_said(&mut self) {
        // A later word may be due already.
        if self.ours == Ours::Saying {
            self.ours = Ours::Said;
        }
        self.unanswered = self.unanswered.saturating_add(1);
    }

    pub(crate) fn handle_answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    pub(crate) fn handle_heard(&mut self) {
        self.peer = Peer::Closed;
    }

    pub(crate) fn hold(&mut self, ticket: T) {
        self.held = Some(ticket);
    }

    pub(crate) fn take_held(&mut self) -> Option<T> {
        self.held.take()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub(crate) fn is_unsaid(&self) -> bool {
        self.ours == Ours::Unsaid
    }

    /// Nothing is said or waited for any more.
    pub(crate) fn give_up(&mut self) {
        self.ours = Ours::Said;
        self.peer = Peer::Closed;
        self.unanswered = 0;
    }

    pub(crate) fn is_over(&self, kind: Kind) -> bool {
        let said = match self.ours {
            Ours::Unsaid | Ours::Said => self.unanswered == 0,
            Ours::Due(_) | Ours::Saying => false,
        };
        // Gabble sends a close of its own after it has answered ours.
        let heard = match kind {
            Kind::Ours => true,
            Kind::Other => self.peer == Peer::Closed || self.ours == Ours::Unsaid,
        };
        said && heard && self.held.is_none()
    }
}
