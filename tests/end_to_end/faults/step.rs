//! The steps of a connection through a tube, as they are seen on a link.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;
use tubes_testkit::{Fate, Heading};
use xmpp_parsers::minidom::Element;

use super::pair::Whose;

/// Who says something: Fernand's program connects, so he is the requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Requester,
    Responder,
}

/// What is said; a role is who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Those that come in every connection: the responder's close is his answer to the
    /// requester's.
    pub(crate) const ALL: [Self; 10] = [
        Self::SiRequest,
        Self::SiAnswer,
        Self::Open,
        Self::OpenAnswer,
        Self::Data(Role::Requester),
        Self::DataAnswer(Role::Responder),
        Self::Data(Role::Responder),
        Self::DataAnswer(Role::Requester),
        Self::Close(Role::Requester),
        Self::CloseAnswer(Role::Responder),
    ];

    /// A filter for which this befalls the first such stanza on the link, and no other; it notes
    /// that it happened.
    pub(crate) fn befallen(
        self,
        fate: Fate,
        whose: Whose,
        happened: watch::Sender<bool>,
    ) -> impl Fn(Heading, &Element) -> Fate + Send + Sync + 'static {
        let asked = Mutex::new(HashMap::new());
        move |heading, stanza| {
            let role = match (whose, heading) {
                (Whose::Alices, Heading::ToServer) | (Whose::Fernands, Heading::ToClient) => {
                    Role::Responder
                }
                _ => Role::Requester,
            };
            let step = observe(&mut asked.lock().unwrap(), role, stanza);
            match step == Some(self) && !happened.send_replace(true) {
                true => fate.clone(),
                false => Fate::Pass,
            }
        }
    }
}

/// Tells steps apart: an answer is known by the question it has the id of.
fn observe(asked: &mut HashMap<String, Step>, role: Role, stanza: &Element) -> Option<Step> {
    let id = stanza.attr("id")?;
    if stanza.attr("type") != Some("set") {
        return Some(match asked.get(id)? {
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
    asked.insert(id.to_owned(), step);
    Some(step)
}
