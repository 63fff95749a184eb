//! Messages: offers and data for the tubes, and talk, which is for the application.

use std::time::Instant;

use tubes_protocol::ns as tubes_ns;
use tubes_transport::{Inbound, Tell};
use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::{History, Router, Sharing};
use crate::{Ignored, SessionEvent};

impl Router {
    pub(super) fn handle_message(&mut self, message: Message, now: Instant) {
        let is_ours = message.payloads.iter().any(is_of_tubes);
        // In a room it is said to others, too.
        let is_talk = message.type_ != MessageType::Groupchat && !message.bodies.is_empty();
        if self.sharing == Sharing::Shared && !is_ours {
            let message = Box::new(message.clone());
            self.events.push_back(SessionEvent::Message(message));
        }
        let Some(from) = message.from else { return };
        self.tracker.heard(&from, now);
        if message.type_ == MessageType::Error {
            tracing::debug!(%from, "a message came back undelivered");
            return;
        }
        // What was stored while this client was away is stale: offers and data are of the moment.
        // Servers mark what they replay at a resumption likewise, and that must be delivered.
        let delayed = message
            .payloads
            .iter()
            .any(|payload| payload.is("delay", ns::DELAY));
        if delayed && self.history == History::Fresh {
            return;
        }
        // Servers greet, and write what they are about to do.
        if is_talk && !is_ours && from.node().is_some() {
            self.ignored(Ignored::Message, from.clone());
        }
        for payload in message.payloads.into_iter().take(PAYLOADS) {
            self.deliver(
                &from.clone(),
                Inbound::Tell(Tell {
                    from: from.clone(),
                    payload,
                }),
            );
        }
    }
}

/// What the application has no use for: offers, and data.
fn is_of_tubes(payload: &Element) -> bool {
    [tubes_ns::TUBES, tubes_ns::IBB].contains(&payload.ns().as_str())
}

/// Payloads of one message that are looked at.
const PAYLOADS: usize = 16;
