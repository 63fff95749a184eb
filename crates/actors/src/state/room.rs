//! A room, as events tell of it.

use std::collections::BTreeMap;

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::event::Event;

/// A room that this account is in, or is coming into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Room {
    /// The room, and this account's name there; none while it is not inside.
    pub own: Option<FullJid>,
    /// Who else is there, and whose occupants they are, where the room lets that be seen.
    pub occupants: BTreeMap<FullJid, Option<FullJid>>,
}

/// The rooms of an account.
pub(super) type Rooms = BTreeMap<BareJid, Room>;

/// Takes notice of what happened in a room.
pub(super) fn handle(rooms: &mut Rooms, event: &Event) {
    match event {
        Event::OccupantCame { occupant, real } => {
            let room = rooms.entry(occupant.to_bare()).or_default();
            room.occupants.insert(occupant.clone(), real.clone());
        }
        Event::OccupantLeft { occupant } => {
            if let Some(room) = rooms.get_mut(&occupant.to_bare()) {
                room.occupants.remove(occupant);
            }
        }
        Event::RoomEntered { own } => {
            rooms.entry(own.to_bare()).or_default().own = Some(own.clone());
        }
        Event::RoomLeft { room, .. } => drop(rooms.remove(room)),
        Event::RoomLost { room } => {
            rooms.entry(room.clone()).or_default().own = None;
        }
        _ => {}
    }
}

impl Room {
    /// Events that lead from an `earlier` state of the room to this one.
    pub(super) fn since(&self, jid: &BareJid, earlier: Option<&Self>) -> Vec<Event> {
        let nobody = Self::default();
        let is_new = earlier.is_none();
        let earlier = earlier.unwrap_or(&nobody);
        let mut events = Vec::new();
        for occupant in earlier.occupants.keys() {
            if !self.occupants.contains_key(occupant) {
                let occupant = occupant.clone();
                events.push(Event::OccupantLeft { occupant });
            }
        }
        for (occupant, real) in &self.occupants {
            if earlier.occupants.get(occupant) != Some(real) {
                let (occupant, real) = (occupant.clone(), real.clone());
                events.push(Event::OccupantCame { occupant, real });
            }
        }
        match &self.own {
            Some(own) if earlier.own.as_ref() != Some(own) => {
                events.push(Event::RoomEntered { own: own.clone() });
            }
            // Nobody is there, and nothing else tells of it.
            None if earlier.own.is_some() || is_new && events.is_empty() => {
                events.push(Event::RoomLost { room: jid.clone() });
            }
            _ => {}
        }
        events
    }
}
