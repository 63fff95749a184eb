//! Which of a connection's stanzas a fault befalls, as it is seen on a link.

use std::sync::Mutex;

use tokio::sync::watch;
use tubes::TransportName;
use tubes_testkit::{Fate, Heading, Observer, Step};
use tubes_transport::Role;
use xmpp_parsers::minidom::Element;

use super::pair::Whose;

/// A filter for which this befalls the first such stanza on the link, and no other; it notes that
/// it happened.
pub(crate) fn befallen(
    step: Step,
    fate: Fate,
    whose: Whose,
    happened: watch::Sender<bool>,
) -> impl Fn(Heading, &Element) -> Fate + Send + Sync + 'static {
    let observer = Mutex::new(Observer::default());
    move |heading, stanza| {
        // Fernand's program connects, so he is the requester.
        let role = match (whose, heading) {
            (Whose::Alices, Heading::ToServer) | (Whose::Fernands, Heading::ToClient) => {
                Role::Responder
            }
            _ => Role::Requester,
        };
        let seen = observer.lock().unwrap().observe(role, stanza);
        match seen.map(first) == Some(step) && !happened.send_replace(true) {
            true => fate.clone(),
            false => Fate::Pass,
        }
    }
}

/// The first to close is one as the other: encrypted directions end before, and by themselves.
fn first(step: Step) -> Step {
    match step {
        Step::Close(_) => CLOSE,
        Step::CloseAnswer(_) => CLOSE_ANSWER,
        step => step,
    }
}

/// Those that come in every connection and on this link.
pub(crate) fn certain(transport: TransportName, whose: Whose) -> &'static [Step] {
    match (transport, whose) {
        (TransportName::Socks5Proxy, Whose::Fernands) => &Step::PROXIED,
        // The proxy is that of Fernand's server, who asks it himself.
        (TransportName::Socks5Direct | TransportName::Socks5Proxy, _) => &Step::DIRECT,
        _ => &IN_BAND,
    }
}

/// Whoever says it first.
const CLOSE: Step = Step::Close(Role::Requester);

/// To whoever says it first.
const CLOSE_ANSWER: Step = Step::CloseAnswer(Role::Responder);

const IN_BAND: [Step; 10] = [
    Step::SiRequest,
    Step::SiAnswer,
    Step::Open,
    Step::OpenAnswer,
    Step::Data(Role::Requester),
    Step::DataAnswer(Role::Responder),
    Step::Data(Role::Responder),
    Step::DataAnswer(Role::Requester),
    CLOSE,
    CLOSE_ANSWER,
];
