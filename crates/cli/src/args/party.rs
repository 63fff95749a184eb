//! With whom a command deals: a contact, or all who are in a room.

use std::path::PathBuf;

use tubes::BareJid;

use super::values::{parse_contact, parse_nick, parse_room};

/// With whom to share a service.
#[derive(Debug, clap::Args)]
pub(crate) struct To {
    /// The contact to share it with
    #[arg(long, value_name = "JID", value_parser = parse_contact, required_unless_present = "room", conflicts_with_all = OF_ROOMS)]
    to: Option<BareJid>,

    #[command(flatten)]
    place: Place,
}

/// Whose offer to wait for.
#[derive(Debug, clap::Args)]
pub(crate) struct From {
    /// The contact whose offer to wait for
    #[arg(long, value_name = "JID", value_parser = parse_contact, required_unless_present = "room", conflicts_with_all = OF_ROOMS)]
    from: Option<BareJid>,

    #[command(flatten)]
    place: Place,
}

/// A chat room.
#[derive(Debug, clap::Args)]
struct Place {
    /// Instead of a contact: all who are in this chat room
    #[arg(long, value_name = "ROOM", value_parser = parse_room)]
    room: Option<BareJid>,

    /// The name to go by in the room; default: the account's
    #[arg(long, value_name = "NICK", value_parser = parse_nick, requires = "room")]
    nick: Option<String>,

    /// Where the room's password is, if it has one
    #[arg(long, value_name = "PATH", requires = "room")]
    room_password_file: Option<PathBuf>,
}

/// With whom a command deals.
#[derive(Clone, Debug)]
pub(crate) enum Party {
    /// A contact.
    Contact(BareJid),
    /// All who are in a room.
    Room(Room),
}

/// How to come into a room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) jid: BareJid,
    pub(crate) nick: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

impl Party {
    fn new(contact: Option<&BareJid>, place: &Place) -> Option<Self> {
        let room = place.room.clone().map(|jid| {
            Self::Room(Room {
                jid,
                nick: place.nick.clone(),
                password_file: place.room_password_file.clone(),
            })
        });
        room.or_else(|| contact.cloned().map(Self::Contact))
    }
}

impl To {
    /// None only if the command line was not read by clap, which asks for one of the two.
    pub(crate) fn party(&self) -> Option<Party> {
        Party::new(self.to.as_ref(), &self.place)
    }
}

impl From {
    /// See [`To::party`].
    pub(crate) fn party(&self) -> Option<Party> {
        Party::new(self.from.as_ref(), &self.place)
    }
}

/// What makes no sense with a contact. (That these options require a room, clap does not say where a
/// contact excludes one.)
const OF_ROOMS: [&str; 3] = ["room", "nick", "room_password_file"];
