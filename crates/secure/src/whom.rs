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
    /// Its stay there, which ends when it leaves. See [`Visits::began`].
    pub stay: u64,
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

    /// Whether this is still the same: somebody else may go by the name by now.
    pub fn is_still(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Contact(one), Self::Contact(other)) => one == other,
            (Self::Occupant(one), Self::Occupant(other)) => one.stay == other.stay,
            _ => false,
        }
    }

    /// The contact, or the room.
    pub fn bare(&self) -> BareJid {
        self.jid().to_bare()
    }
}

/// The keys of those who were met in rooms, for as long as this side stays there. Cheap to clone.
///
/// Somebody is known by its stay in the room, from its coming to its leaving, whatever it is called
/// meanwhile; and after that by its name together with the one of XEP-0421, if the service has those.
#[derive(Clone, Debug, Default)]
pub struct Visits(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Who is there, and the key that it has proven to have.
    stays: HashMap<u64, Option<PublicKey>>,
    /// Whoever may come back.
    remembered: HashMap<Pin, PublicKey>,
}

/// By what somebody who comes back is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pin {
    occupant: FullJid,
    id: String,
}

impl Visits {
    /// Somebody is in a room: the stay is known from here on.
    pub fn began(&self, stay: u64) {
        self.known().stays.entry(stay).or_default();
    }

    /// Somebody has left: whoever has the name next is somebody else.
    pub fn ended(&self, stay: u64) {
        self.known().stays.remove(&stay);
    }

    /// This side has left the room.
    pub fn end(&self, room: &BareJid) {
        let mut known = self.known();
        known
            .remembered
            .retain(|pin, _| pin.occupant.to_bare() != *room);
    }

    /// What this key is of this occupant; nothing if it was not met yet.
    pub(crate) fn judge(&self, occupant: &Occupant, key: PublicKey) -> Option<Judgement> {
        let pinned = self.known().key_of(occupant)?;
        Some(judgement(pinned == key))
    }

    /// Whether this occupant has encrypted in this visit.
    pub(crate) fn knows(&self, occupant: &Occupant) -> bool {
        self.known().key_of(occupant).is_some()
    }

    /// The occupant has proven that it has this key. Nothing if it has left meanwhile.
    pub(crate) fn meet(&self, occupant: &Occupant, key: PublicKey) -> Option<Judgement> {
        let mut known = self.known();
        if !known.stays.contains_key(&occupant.stay) {
            return None;
        }
        if let Some(pinned) = known.key_of(occupant) {
            return Some(judgement(pinned == key));
        }
        known.stays.insert(occupant.stay, Some(key));
        if let Some(pin) = Pin::of(occupant)
            && known.remembered.len() < REMEMBERED
        {
            known.remembered.insert(pin, key);
        }
        Some(Judgement::Occupant)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn key_of(&self, occupant: &Occupant) -> Option<PublicKey> {
        let of_stay = self.stays.get(&occupant.stay).copied().flatten();
        of_stay.or_else(|| self.remembered.get(&Pin::of(occupant)?).copied())
    }
}

impl Pin {
    fn of(occupant: &Occupant) -> Option<Self> {
        Some(Self {
            occupant: occupant.jid.clone(),
            id: occupant.id.clone()?,
        })
    }
}

fn judgement(is_same: bool) -> Judgement {
    match is_same {
        true => Judgement::Occupant,
        false => Judgement::Other,
    }
}

/// Occupants who may come back whose keys are remembered; of more, each is met anew.
const REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;
    use crate::key::Identity;

    fn occupant(nick: &str, stay: u64, id: Option<&str>) -> Occupant {
        Occupant {
            jid: format!("room@rooms.example/{nick}").parse().unwrap(),
            stay,
            id: id.map(ToOwned::to_owned),
            real: None,
        }
    }

    fn key() -> PublicKey {
        Identity::generate().unwrap().0.public()
    }

    #[test]
    fn a_stay_has_one_key_whatever_the_name() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        visits.began(1);
        let fernand = occupant("fernand", 1, None);
        assert_eq!(visits.judge(&fernand, one), None);
        assert_eq!(visits.meet(&fernand, one), Some(Judgement::Occupant));
        let fern = occupant("fern", 1, None);
        assert_eq!(visits.judge(&fern, one), Some(Judgement::Occupant));
        assert_eq!(visits.meet(&fern, other), Some(Judgement::Other));
    }

    #[test]
    fn who_has_the_name_next_is_somebody_else() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        visits.began(1);
        visits.meet(&occupant("fernand", 1, None), one);
        visits.ended(1);
        visits.began(2);
        let next = occupant("fernand", 2, None);
        assert!(!visits.knows(&next));
        assert_eq!(visits.meet(&next, other), Some(Judgement::Occupant));
    }

    #[test]
    fn who_has_left_meanwhile_is_not_met() {
        let visits = Visits::default();
        visits.began(1);
        visits.ended(1);
        assert_eq!(visits.meet(&occupant("fernand", 1, Some("x")), key()), None);
        visits.began(2);
        assert!(!visits.knows(&occupant("fernand", 2, Some("x"))));
    }

    #[test]
    fn who_comes_back_is_known_by_name_and_id_until_the_visit_ends() {
        let visits = Visits::default();
        let (one, other) = (key(), key());
        visits.began(1);
        visits.meet(&occupant("fernand", 1, Some("x")), one);
        visits.ended(1);
        visits.began(2);
        let back = occupant("fernand", 2, Some("x"));
        assert_eq!(visits.judge(&back, other), Some(Judgement::Other));
        // Another device of the same account, and another account of the same name.
        visits.began(3);
        assert_eq!(visits.judge(&occupant("fern", 3, Some("x")), other), None);
        assert_eq!(
            visits.judge(&occupant("fernand", 3, Some("y")), other),
            None
        );
        visits.end(&"room@rooms.example".parse().unwrap());
        assert_eq!(visits.judge(&back, other), None);
    }
}
