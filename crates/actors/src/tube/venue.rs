//! Where a tube is: between two contacts, or in a room.

use actix::Addr;
use tubes_protocol::tube::Setting;
use tubes_secure::Whom;
use tubes_transport::OpenError;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::env::Env;
use crate::event::{Audience, Failure};
use crate::failure;
use crate::room::{RoomActor, WhoIs};
use crate::session::Stay;

/// Where a tube is.
#[derive(Clone, Debug)]
pub(crate) enum Venue {
    Contact(BareJid),
    Room(BareJid, Stay),
}

impl Venue {
    pub(crate) fn audience(&self) -> Audience {
        match self {
            Self::Contact(contact) => Audience::Contact(contact.clone()),
            Self::Room(room, _) => Audience::Room(room.clone()),
        }
    }

    pub(crate) fn setting(&self) -> Setting {
        match self {
            Self::Contact(_) => Setting::Private,
            Self::Room(..) => Setting::Room,
        }
    }

    /// The contact, or the room.
    pub(crate) fn jid(&self) -> &BareJid {
        match self {
            Self::Contact(jid) | Self::Room(jid, _) => jid,
        }
    }

    /// Why a stream that was asked for here did not come about.
    pub(crate) fn failure(&self, error: &OpenError) -> Failure {
        match self {
            Self::Room(room, _) => failure::open_in_room(room, error),
            Self::Contact(_) => failure::open(error),
        }
    }

    /// Under which address this side speaks here.
    pub(crate) fn local(&self, env: &Env) -> FullJid {
        match self {
            Self::Contact(_) => env.local.borrow().clone(),
            Self::Room(_, stay) => stay.address.borrow().clone(),
        }
    }

    pub(crate) fn room(&self) -> Option<&Addr<RoomActor>> {
        match self {
            Self::Contact(_) => None,
            Self::Room(_, stay) => Some(&stay.addr),
        }
    }

    /// As whom somebody counts, against bounds and in reports: one contact, or one occupant.
    pub(crate) fn counted(&self, peer: &FullJid) -> Jid {
        match self {
            Self::Contact(_) => peer.to_bare().into(),
            Self::Room(..) => peer.clone().into(),
        }
    }

    /// Who is behind an address here; nobody, if the room does not know it (any more).
    pub(crate) async fn who_is(&self, peer: &FullJid) -> Option<Whom> {
        match self {
            Self::Contact(_) => Some(Whom::Contact(peer.to_bare())),
            Self::Room(_, stay) => stay.addr.send(WhoIs(peer.clone())).await.ok()?,
        }
    }
}
