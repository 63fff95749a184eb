//! Presence subscriptions: asked for, granted, given up, revoked (RFC 6121 §3).

use xmpp_parsers::{
    jid::BareJid,
    presence::{Presence, Type},
    stanza_error::DefinedCondition,
};

use super::hub::{Me, State};

impl State {
    /// Takes a presence stanza that is about subscriptions, or says why not.
    pub(super) fn subscription(
        &mut self,
        me: &Me,
        to: &BareJid,
        what: &Type,
    ) -> Result<(), DefinedCondition> {
        if *to == me.account {
            // One's own presence is seen without asking.
            return Ok(());
        }
        match what {
            Type::Subscribe => return self.subscribe(me, to),
            Type::Subscribed => self.grant(me, to),
            Type::Unsubscribe => self.unsubscribe(me, to),
            _ => self.revoke(me, to),
        }
        Ok(())
    }

    /// Delivers the requests that came while nobody was there (RFC 6121 §3.1.3).
    pub(super) fn deliver_requests(&self, me: &Me) {
        let Some(account) = self.accounts.get(&me.account) else {
            return;
        };
        for (jid, _) in account.roster.iter().filter(|(_, contact)| contact.asking) {
            me.outbox.post(stamped(Type::Subscribe, jid, &me.account));
        }
    }

    fn subscribe(&mut self, me: &Me, to: &BareJid) -> Result<(), DefinedCondition> {
        let full = DefinedCondition::ResourceConstraint;
        let mine = self.contact(&me.account, to).ok_or_else(|| full.clone())?;
        mine.listed = true;
        mine.asked = !mine.to;
        self.push(&me.account, to);
        if to.domain() != self.domain.domain() {
            return Err(DefinedCondition::RemoteServerNotFound);
        }
        if !self.accounts.contains_key(to) {
            // RFC 6121 §8.5.1: nobody learns this way which accounts exist.
            return Ok(());
        }
        let theirs = self.contact(to, &me.account).ok_or(full)?;
        if theirs.from {
            // §3.1.3: granted long ago; the server answers for the contact.
            self.granted(&me.account, to);
        } else if !theirs.asking {
            theirs.asking = true;
            let request = stamped(Type::Subscribe, &me.account, to);
            for (_, session) in self.available(to) {
                session.outbox.post(request.clone());
            }
        }
        Ok(())
    }

    fn grant(&mut self, me: &Me, to: &BareJid) {
        // Without a request this would be a pre-approval (§3.4), which is not offered.
        let Some(mine) = self.known(&me.account, to).filter(|c| c.asking) else {
            return;
        };
        mine.asking = false;
        mine.from = true;
        mine.listed = true;
        self.push(&me.account, to);
        self.granted(to, &me.account);
    }

    /// `who` sees `whom` from now on.
    fn granted(&mut self, who: &BareJid, whom: &BareJid) {
        let Some(contact) = self.known(who, whom).filter(|c| c.asked) else {
            return;
        };
        contact.asked = false;
        contact.to = true;
        self.tell(who, &stamped(Type::Subscribed, whom, who));
        self.push(who, whom);
        self.show(whom, who);
    }

    /// Gives up seeing the contact.
    pub(super) fn unsubscribe(&mut self, me: &Me, to: &BareJid) {
        let Some(mine) = self.known(&me.account, to).filter(|c| c.to || c.asked) else {
            return;
        };
        mine.to = false;
        mine.asked = false;
        self.push(&me.account, to);
        let Some(theirs) = self.known(to, &me.account).filter(|c| c.from || c.asking) else {
            return;
        };
        let saw = theirs.from;
        theirs.from = false;
        theirs.asking = false;
        self.tell(to, &stamped(Type::Unsubscribe, &me.account, to));
        self.push(to, &me.account);
        if saw {
            self.hide(to, &me.account);
        }
    }

    /// Does not let the contact see us, or not any more.
    pub(super) fn revoke(&mut self, me: &Me, to: &BareJid) {
        let Some(mine) = self.known(&me.account, to).filter(|c| c.from || c.asking) else {
            return;
        };
        let saw = mine.from;
        mine.from = false;
        mine.asking = false;
        self.push(&me.account, to);
        let Some(theirs) = self.known(to, &me.account).filter(|c| c.to || c.asked) else {
            return;
        };
        theirs.to = false;
        theirs.asked = false;
        if saw {
            self.hide(&me.account, to);
        }
        self.tell(to, &stamped(Type::Unsubscribed, &me.account, to));
        self.push(to, &me.account);
    }

    /// Sends `presence` to every session of `who` that takes an interest in such things.
    fn tell(&self, who: &BareJid, presence: &Presence) {
        let Some(account) = self.accounts.get(who) else {
            return;
        };
        for session in account.sessions.values() {
            if session.interested || session.presence.is_some() {
                session.outbox.post(presence.clone());
            }
        }
    }
}

fn stamped(what: Type, from: &BareJid, to: &BareJid) -> Presence {
    Presence::new(what)
        .with_from(from.clone())
        .with_to(to.clone())
}
