//! The steps of a bytestream's life, as they are seen on the way.

use std::collections::HashMap;
use std::sync::Mutex;

use tubes_testkit::Fate;
use xmpp_parsers::minidom::Element;

use crate::exchange::{BLOCKS, alice};

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Requester,
    Responder,
}

/// What is said; a role is who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    SiRequest,
    SiAnswer,
    Open,
    OpenAnswer,
    Data(Role),
    DataAnswer(Role),
    Close(Role),
    CloseAnswer(Role),
}

impl Step {
    pub(crate) fn all() -> [Self; 12] {
        use Role::{Requester, Responder};
        [
            Self::SiRequest,
            Self::SiAnswer,
            Self::Open,
            Self::OpenAnswer,
            Self::Data(Requester),
            Self::Data(Responder),
            Self::DataAnswer(Requester),
            Self::DataAnswer(Responder),
            Self::Close(Requester),
            Self::Close(Responder),
            Self::CloseAnswer(Requester),
            Self::CloseAnswer(Responder),
        ]
    }

    pub(crate) fn role(self) -> Role {
        match self {
            Self::SiRequest | Self::Open => Role::Requester,
            Self::SiAnswer | Self::OpenAnswer => Role::Responder,
            Self::Data(role)
            | Self::DataAnswer(role)
            | Self::Close(role)
            | Self::CloseAnswer(role) => role,
        }
    }

    /// Which of several stanzas of the same kind are tried.
    pub(crate) fn numbers(self) -> Vec<usize> {
        match self {
            Self::Data(_) | Self::DataAnswer(_) => vec![1, 2, BLOCKS],
            _ => vec![1],
        }
    }

    pub(crate) fn is_last(self, number: usize) -> bool {
        self.numbers().last() == Some(&number)
    }

    /// A filter for which this befalls the stanza of this number and no other.
    pub(crate) fn befallen(
        self,
        number: usize,
        fate: Fate,
    ) -> impl Fn(&Element) -> Fate + Send + Sync + 'static {
        let observer = Mutex::new(Observer::default());
        let count = Mutex::new(0);
        move |stanza| {
            if observer.lock().unwrap().observe(stanza) != Some(self) {
                return Fate::Pass;
            }
            let mut count = count.lock().unwrap();
            *count += 1;
            match *count == number {
                true => fate.clone(),
                false => Fate::Pass,
            }
        }
    }
}

/// Tells steps apart: an answer is known by the question it has the id of.
#[derive(Default)]
struct Observer {
    asked: HashMap<String, Step>,
}

impl Observer {
    fn observe(&mut self, stanza: &Element) -> Option<Step> {
        let id = stanza.attr("id")?;
        let role = match stanza.attr("from")? == alice().as_str() {
            true => Role::Requester,
            false => Role::Responder,
        };
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
