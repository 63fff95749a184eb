//! Who is here: this client, its contacts, and who may see whom.

use std::time::Instant;

use tubes_protocol::ns as tubes_ns;
use tubes_protocol::room::Told;
use tubes_transport::{Gone, Patience, Question};
use xmpp_parsers::caps::Caps;
use xmpp_parsers::disco::DiscoInfoQuery;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::presence::{Presence, Type};

use super::Router;
use crate::contacts::{Contact, Online, Sight};
use crate::rooms::RoomSays;
use crate::tracker::{Asker, fail_all};
use crate::{Ignored, SessionEvent};

impl Router {
    /// The user named somebody: follows their presence and, if `subscribe`, makes sure that
    /// both see each other's.
    pub(crate) fn handle_consent(&mut self, contact: BareJid, subscribe: Subscribe, now: Instant) {
        self.contacts.consent(contact.clone());
        if contact == self.own.to_bare() {
            // Nobody subscribes to oneself: the own resources are seen without.
            for (jid, presence) in std::mem::take(&mut self.siblings) {
                self.announced(jid, presence, now);
            }
            return;
        }
        if subscribe == Subscribe::No {
            return;
        }
        // In advance, too, where the server keeps approvals (RFC 6121 §3.4).
        self.contacts.subscribe(contact.clone());
        self.presence_to(Type::Subscribed, contact.clone());
        if !self.contacts.sees(&contact) {
            self.presence_to(Type::Subscribe, contact);
        }
    }

    /// What is known of a contact.
    pub(crate) fn contact(&self, jid: &BareJid) -> Contact {
        match *jid == self.own.to_bare() {
            // RFC 6121 §4.2.2: an account always sees its own resources.
            true => Contact {
                sight: Sight::Visible,
                ..self.contacts.contact(jid)
            },
            false => self.contacts.contact(jid),
        }
    }

    /// Hears what a room says of its occupants.
    pub(crate) fn handle_attend(&mut self, room: BareJid) {
        self.switchboard.attend(room.clone());
        self.rooms.attend(room);
    }

    /// Hears no more of a room. What was asked of its occupants nobody answers any more.
    pub(crate) fn handle_forsake(&mut self, room: &BareJid) {
        self.rooms.forsake(room);
        self.room_gone(room);
        self.switchboard.forsake(room);
    }

    /// Lets go of what is under way in a room.
    pub(crate) fn handle_abandon(&mut self, room: &BareJid) {
        self.room_gone(room);
    }

    /// What was under way with anybody there comes to nothing.
    fn room_gone(&mut self, room: &BareJid) {
        let peers = self.switchboard.peers();
        for occupant in peers.into_iter().filter(|peer| peer.to_bare() == *room) {
            self.peer_gone(&occupant);
        }
    }

    /// Shows a presence to somebody.
    pub(crate) fn handle_present(&mut self, presence: Presence) {
        self.out.push_back(presence.into());
    }

    pub(super) fn handle_presence(&mut self, presence: Presence, now: Instant) {
        if let Some(says) = self.rooms.read(&presence) {
            if let RoomSays::Unavailable { occupant, payloads } = &says {
                match Told::among(payloads).is_own() {
                    // Nobody there hears this side any more, or not as who it was.
                    true => self.room_gone(&says.room()),
                    false => self.peer_gone(&occupant.clone().into()),
                }
            }
            self.events.push_back(SessionEvent::Room(says));
            return;
        }
        let Some(from) = presence.from else { return };
        match (presence.type_, from.clone().try_into_full()) {
            (Type::Subscribe, _) => match self.contacts.may_see(&from.to_bare()) {
                true => self.presence_to(Type::Subscribed, from.to_bare()),
                false => self.ignored(Ignored::Subscription, from),
            },
            (Type::None, Ok(jid)) if jid != self.own => {
                self.resource_online(jid, presence.payloads, now);
            }
            (Type::Unavailable | Type::Error, Ok(jid)) if jid != self.own => {
                self.resource_offline(jid);
            }
            _ => {}
        }
    }

    fn resource_online(&mut self, jid: FullJid, payloads: Vec<Element>, now: Instant) {
        let life = payloads
            .iter()
            .find(|payload| payload.is("session", tubes_ns::KIND))
            .and_then(|session| session.attr("id"))
            .filter(|id| id.len() <= LIFE)
            .map(ToOwned::to_owned);
        let caps = payloads
            .into_iter()
            .find_map(|payload| Caps::try_from(payload).ok());
        let announced = Announced { life, caps };
        let own = jid.to_bare() == self.own.to_bare();
        if !own || self.contacts.knows(&jid.to_bare()) {
            self.announced(jid, announced, now);
        } else if self.siblings.len() < SIBLINGS || self.siblings.contains_key(&jid) {
            // The server says it once, at login, and the user may name the account later.
            self.siblings.insert(jid, announced);
        }
    }

    fn announced(&mut self, jid: FullJid, announced: Announced, now: Instant) {
        let Announced { life, caps } = announced;
        let mut online = self.contacts.online(&jid, life.clone(), caps.clone(), now);
        if online == Online::Reborn {
            self.resource_offline(jid.clone());
            online = self.contacts.online(&jid, life, caps, now);
        }
        match online {
            Online::Able(abilities) => {
                self.events
                    .push_back(SessionEvent::Online { jid, abilities });
            }
            Online::Ask => self.ask_features(jid, now),
            Online::Stranger => self.ignored(Ignored::Presence, jid.into()),
            Online::Reborn | Online::Unchanged => {}
        }
    }

    /// Asks a resource what it can do, as long as it is online.
    pub(super) fn ask_features(&mut self, jid: FullJid, now: Instant) {
        let Some((node, wait)) = self.contacts.inquire(&jid) else {
            return;
        };
        let query = DiscoInfoQuery { node }.into();
        let asker = Asker::Features(jid.clone());
        self.ask(
            Some(jid.into()),
            Question::Get,
            query,
            Patience::Within(wait),
            asker,
            now,
        );
    }

    fn resource_offline(&mut self, jid: FullJid) {
        self.siblings.remove(&jid);
        let was_online = self.contacts.offline(&jid);
        let peer = Jid::from(jid.clone());
        fail_all(self.tracker.lost(&peer), &Gone::Peer);
        self.switchboard.hang_up(&peer, Gone::Peer);
        if was_online {
            let why = Gone::Peer;
            self.events.push_back(SessionEvent::Offline { jid, why });
        }
    }

    /// A peer that owes an answer does not answer pings either.
    ///
    /// Nobody waits for it any longer. It counts as online all the same until its presence says
    /// otherwise: it may resume its session, and would say nothing of it.
    pub(super) fn peer_gone(&mut self, peer: &Jid) {
        fail_all(self.tracker.lost(peer), &Gone::Peer);
        self.switchboard.hang_up(peer, Gone::Peer);
    }

    pub(super) fn announce(&mut self) {
        let presence = self.present(self.shown.clone());
        self.out.push_back(presence.into());
    }

    /// One without an address is what all see from now on, and says beside it what this client is.
    pub(super) fn present(&mut self, mut presence: Presence) -> Presence {
        if presence.to.is_some() || presence.type_ != Type::None {
            return presence;
        }
        self.shown = presence.clone();
        let own = self.identity.presence().payloads;
        presence.payloads.extend(own);
        let life = format!("{:x}-{}", self.prefix, self.lives);
        let session = Element::builder("session", tubes_ns::KIND)
            .attr(xml_ncname!("id").into(), life)
            .build();
        presence.payloads.push(session);
        presence
    }

    /// The roster is known again: asks whom the user named and does not see yet.
    pub(super) fn renew_subscriptions(&mut self) {
        let unseen: Vec<_> = self
            .contacts
            .subscribing()
            .filter(|jid| !self.contacts.sees(jid))
            .cloned()
            .collect();
        for contact in unseen {
            self.presence_to(Type::Subscribe, contact);
        }
    }

    fn presence_to(&mut self, type_: Type, to: BareJid) {
        self.out.push_back(Presence::new(type_).with_to(to).into());
    }
}

/// Whether a contact that the user names is also asked for its presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribe {
    /// The roster is left alone.
    No,
    /// Subscriptions are asked for and granted (RFC 6121 §3).
    Yes,
}

/// What a presence says of a resource.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    life: Option<String>,
    caps: Option<Caps>,
}

/// Other resources of the own account that are remembered until the user names it.
const SIBLINGS: usize = 32;

/// Bytes in the name of a session that are remembered.
const LIFE: usize = 64;
