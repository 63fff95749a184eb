//! What the service and its rooms say of themselves.

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    disco::{Identity, Item},
    iq::Iq,
    minidom::Element,
    ns,
};

use super::{OWNER, Refusal, Rooms, UNKNOWN, room::Room, rules::Whois};
use crate::embedded::{disco, hub::Me, route};

impl Rooms {
    /// Answers an IQ to the service itself.
    pub(super) fn answer(&self, me: &Me, iq: Iq) -> Option<Stanza> {
        let described = match &iq {
            Iq::Get { payload, .. } => self.describe(payload),
            Iq::Set { .. } => Err(UNKNOWN),
            Iq::Result { .. } | Iq::Error { .. } => return None,
        };
        match described {
            Ok(payload) => {
                let answer = Iq::Result {
                    from: Some(self.jid.clone().into()),
                    to: Some(me.jid.clone().into()),
                    id: iq.id().to_owned(),
                    payload,
                };
                Some(answer.into())
            }
            Err((kind, condition)) => route::error(&iq.into(), kind, condition),
        }
    }

    fn describe(&self, question: &Element) -> Result<Option<Element>, Refusal> {
        if question.is("ping", ns::PING) {
            Ok(None)
        } else if question.attr("node").is_some() {
            Err(UNKNOWN)
        } else if question.is("query", ns::DISCO_INFO) {
            let features = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::MUC, ns::PING];
            Ok(Some(disco::info(identity(), &features).into()))
        } else if question.is("query", ns::DISCO_ITEMS) {
            let items = self.rooms.keys().map(|room| Item {
                jid: room.clone().into(),
                node: None,
                name: None,
            });
            Ok(Some(disco::items(items.collect()).into()))
        } else {
            Err(UNKNOWN)
        }
    }
}

impl Room {
    pub(super) fn describe(&self, me: &Me, question: &Element) -> Result<Element, Refusal> {
        if question.is("query", OWNER) {
            self.form(me)
        } else if question.attr("node").is_some() {
            Err(UNKNOWN)
        } else if question.is("query", ns::DISCO_INFO) {
            Ok(disco::info(identity(), &self.features()).into())
        } else if question.is("query", ns::DISCO_ITEMS) {
            // Who is in is for occupants to know.
            Ok(disco::items(Vec::new()).into())
        } else {
            Err(UNKNOWN)
        }
    }

    fn features(&self) -> [&'static str; 9] {
        [
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::MUC,
            SELF_PING,
            "muc_open",
            "muc_public",
            "muc_temporary",
            match self.rules.whois {
                Whois::Anyone => "muc_nonanonymous",
                Whois::Moderators => "muc_semianonymous",
            },
            match self.rules.password {
                Some(_) => "muc_passwordprotected",
                None => "muc_unsecured",
            },
        ]
    }
}

fn identity() -> Identity {
    Identity::new_anonymous::<_, _, &str, &str>("conference", "text")
}

/// XEP-0410 §4: the service answers such pings itself.
const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
