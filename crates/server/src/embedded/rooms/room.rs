//! One room, and who is in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    jid::{BareJid, FullJid},
    muc::user::{Affiliation, Role},
    presence::Presence,
};

use super::rules::Rules;
use crate::embedded::outbox::Outbox;

/// A room. Its occupants are known by their seats: the room's JID with a nickname.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) jid: BareJid,
    /// Who made it.
    owner: BareJid,
    pub(super) phase: Phase,
    pub(super) rules: Rules,
    pub(super) banned: BTreeSet<BareJid>,
    pub(super) occupants: BTreeMap<FullJid, Occupant>,
    /// The seats of those who left last: what was on its way to them may still come back.
    left: VecDeque<(FullJid, FullJid)>,
}

/// Whether the owner has said how the room is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Locked,
    Open,
}

/// Somebody in a room.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) jid: FullJid,
    pub(super) outbox: Outbox,
    /// The last presence, without what is said to the room alone.
    pub(super) shown: Presence,
}

impl Room {
    pub(super) fn new(jid: BareJid, owner: BareJid) -> Self {
        Self {
            jid,
            owner,
            phase: Phase::Locked,
            rules: Rules::default(),
            banned: BTreeSet::new(),
            occupants: BTreeMap::new(),
            left: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.occupants.is_empty()
    }

    pub(super) fn is_owner(&self, account: &BareJid) -> bool {
        self.owner == *account
    }

    /// The seat of a session that is in the room.
    pub(super) fn seat_of(&self, jid: &FullJid) -> Option<&FullJid> {
        self.occupants
            .iter()
            .find(|(_, occupant)| occupant.jid == *jid)
            .map(|(seat, _)| seat)
    }

    /// What somebody is in this room for good, and as long as he stays.
    pub(super) fn rank(&self, account: &BareJid) -> (Affiliation, Role) {
        if self.is_owner(account) {
            (Affiliation::Owner, Role::Moderator)
        } else if self.banned.contains(account) {
            (Affiliation::Outcast, Role::None)
        } else {
            (Affiliation::None, Role::Participant)
        }
    }

    /// Takes an occupant's seat away.
    pub(super) fn vacate(&mut self, seat: &FullJid) -> Option<Occupant> {
        let occupant = self.occupants.remove(seat)?;
        if self.left.len() >= LEFT {
            self.left.pop_front();
        }
        self.left.push_back((occupant.jid.clone(), seat.clone()));
        Some(occupant)
    }

    /// The seat that a session has, or had last.
    pub(super) fn last_seat_of(&self, jid: &FullJid) -> Option<&FullJid> {
        let had = || self.left.iter().rev().find(|(who, _)| who == jid);
        self.seat_of(jid).or_else(|| had().map(|(_, seat)| seat))
    }

    /// Tells all occupants, in the manner of presence: it never waits.
    pub(super) fn tell(&self, word: impl Fn(&FullJid, &Occupant) -> Stanza) {
        for (seat, occupant) in &self.occupants {
            occupant.outbox.post(word(seat, occupant));
        }
    }
}

/// Seats that are remembered: as many as could leave while a stanza waits for one of them.
const LEFT: usize = 128;
