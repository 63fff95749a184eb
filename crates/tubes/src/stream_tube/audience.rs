//! Whom a tube is shared with.

use std::fmt;

use tubes_local::Address;
use xmpp_parsers::jid::{BareJid, FullJid};

use crate::Offer;

/// Whom a tube is shared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Audience {
    /// One contact, whatever it is online with.
    Contact(BareJid),
    /// All occupants of a room. Each connection is one between two of them, as with contacts.
    Room(BareJid),
}

impl Audience {
    /// The contact, or the room.
    pub fn jid(&self) -> &BareJid {
        match self {
            Self::Contact(jid) | Self::Room(jid) => jid,
        }
    }

    /// What is offered to it; none if nothing can be.
    pub(crate) fn offer(&self, service: &str, address: Address) -> Option<Offer> {
        match self {
            Self::Contact(contact) => Some(Offer::new(contact.clone(), service, address)),
            // Nothing is offered to rooms yet: this is the place.
            Self::Room(_) => None,
        }
    }

    /// Where an offer came from. Those of rooms do not come yet: this is the place.
    pub(crate) fn of_offerer(offerer: &FullJid) -> Self {
        Self::Contact(offerer.to_bare())
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jid().fmt(f)
    }
}
