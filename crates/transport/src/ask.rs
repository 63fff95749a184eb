//! What a peer asks or tells.

use tokio::sync::mpsc::OwnedPermit;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// A question of a peer's: an IQ request that is answered exactly once.
///
/// Its place in the queue of answers is reserved from the start, so answering never waits and
/// never fails. Dropping it unanswered answers `service-unavailable`.
#[derive(Debug)]
pub struct Ask {
    from: Jid,
    payload: Element,
    reply: Option<Reply>,
}

impl Ask {
    pub(crate) fn new(
        from: Jid,
        id: String,
        payload: Element,
        permit: OwnedPermit<Answered>,
    ) -> Self {
        Self {
            from,
            payload,
            reply: Some(Reply { id, permit }),
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
        if let Some(Reply { id, permit }) = self.reply.take() {
            permit.send(Answered {
                to: self.from.clone(),
                id,
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

#[derive(Debug)]
struct Reply {
    id: String,
    permit: OwnedPermit<Answered>,
}
