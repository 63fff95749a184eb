//! The steps of a bytestream's life, as they are seen on the way.

use std::collections::HashMap;

use tubes_transport::Role;
use xmpp_parsers::minidom::Element;

/// What is said for a bytestream; a role is who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The question for a bytestream (XEP-0095 §3.2).
    SiRequest,
    /// Its answer, of whichever kind.
    SiAnswer,
    /// The question to open an in-band bytestream (XEP-0047 §2.1).
    Open,
    /// Its answer, of whichever kind.
    OpenAnswer,
    /// A block (XEP-0047 §2.2).
    Data(Role),
    /// Its acknowledgement, or why there is none.
    DataAnswer(Role),
    /// The question to close the bytestream (XEP-0047 §2.3).
    Close(Role),
    /// Its answer, of whichever kind.
    CloseAnswer(Role),
}

impl Step {
    /// All that there are.
    pub const ALL: [Self; 12] = [
        Self::SiRequest,
        Self::SiAnswer,
        Self::Open,
        Self::OpenAnswer,
        Self::Data(Role::Requester),
        Self::Data(Role::Responder),
        Self::DataAnswer(Role::Requester),
        Self::DataAnswer(Role::Responder),
        Self::Close(Role::Requester),
        Self::Close(Role::Responder),
        Self::CloseAnswer(Role::Requester),
        Self::CloseAnswer(Role::Responder),
    ];

    /// Who says it.
    pub fn role(self) -> Role {
        match self {
            Self::SiRequest | Self::Open => Role::Requester,
            Self::SiAnswer | Self::OpenAnswer => Role::Responder,
            Self::Data(role)
            | Self::DataAnswer(role)
            | Self::Close(role)
            | Self::CloseAnswer(role) => role,
        }
    }
}

/// Tells the steps of one bytestream after another apart: an answer is known by the question that
/// it has the id of.
#[derive(Debug, Default)]
pub struct Observer {
    asked: HashMap<String, Step>,
}

impl Observer {
    /// The step that this stanza of this role is, if it is one. Wants to see all of both.
    pub fn observe(&mut self, role: Role, stanza: &Element) -> Option<Step> {
        let id = stanza.attr("id")?;
        if stanza.attr("type") != Some("set") {
            return Some(match self.asked.get(id)? {
                Step::SiRequest => Step::SiAnswer,
                Step::Open => Step::OpenAnswer,
                Step::Data(_) => Step::DataAnswer(role),
                Step::Close(_) => Step::CloseAnswer(role),
                _ => return None,
            });
        }
        let step = match stanza.children().next()?.name() {
            "si" => Step::SiRequest,
            "open" => Step::Open,
            "data" => Step::Data(role),
            "close" => Step::Close(role),
            _ => return None,
        };
        self.asked.insert(id.to_owned(), step);
        Some(step)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn observed(observer: &mut Observer, role: Role, stanza: &str) -> Option<Step> {
        observer.observe(role, &stanza.parse().unwrap())
    }

    #[test]
    fn an_answer_is_told_by_its_question() {
        let mut observer = Observer::default();
        let data = "<iq xmlns='jabber:client' type='set' id='1'><data xmlns='x'/></iq>";
        let result = "<iq xmlns='jabber:client' type='result' id='1'/>";
        let (requester, responder) = (Role::Requester, Role::Responder);
        assert_eq!(observed(&mut observer, responder, result), None);
        let step = observed(&mut observer, requester, data);
        assert_eq!(step, Some(Step::Data(requester)));
        let step = observed(&mut observer, responder, result);
        assert_eq!(step, Some(Step::DataAnswer(responder)));
    }

    #[test]
    fn what_is_about_something_else_is_no_step() {
        let mut observer = Observer::default();
        for stanza in [
            "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='x'/></iq>",
            "<iq xmlns='jabber:client' type='set' id='2'/>",
            "<r xmlns='urn:xmpp:sm:3'/>",
        ] {
            assert_eq!(observed(&mut observer, Role::Requester, stanza), None);
        }
    }
}
