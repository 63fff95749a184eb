//! The room service (XEP-0045): small, and right in what it does.
//!
//! ```text
//!   presence ──► Room (entrance) ──► Outbox::post of every occupant (never waits)
//!   IQs, messages ──► Room (relay) ──► Parcel ──► the occupant's Outbox (may wait)
//!   IQs to the room ──► orders, rules, disco ──► the answer
//! ```
//!
//! - `room`, `entrance`: who is in, who comes, changes and goes
//! - `notice`: what an occupant's presence looks like to another one
//! - `relay`: what occupants say to each other
//! - `orders`, `rules`: kicks, bans, the owner's form, the end of a room
//! - `disco`: what the service and its rooms say of themselves
//!
//! Whoever makes a room is its one owner and moderator. Deliberately absent: history, subjects that are
//! kept, invitations, members and further administrators, voice, registered nicknames, one
//! nickname for several sessions. No nickname is ever changed by the service, so that there is no status
//! 210.

mod disco;
mod entrance;
mod notice;
mod orders;
mod relay;
mod room;
mod rules;

use std::collections::BTreeMap;

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    iq::Iq,
    jid::{BareJid, FullJid, Jid},
    message::Message,
    presence::{Presence, Type},
    stanza_error::{DefinedCondition, ErrorType},
};

use self::{entrance::Knock, room::Room};
use super::{
    hub::{Me, Parcel},
    route,
};

/// All rooms, and the name of the service.
#[derive(Debug)]
pub(super) struct Rooms {
    jid: BareJid,
    rooms: BTreeMap<BareJid, Room>,
}

impl Rooms {
    pub(super) fn new(jid: BareJid) -> Self {
        Self {
            jid,
            rooms: BTreeMap::new(),
        }
    }

    pub(super) fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// Whether what is sent to this JID is for the service.
    pub(super) fn serve(&self, to: &Jid) -> bool {
        to.domain() == self.jid.domain()
    }

    /// Forgets a room without a word to anybody, and says whether there was one.
    pub(super) fn forget(&mut self, room: &BareJid) -> bool {
        self.rooms.remove(room).is_some()
    }

    /// Forgets all rooms without a word to anybody.
    pub(super) fn forget_all(&mut self) {
        self.rooms.clear();
    }

    /// Takes a presence to a room, and says what is wrong with it.
    pub(super) fn presence(&mut self, me: &Me, presence: Presence) -> Option<Stanza> {
        let to = presence.to.clone()?;
        let taken = match (&presence.type_, to.try_as_full()) {
            (Type::None, Ok(seat)) => self.appear(me, seat, &presence),
            (Type::None, Err(_)) => Err((ErrorType::Modify, DefinedCondition::JidMalformed)),
            (Type::Unavailable, _) => {
                self.depart_from(&to.to_bare(), me, &presence);
                Ok(())
            }
            // There is nothing to subscribe to, and nobody to probe.
            _ => Ok(()),
        };
        let (kind, condition) = taken.err()?;
        route::error(&presence.into(), kind, condition)
    }

    /// Takes somebody out of all rooms: the session ends, or is unavailable to all.
    pub(super) fn depart(&mut self, me: &Me, presence: &Presence) {
        let entered = |(jid, room): (&BareJid, &Room)| {
            let within = room.seat_of(&me.jid).is_some();
            within.then(|| jid.clone())
        };
        let entered: Vec<_> = self.rooms.iter().filter_map(entered).collect();
        for room in entered {
            self.depart_from(&room, me, presence);
        }
    }

    /// Takes an IQ to a room, an occupant or the service itself.
    pub(super) fn iq(&mut self, me: &Me, iq: Iq, size: usize) -> Option<Parcel> {
        let to = iq.to()?.clone();
        if to == self.jid {
            return Some(Parcel::small(me, self.answer(me, iq)?));
        }
        let Some(room) = self.rooms.get_mut(&to.to_bare()) else {
            return refuse(me, iq, NO_ROOM);
        };
        if let Ok(seat) = to.try_as_full() {
            return room.relay(me, seat, iq, size);
        }
        let answer = room.answer(me, iq)?;
        if room.is_empty() {
            self.rooms.remove(&to.to_bare());
        }
        Some(Parcel::small(me, answer))
    }

    /// Takes a message to a room or an occupant.
    pub(super) fn message(&self, me: &Me, message: Message, size: usize) -> Vec<Parcel> {
        let room = message.to.as_ref().map(Jid::to_bare);
        let Some(room) = room.and_then(|room| self.rooms.get(&room)) else {
            return refuse_message(me, message, NO_ROOM);
        };
        room.say(me, message, size)
    }

    /// Tells an occupant that what he sent to another one did not arrive.
    pub(super) fn bounce(&self, from: &FullJid, stanza: &Stanza) {
        if let Some(room) = self.rooms.get(&from.to_bare()) {
            room.bounce(from, stanza);
        }
    }

    fn appear(&mut self, me: &Me, seat: &FullJid, presence: &Presence) -> Result<(), Refusal> {
        let knock = Knock::of(presence);
        let jid = seat.to_bare();
        if let Some(room) = self.rooms.get_mut(&jid) {
            return room.appear(me, seat, knock, presence);
        }
        // Prosody, too, takes it for a word of somebody who believes to be in.
        let knock = knock.ok_or(NO_ROOM)?;
        if jid.node().is_none() {
            return Err(NO_ROOM);
        }
        if self.rooms.len() >= ROOMS {
            return Err((ErrorType::Wait, DefinedCondition::ResourceConstraint));
        }
        let mut room = Room::new(jid.clone(), me.account.clone());
        room.appear(me, seat, Some(knock), presence)?;
        self.rooms.insert(jid, room);
        Ok(())
    }

    fn depart_from(&mut self, jid: &BareJid, me: &Me, presence: &Presence) {
        if let Some(room) = self.rooms.get_mut(jid) {
            room.depart(me, presence);
            if room.is_empty() {
                self.rooms.remove(jid);
            }
        }
    }
}

/// Why something is not done.
type Refusal = (ErrorType, DefinedCondition);

fn refuse(me: &Me, iq: Iq, (kind, condition): Refusal) -> Option<Parcel> {
    Some(Parcel::small(
        me,
        route::error(&iq.into(), kind, condition)?,
    ))
}

fn refuse_message(me: &Me, message: Message, (kind, condition): Refusal) -> Vec<Parcel> {
    let answer = route::error(&message.into(), kind, condition);
    let parcel = answer.map(|answer| Parcel::small(me, answer));
    parcel.into_iter().collect()
}

/// Prosody and ejabberd say the same of a room that there is not, to pings of its occupants, too.
const NO_ROOM: Refusal = (ErrorType::Cancel, DefinedCondition::ItemNotFound);

/// XEP-0410 §3.2: what is asked of occupants by somebody who is none.
const NO_OCCUPANT: Refusal = (ErrorType::Cancel, DefinedCondition::NotAcceptable);

/// What only the owner may do.
const FORBIDDEN: Refusal = (ErrorType::Auth, DefinedCondition::Forbidden);

/// What is not understood, or not done.
const UNKNOWN: Refusal = (ErrorType::Cancel, DefinedCondition::ServiceUnavailable);

/// XEP-0045 §10.
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

/// XEP-0045 §8, §9.
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

/// Rooms at a time: several times what a day of tests makes at once.
const ROOMS: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use xmpp_parsers::{muc::Muc, ping::Ping};

    use super::*;
    use crate::embedded::{hub::Hub, outbox::Outgoings};

    /// A server with these accounts, and a seat in its one room.
    struct Stage {
        hub: Hub,
        room: BareJid,
    }

    impl Stage {
        fn new(names: &[&str]) -> Self {
            let domain = BareJid::new("tubes.test").unwrap();
            let hub = Hub::new(domain, BareJid::new("rooms.tubes.test").unwrap());
            for name in names {
                let account = hub.account_of(name).unwrap();
                hub.add_account(&account, "sesame").unwrap();
            }
            let room = BareJid::new("room@rooms.tubes.test").unwrap();
            Self { hub, room }
        }

        fn log_in(&self, name: &str, resource: &str) -> (Me, Outgoings) {
            let account = self.hub.account_of(name).unwrap();
            let jid = account.with_resource_str(resource).unwrap();
            self.hub.enter(jid).unwrap()
        }

        fn seat(&self, nick: &str) -> FullJid {
            self.room.with_resource_str(nick).unwrap()
        }

        /// What comes back at once from who wants to come in.
        fn knock(&self, me: &Me, nick: &str) -> Vec<Parcel> {
            let knock = Presence::available().with_payload(Muc::new());
            let knock = knock.with_to(self.seat(nick));
            self.hub.route(me, knock.into(), 0)
        }

        /// The owner opens the room.
        fn open(&self, me: &Me) {
            let form = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
                        <x xmlns='jabber:x:data' type='submit'/></query>";
            let order = Iq::Set {
                from: None,
                to: Some(self.room.clone().into()),
                id: "form".to_owned(),
                payload: form.parse().unwrap(),
            };
            self.hub.route(me, order.into(), 0);
        }

        /// Alice has opened the room, and Fernand is in it.
        fn with_two() -> (Self, [(Me, Outgoings); 2]) {
            let stage = Self::new(&["alice", "fernand"]);
            let alice = stage.log_in("alice", "a");
            let fernand = stage.log_in("fernand", "f");
            assert!(stage.knock(&alice.0, "alice").is_empty());
            stage.open(&alice.0);
            assert!(stage.knock(&fernand.0, "fernand").is_empty());
            (stage, [alice, fernand])
        }
    }

    fn refused(parcels: Vec<Parcel>) -> DefinedCondition {
        let [parcel] = &parcels[..] else {
            panic!("not one answer: {parcels:?}");
        };
        let Stanza::Presence(presence) = &*parcel.stanza else {
            panic!("not refused: {parcel:?}");
        };
        let error = presence.payloads.first().unwrap().clone();
        xmpp_parsers::stanza_error::StanzaError::try_from(error)
            .unwrap()
            .defined_condition
    }

    #[test]
    fn a_room_holds_so_many_and_its_owner() {
        let names = ["alice", "b", "c", "d", "e"];
        let stage = Stage::new(&names);
        let (owner, _outgoings) = stage.log_in("alice", "owner");
        assert!(stage.knock(&owner, "alice").is_empty());
        stage.open(&owner);
        let mut kept = Vec::new();
        for number in 1..entrance::OCCUPANTS {
            let name = names[1 + number % 4];
            let (guest, outgoings) = stage.log_in(name, &number.to_string());
            assert!(stage.knock(&guest, &number.to_string()).is_empty());
            kept.push((guest, outgoings));
        }
        let (guest, _outgoings) = stage.log_in("b", "last");
        let why = refused(stage.knock(&guest, "last"));
        assert_eq!(why, DefinedCondition::ServiceUnavailable);
        let (owner, _outgoings) = stage.log_in("alice", "again");
        assert!(stage.knock(&owner, "again").is_empty());
    }

    #[test]
    fn what_is_said_to_an_occupant_waits_for_room_in_his_box() {
        let (stage, [(alice, _a), (fernand, f)]) = Stage::with_two();
        let ping = Iq::from_get("ping", Ping).with_to(stage.seat("fernand").into());
        let parcels = stage.hub.route(&alice, ping.into(), 4096);
        let [parcel] = &parcels[..] else {
            panic!("not one parcel: {parcels:?}");
        };
        assert_eq!(parcel.size, 4096);
        let Stanza::Iq(iq) = &*parcel.stanza else {
            panic!("no question: {parcel:?}");
        };
        assert_eq!(iq.to(), Some(&fernand.jid.into()));
        // Nothing of it is in the box already.
        let so_far = f.into_unsent();
        assert!(!so_far.iter().any(|stanza| matches!(stanza, Stanza::Iq(_))));
    }

    #[test]
    fn what_did_not_reach_an_occupant_comes_back_from_his_seat() {
        let (stage, [(alice, a), (fernand, f)]) = Stage::with_two();
        let ping = Iq::from_get("ping", Ping).with_to(stage.seat("fernand").into());
        for parcel in stage.hub.route(&alice, ping.into(), 4096) {
            assert!(parcel.outbox.offer(parcel.stanza, parcel.size).is_ok());
        }
        stage.hub.leave(&fernand, f);
        let heard = a.into_unsent();
        let answer = heard.iter().find_map(|stanza| match stanza {
            Stanza::Iq(iq @ Iq::Error { .. }) => Some(iq),
            _ => None,
        });
        let answer = answer.unwrap();
        assert_eq!(answer.id(), "ping");
        assert_eq!(answer.from(), Some(&stage.seat("fernand").into()));
        assert_eq!(answer.to(), Some(&alice.jid.into()));
    }
}
