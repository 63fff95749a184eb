//! What a peer asks or tells.

use tokio::sync::mpsc::OwnedPermit;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::quota::Place;

/// A question of a peer's: an IQ request that is answered exactly once.
///
/// Its place in the queue of answers is reserved from the start, so answering never waits and
/// never fails. Dropping it unanswered answers `service-unavailable`.
#[derive(Debug)]
pub struct Ask {
    from: Jid,
    payload: Element,
    reply: Option<Box<Reply>>,
}

impl Ask {
    pub(crate) fn new(from: Jid, payload: Element, reply: Reply) -> Self {
        Self {
            from,
            payload,
            reply: Some(Box::new(reply)),
        }
    }

    /// Who asks. The server vouches for it.
    pub fn from(&self) -> &Jid {
        &self.from
    }

    /// What is asked.
    pub fn payload(&self) -> &Element {
        &self.payload
    }

    /// Lets go of what was asked, for an answer that may have to wait: only the place of the
    /// answer is held then.
    pub fn forget_payload(&mut self) {
        self.payload = Element::bare(self.payload.name(), self.payload.ns());
    }

    /// Answers with a result.
    pub fn grant(mut self, result: Option<Element>) {
        self.answer(Ok(result));
    }

    /// Answers with an error.
    pub fn refuse(mut self, error: StanzaError) {
        self.answer(Err(error));
    }

    /// Answers with an error of the given type and condition and no further words.
    pub fn refuse_with(self, type_: ErrorType, condition: DefinedCondition) {
        self.refuse(StanzaError::new(type_, condition, "en", ""));
    }

    fn answer(&mut self, outcome: Result<Option<Element>, StanzaError>) {
        if let Some(reply) = self.reply.take() {
            reply.permit.send(Answered {
                to: self.from.clone(),
                id: reply.id,
                outcome,
            });
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        let condition = DefinedCondition::ServiceUnavailable;
        self.answer(Err(StanzaError::new(
            ErrorType::Cancel,
            condition,
            "en",
            "",
        )));
    }
}

/// Something a peer said in a message; no answer is due.
#[derive(Clone, Debug)]
pub struct Tell {
    /// Who said it. The server vouches for it.
    pub from: Jid,
    /// What was said.
    pub payload: Element,
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Answered {
    /// Who asked.
    pub to: Jid,
    /// The id of the question.
    pub id: String,
    /// The result's payload, or the error.
    pub outcome: Result<Option<Element>, StanzaError>,
}

/// Where an answer goes, and the places that are kept for it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) permit: OwnedPermit<Answered>,
    pub(crate) _place: Place,
}
