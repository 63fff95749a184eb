//! Presence: who is told when a session comes, changes and goes (RFC 6121 §4).

use xmpp_parsers::{
    jid::{BareJid, Jid},
    presence::{Presence, Type},
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    hub::{Me, Parcel, State},
    outbox::Outbox,
    route::error,
};

impl State {
    /// Takes a presence stanza from a client.
    pub(super) fn presence(&mut self, me: &Me, mut presence: Presence) -> Option<Parcel> {
        presence.from = Some(me.jid.clone().into());
        let refused = |condition| {
            let kind = ErrorType::Cancel;
            Some(Parcel::small(
                me,
                error(&presence.clone().into(), kind, condition)?,
            ))
        };
        match (presence.to.clone(), &presence.type_) {
            (Some(to), _) if self.rooms.serve(&to) => {
                self.mine(me)?;
                return Some(Parcel::small(me, self.rooms.presence(me, presence)?));
            }
            (None, Type::None) => self.become_available(me, presence),
            (None, Type::Unavailable) => self.become_unavailable(me, presence),
            (None, _) => return refused(DefinedCondition::BadRequest),
            (Some(to), Type::None) => {
                let session = self.mine(me)?;
                if session.directed.len() >= DIRECTED && !session.directed.contains(&to) {
                    return refused(DefinedCondition::ResourceConstraint);
                }
                session.directed.insert(to.clone());
                self.post(&to, &presence);
            }
            (Some(to), Type::Unavailable) => {
                if let Some(session) = self.mine(me) {
                    session.directed.remove(&to);
                }
                self.post(&to, &presence);
            }
            (Some(to), Type::Error) => self.post(&to, &presence),
            (Some(to), Type::Probe) => self.probe(me, &to),
            (Some(to), what) => {
                if let Err(why) = self.subscription(me, &to.to_bare(), what) {
                    return refused(why);
                }
            }
        }
        None
    }

    /// Ends a session's presence, for everybody who knew of it.
    pub(super) fn become_unavailable(&mut self, me: &Me, mut presence: Presence) {
        presence.from = Some(me.jid.clone().into());
        let Some(session) = self.mine(me) else {
            return;
        };
        let directed = std::mem::take(&mut session.directed);
        if session.presence.take().is_some() {
            self.broadcast(me, &presence);
        }
        self.rooms.depart(me, &presence);
        for to in directed {
            if !self.sees(&to.to_bare(), &me.account) {
                self.post(&to, &presence);
            }
        }
    }

    /// Tells `who` of all available sessions of `whom`.
    pub(super) fn show(&self, whom: &BareJid, who: &BareJid) {
        for (_, session) in self.available(who) {
            self.show_to(whom, who, &session.outbox);
        }
    }

    /// Tells `who` that the sessions of `whom` are gone.
    pub(super) fn hide(&self, whom: &BareJid, who: &BareJid) {
        for (resource, _) in self.available(whom) {
            let Ok(from) = whom.with_resource_str(resource) else {
                continue;
            };
            let gone = Presence::unavailable().with_from(from);
            self.post(&who.clone().into(), &gone);
        }
    }

    fn become_available(&mut self, me: &Me, presence: Presence) {
        let Some(session) = self.mine(me) else {
            return;
        };
        let first = session.presence.replace(presence.clone()).is_none();
        self.broadcast(me, &presence);
        if !first {
            return;
        }
        // RFC 6121 §4.2.2: the first presence brings that of the contacts and the other resources.
        for (resource, session) in self.available(&me.account) {
            if resource != me.jid.resource().as_str() {
                me.outbox
                    .post(addressed(session.presence.as_ref(), &me.account));
            }
        }
        if let Some(account) = self.accounts.get(&me.account) {
            for (jid, _) in account.roster.iter().filter(|(_, contact)| contact.to) {
                self.show_to(jid, &me.account, &me.outbox);
            }
        }
        self.deliver_requests(me);
    }

    /// Tells all who see the account, and its own available sessions.
    fn broadcast(&self, me: &Me, presence: &Presence) {
        let Some(account) = self.accounts.get(&me.account) else {
            return;
        };
        let seeing = account.roster.iter().filter(|(_, contact)| contact.from);
        for jid in seeing.map(|(jid, _)| jid).chain([&me.account]) {
            self.post(&jid.clone().into(), presence);
        }
    }

    fn probe(&self, me: &Me, to: &Jid) {
        let account = to.to_bare();
        if self.sees(&me.account, &account) {
            self.show_to(&account, &me.account, &me.outbox);
        }
    }

    fn show_to(&self, whom: &BareJid, who: &BareJid, outbox: &Outbox) {
        for (_, session) in self.available(whom) {
            outbox.post(addressed(session.presence.as_ref(), who));
        }
    }

    /// Whether `who` is told of the presence of `whom`.
    pub(super) fn sees(&self, who: &BareJid, whom: &BareJid) -> bool {
        let seeing = |account: &super::hub::Account| account.roster.get(who).map(|c| c.from);
        who == whom || self.accounts.get(whom).and_then(seeing).unwrap_or_default()
    }

    fn post(&self, to: &Jid, presence: &Presence) {
        for outbox in self.sessions(to) {
            outbox.post(presence.clone().with_to(to.clone()));
        }
    }
}

fn addressed(presence: Option<&Presence>, to: &BareJid) -> Presence {
    // `available` yields sessions with a presence only.
    let presence = presence.cloned().unwrap_or_else(Presence::unavailable);
    presence.with_to(to.clone())
}

/// JIDs that one session may keep informed by directed presence.
const DIRECTED: usize = 1024;
