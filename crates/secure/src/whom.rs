//! Who is at the other end of a bytestream, and what is known of those who are met in rooms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::key::PublicKey;
use crate::trust::Judgement;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Somebody whose address is known.
    Contact(BareJid),
    /// Somebody in a chat room (XEP-0045).
    Occupant(Occupant),
}

/// Somebody in a chat room, as the room tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The room, and the name there: no identity, as another one may have it the next moment.
    pub jid: FullJid,
    /// What the room calls it as long as the room exists, whatever its name (XEP-0421).
    pub id: Option<String>,
    /// Whose occupant it is, where the room lets that be seen.
    pub real: Option<BareJid>,
}

impl Whom {
    /// The address that people know it by.
    pub fn jid(&self) -> Jid {
        match self {
            Self::Contact(contact) => contact.clone().into(),
            Self::Occupant(occupant) => occupant.jid.clone().into(),
        }
    }

    /// The contact, or the room.
    pub fn bare(&self) -> BareJid {
        self.jid().to_bare()
    }
}

/// The keys of those who were met in rooms, for as long as this side stays there. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Visits(Arc<Mutex<HashMap<Pin, PublicKey>>>);

/// By what somebody is told from others in a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pin {
    room: BareJid,
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Id(String),
    Nick(String),
}

impl Visits {
    /// What this key is of this occupant; nothing if it was not met yet.
    pub(crate) fn judge(&self, occupant: &Occupant, key: PublicKey) -> Option<Judgement> {
        let known = *self.pins().get(&Pin::of(occupant))?;
        Some(judgement(known == key))
    }

    /// Whether this occupant has encrypted in this visit.
    pub(crate) fn knows(&self, occupant: &Occupant) -> bool {
        self.pins().contains_key(&Pin::of(occupant))
    }

    /// The occupant has proven that it has this key.
    pub(crate) fn meet(&self, occupant: &Occupant, key: PublicKey) -> Judgement {
        let mut pins = self.pins();
        let pin = Pin::of(occupant);
        match pins.get(&pin) {
            Some(known) => judgement(*known == key),
            None => {
                if pins.len() < PINS {
                    pins.insert(pin, key);
                }
                Judgement::Occupant
            }
        }
    }

    /// Whoever had this name in the room has left: the next one is somebody else.
    pub fn forget(&self, occupant: &FullJid) {
        self.pins().remove(&Pin::by_nick(occupant));
    }

    /// An occupant goes by another name from now on.
    pub fn rename(&self, from: &FullJid, to: &FullJid) {
        let mut pins = self.pins();
        let key = pins.remove(&Pin::by_nick(from));
        pins.remove(&Pin::by_nick(to));
        if let Some(key) = key {
            pins.insert(Pin::by_nick(to), key);
        }
    }

    /// This side has left the room.
    pub fn end(&self, room: &BareJid) {
        self.pins().retain(|pin, _| pin.room != *room);
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<Pin, PublicKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    fn of(occupant: &Occupant) -> Self {
        match &occupant.id {
            Some(id) => Self {
                room: occupant.jid.to_bare(),
                name: Name::Id(id.clone()),
            },
            None => Self::by_nick(&occupant.jid),
        }
    }

    fn by_nick(occupant: &FullJid) -> Self {
        Self {
            room: occupant.to_bare(),
            name: Name::Nick(occupant.resource().to_string()),
        }
    }
}

fn judgement(is_same: bool) -> Judgement {
    match is_same {
        true => Judgement::Occupant,
        false => Judgement::Other,
    }
}

/// Occupants whose keys are remembered. Of those beyond, each connection is as the first.
const PINS: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;
    use crate::key::Identity;

    fn occupant(nick: &str, id: Option<&str>) -> Occupant {
        Occupant {
            jid: jid(nick),
            id: id.map(ToOwned::to_owned),
            real: None,
        }
    }

    fn jid(nick: &str) -> FullJid {
        format!("room@rooms.example/{nick}").parse().unwrap()
    }

    fn key() -> PublicKey {
        Identity::generate().unwrap().0.public()
    }

    #[test]
    fn a_name_has_one_key_until_it_is_somebody_elses() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        let fernand = occupant("fernand", None);
        assert_eq!(visits.judge(&fernand, one), None);
        assert_eq!(visits.meet(&fernand, one), Judgement::Occupant);
        assert_eq!(visits.judge(&fernand, one), Some(Judgement::Occupant));
        assert_eq!(visits.meet(&fernand, other), Judgement::Other);
        visits.forget(&jid("fernand"));
        assert_eq!(visits.meet(&fernand, other), Judgement::Occupant);
    }

    #[test]
    fn keys_follow_their_occupant_to_another_name() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        visits.meet(&occupant("fernand", None), one);
        visits.meet(&occupant("fern", None), other);
        visits.rename(&jid("fernand"), &jid("fern"));
        let fern = occupant("fern", None);
        assert_eq!(visits.judge(&fern, one), Some(Judgement::Occupant));
        assert!(!visits.knows(&occupant("fernand", None)));
    }

    #[test]
    fn who_has_an_id_is_known_by_it_whatever_the_name_until_the_visit_ends() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        visits.meet(&occupant("fernand", Some("x")), one);
        visits.forget(&jid("fernand"));
        let elsewhere = occupant("fern", Some("x"));
        assert_eq!(visits.judge(&elsewhere, other), Some(Judgement::Other));
        assert_eq!(visits.judge(&occupant("fernand", Some("y")), other), None);
        visits.end(&"room@rooms.example".parse().unwrap());
        assert_eq!(visits.judge(&elsewhere, other), None);
    }
}
