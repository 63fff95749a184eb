//! The rooms that this account attends (XEP-0045).

use std::collections::BTreeSet;

use tubes_protocol::ns;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::stanza_error::StanzaError;

/// Whose presences are reported as they are, and not taken for those of contacts.
#[derive(Debug, Default)]
pub(crate) struct Rooms(BTreeSet<BareJid>);

impl Rooms {
    pub(crate) fn attend(&mut self, room: BareJid) {
        self.0.insert(room);
    }

    pub(crate) fn forsake(&mut self, room: &BareJid) {
        self.0.remove(room);
    }

    /// Whether this is a room that is attended.
    pub(crate) fn attends(&self, room: &BareJid) -> bool {
        self.0.contains(room)
    }

    /// What a presence says of a room, if it comes from one that is attended.
    pub(crate) fn read(&self, presence: &Presence) -> Option<RoomSays> {
        let from = presence.from.as_ref()?;
        if !self.attends(&from.to_bare()) {
            return None;
        }
        // What others add must not push out of sight what the room says.
        let payloads = || {
            presence
                .payloads
                .iter()
                .filter(is_of_rooms)
                .take(PAYLOADS)
                .cloned()
        };
        let occupant = from.try_as_full().ok().cloned();
        match (&presence.type_, occupant) {
            (Type::None, Some(occupant)) => Some(RoomSays::Available {
                occupant,
                payloads: payloads().collect(),
            }),
            (Type::Unavailable, Some(occupant)) => Some(RoomSays::Unavailable {
                occupant,
                payloads: payloads().collect(),
            }),
            (Type::Error, _) => Some(RoomSays::Refused {
                from: from.clone(),
                id: presence.id.clone(),
                why: payloads()
                    .find_map(|payload| StanzaError::try_from(payload).ok())
                    .map(Box::new),
            }),
            _ => None,
        }
    }
}

/// A presence from a room that is attended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RoomSays {
    /// An occupant is there. Comes with each change anew.
    Available {
        /// Who: the room, and the name there.
        occupant: FullJid,
        /// What is said of it.
        payloads: Vec<Element>,
    },
    /// The room does not take what it was told.
    Refused {
        /// The room, or the name there that it is about.
        from: Jid,
        /// Under which identifier it was told, if the room says so.
        id: Option<String>,
        /// Why, if it makes sense.
        why: Option<Box<StanzaError>>,
    },
    /// An occupant is there no more, or not under that name. Questions to it have failed, its wires have
    /// ended.
    Unavailable {
        /// Who it was.
        occupant: FullJid,
        /// What is said of it.
        payloads: Vec<Element>,
    },
}

impl RoomSays {
    /// The room that says it.
    pub fn room(&self) -> BareJid {
        match self {
            Self::Available { occupant, .. } | Self::Unavailable { occupant, .. } => {
                occupant.to_bare()
            }
            Self::Refused { from, .. } => from.to_bare(),
        }
    }
}

/// What of a presence is handed on: what the room says, and what tubes say.
fn is_of_rooms(payload: &&Element) -> bool {
    let spaces = [ns::MUC_USER, ns::OCCUPANT_ID, ns::TUBES, ns::KIND];
    payload.name() == "error" || spaces.contains(&payload.ns().as_str())
}

/// Payloads of one presence that are handed on: a few more than there are kinds of them.
const PAYLOADS: usize = 16;
