//! What follows for this side from what a room says.

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::room::{Occupant, Removal};

/// What follows from what the room says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Somebody is in the room; whose occupant it is, where that may be seen. Comes again when that
    /// changes.
    Came {
        /// Who.
        occupant: Occupant,
        /// Whose occupant.
        real: Option<FullJid>,
    },
    /// Ask to be let in, under this name.
    Enter {
        /// The name.
        nick: Occupant,
    },
    /// Ask so again after a while: the room is not there at the moment.
    EnterLater,
    /// This side is in the room.
    Entered {
        /// Its name there.
        nick: Occupant,
        /// The room was made for it just now: tell the service how it is to be (XEP-0045 §10.1.2).
        is_new: bool,
    },
    /// Somebody is in the room no more.
    Left {
        /// Who.
        occupant: Occupant,
    },
    /// This side is in the room no more, and does not come back by itself.
    Out {
        /// Why; nothing if it wanted to leave.
        why: Option<Exit>,
        /// What people said of it.
        reason: Option<String>,
    },
    /// This side has another name from now on.
    Named {
        /// The name.
        nick: Occupant,
    },
    /// Ask for another name: another session of the account goes by the present one, too, and is known by
    /// it from now on.
    Rename {
        /// The name.
        nick: Occupant,
    },
    /// Somebody goes by another name.
    Renamed {
        /// The former name.
        from: Occupant,
        /// The present one.
        to: Occupant,
    },
}

/// Why this side is not in the room.
#[derive(Clone, Debug, PartialEq)]
pub enum Exit {
    /// It was not let in.
    Refused(DefinedCondition),
    /// It was put out.
    Removed(Removal),
    /// The room does not answer.
    Silent,
}
