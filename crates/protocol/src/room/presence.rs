//! What a room says of an occupant, beside its presence (XEP-0045 §7 to §9).

use std::collections::BTreeSet;

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

use crate::ns;

/// `<x xmlns='http://jabber.org/protocol/muc#user'/>` in a presence, as far as it matters here.
///
/// What is not understood is passed over: services add codes and elements of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    codes: BTreeSet<u16>,
    /// Whose occupant it is, where the room lets that be seen.
    pub real: Option<FullJid>,
    /// What the service calls it as long as the room exists (XEP-0421). It is the service's word only
    /// where the room says that it knows of such names.
    pub id: Option<String>,
    /// The name that it has from now on, if it changes.
    pub nick: Option<String>,
    /// What people said of it.
    pub reason: Option<String>,
    /// Whether the room is no more.
    pub is_destroyed: bool,
    /// By which of the sessions of our kind it was said, whatever name that has.
    pub session: Option<String>,
    /// Whether several sessions of one account go by this name. What is said to it reaches one of them,
    /// and nobody knows which. Prosody shows that, by an item for each; ejabberd does not.
    pub is_shared: bool,
}

impl Told {
    /// What stands among the payloads of a presence.
    pub fn among<'a>(payloads: impl IntoIterator<Item = &'a Element>) -> Self {
        let (mut told, mut id, mut session) = (None, None, None);
        for payload in payloads {
            if payload.is("x", ns::MUC_USER) {
                if told.replace(payload).is_some() {
                    // One of them is not the service's.
                    return Self::default();
                }
            } else if payload.is("occupant-id", ns::OCCUPANT_ID) {
                id = payload.attr("id");
            } else if payload.is("session", ns::KIND) {
                session = payload.attr("id");
            }
        }
        let Some(told) = told else {
            return Self::default();
        };
        let item = child(told, "item");
        let destroyed = child(told, "destroy");
        let of_item = |name| item.and_then(|item| item.attr(name));
        let reason = destroyed.or(item).and_then(|what| child(what, "reason"));
        Self {
            codes: told.children().take(CHILDREN).filter_map(code).collect(),
            id: name(id),
            session: name(session),
            real: of_item("jid").and_then(|jid| jid.parse().ok()),
            nick: of_item("nick").map(ToOwned::to_owned),
            reason: reason.map(Element::text),
            is_destroyed: destroyed.is_some(),
            is_shared: items(told) > 1,
        }
    }

    /// Whether it is about this side itself.
    pub fn is_own(&self) -> bool {
        self.has(110)
    }

    /// Whether the room was made for this side just now, and is locked until it says how it is to be
    /// (§10.1.1).
    pub fn is_new_room(&self) -> bool {
        self.has(201)
    }

    /// Whether the occupant stays, under the other [`nick`](Self::nick).
    pub fn is_renamed(&self) -> bool {
        self.has(303) && self.nick.is_some()
    }

    /// Why an occupant has left, if not by its own will.
    pub fn removal(&self) -> Option<Removal> {
        if self.is_destroyed {
            return Some(Removal::Destroyed);
        }
        let reasons = [
            (301, Removal::Banned),
            (307, Removal::Kicked),
            (321, Removal::NotAMember),
            (322, Removal::NotAMember),
            (332, Removal::ShutDown),
            (333, Removal::Failed),
        ];
        // Prosody and ejabberd say 307 beside 333.
        let given = reasons.into_iter().rev().find(|(code, _)| self.has(*code));
        given.map(|(_, removal)| removal)
    }

    fn has(&self, code: u16) -> bool {
        self.codes.contains(&code)
    }
}

/// Why somebody is in the room no more, although it wanted to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// For good.
    Banned,
    /// The room is no more.
    Destroyed,
    /// The service lost the way to it.
    Failed,
    /// By a moderator.
    Kicked,
    /// The room is for members now, or it is no member any more.
    NotAMember,
    /// The service goes off.
    ShutDown,
}

fn child<'a>(of: &'a Element, name: &str) -> Option<&'a Element> {
    of.get_child(name, ns::MUC_USER)
}

fn name(id: Option<&str>) -> Option<String> {
    id.filter(|id| id.len() <= ID).map(ToOwned::to_owned)
}

fn items(told: &Element) -> usize {
    let children = told.children().take(CHILDREN);
    children
        .filter(|child| child.is("item", ns::MUC_USER))
        .count()
}

fn code(status: &Element) -> Option<u16> {
    if !status.is("status", ns::MUC_USER) {
        return None;
    }
    status.attr("code")?.parse().ok()
}

/// Bytes in a name that the service gives, or a session has.
const ID: usize = 256;

/// Children that are looked at; there are a handful.
const CHILDREN: usize = 32;
