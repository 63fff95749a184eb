//! How somebody comes into a room, changes there, and goes.

use xmpp_parsers::{
    jid::FullJid,
    message::{Message, MessageType},
    muc::{Muc, user::Status},
    ns,
    presence::Presence,
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    FORBIDDEN, NO_ROOM, Refusal,
    notice::{Notice, shown},
    room::{Occupant, Phase, Room},
    rules::Whois,
};
use crate::embedded::hub::Me;

/// The wish to come in.
#[derive(Debug)]
pub(super) struct Knock {
    password: Option<String>,
}

impl Knock {
    /// What a presence says who wants to come in; others show something, or take another name.
    pub(super) fn of(presence: &Presence) -> Option<Self> {
        let mut payloads = presence.payloads.iter();
        let knock = payloads.find(|payload| payload.is("x", ns::MUC))?;
        let password = Muc::try_from(knock.clone()).ok().and_then(|x| x.password);
        Some(Self { password })
    }
}

impl Room {
    /// Takes a presence to one of the room's seats, taken or not.
    pub(super) fn appear(
        &mut self,
        me: &Me,
        seat: &FullJid,
        knock: Option<Knock>,
        presence: &Presence,
    ) -> Result<(), Refusal> {
        let Some(old) = self.seat_of(&me.jid).cloned() else {
            let knock = knock.ok_or(NO_ROOM)?;
            self.admit(me, seat, &knock)?;
            self.enter(me, seat, presence);
            return Ok(());
        };
        if old != *seat {
            return self.rename(me, &old, seat, presence);
        }
        let Some(occupant) = self.occupants.get_mut(seat) else {
            return Ok(());
        };
        occupant.shown = shown(presence);
        if knock.is_some() {
            // Who believes to be out gets everything once more.
            self.show_others(seat);
        }
        self.show_to_all(me, seat);
        Ok(())
    }

    /// Lets an occupant go, with these last words.
    pub(super) fn depart(&mut self, me: &Me, words: &Presence) {
        let Some(seat) = self.seat_of(&me.jid).cloned() else {
            return;
        };
        let (affiliation, _) = self.rank(&me.account);
        self.announce(&seat, &Notice::gone(words, affiliation));
        self.vacate(&seat);
    }

    fn admit(&self, me: &Me, seat: &FullJid, knock: &Knock) -> Result<(), Refusal> {
        let owner = self.is_owner(&me.account);
        if self.phase == Phase::Locked && !owner {
            return Err(NO_ROOM);
        }
        if self.banned.contains(&me.account) {
            return Err(FORBIDDEN);
        }
        if self.rules.password.is_some() && self.rules.password != knock.password {
            return Err((ErrorType::Auth, DefinedCondition::NotAuthorized));
        }
        if self.occupants.contains_key(seat) {
            return Err(CONFLICT);
        }
        if self.occupants.len() >= OCCUPANTS && !owner {
            return Err((ErrorType::Wait, DefinedCondition::ServiceUnavailable));
        }
        Ok(())
    }

    fn enter(&mut self, me: &Me, seat: &FullJid, presence: &Presence) {
        let founded = self.is_empty();
        let occupant = Occupant {
            jid: me.jid.clone(),
            outbox: me.outbox.clone(),
            shown: shown(presence),
        };
        let mut notice = Notice::of(&occupant, self.rank(&me.account));
        if self.rules.whois == Whois::Anyone {
            notice = notice.with_own(Status::NonAnonymousRoom);
        }
        if founded {
            notice = notice.with_own(Status::RoomHasBeenCreated);
        }
        self.occupants.insert(seat.clone(), occupant);
        self.show_others(seat);
        self.announce(seat, &notice);
        // XEP-0045 §7.2.15: that there is no subject ends what comes of entering.
        let mut nothing =
            Message::new_with_type(MessageType::Groupchat, Some(me.jid.clone().into()));
        nothing.from = Some(self.jid.clone().into());
        nothing.subjects.insert(Default::default(), String::new());
        me.outbox.post(nothing);
    }

    fn rename(
        &mut self,
        me: &Me,
        old: &FullJid,
        new: &FullJid,
        presence: &Presence,
    ) -> Result<(), Refusal> {
        if self.occupants.contains_key(new) {
            return Err(CONFLICT);
        }
        let (affiliation, role) = self.rank(&me.account);
        let gone = Notice::gone(&Presence::unavailable(), affiliation)
            .with(Status::NewNick)
            .with_nick(new.resource().as_str())
            .with_role(role);
        self.announce(old, &gone);
        if let Some(mut occupant) = self.vacate(old) {
            occupant.shown = shown(presence);
            self.occupants.insert(new.clone(), occupant);
        }
        self.show_to_all(me, new);
        Ok(())
    }

    /// Shows an occupant to all.
    fn show_to_all(&self, me: &Me, seat: &FullJid) {
        if let Some(occupant) = self.occupants.get(seat) {
            self.announce(seat, &Notice::of(occupant, self.rank(&me.account)));
        }
    }

    /// Shows an occupant all others, as they showed themselves last.
    fn show_others(&self, seat: &FullJid) {
        let Some(me) = self.occupants.get(seat) else {
            return;
        };
        for (other, occupant) in self.occupants.iter().filter(|(other, _)| *other != seat) {
            let rank = self.rank(&occupant.jid.to_bare());
            self.show(other, occupant, &Notice::of(occupant, rank), me);
        }
    }
}

const CONFLICT: Refusal = (ErrorType::Cancel, DefinedCondition::Conflict);

/// Occupants of a room; ejabberd has 200.
pub(super) const OCCUPANTS: usize = 200;
