//! Rosters: contacts, and the subscriptions between accounts (RFC 6121 §2).

use xmpp_parsers::{
    iq::Iq,
    jid::BareJid,
    minidom::Element,
    roster::{Ask, Group, Item, Roster, Subscription},
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    hub::{Me, State},
    route::{failure, result},
};

/// One side's view of a contact.
#[derive(Debug, Default)]
pub(super) struct Contact {
    name: Option<String>,
    groups: Vec<Group>,
    /// Whether the user or a subscription put it into the roster. A request that nobody has
    /// answered is remembered, but not listed (RFC 6121 §3.1.3).
    pub(super) listed: bool,
    /// We see the contact's presence.
    pub(super) to: bool,
    /// The contact sees ours.
    pub(super) from: bool,
    /// We asked for it.
    pub(super) asked: bool,
    /// The contact asked for ours, and waits for the answer.
    pub(super) asking: bool,
}

impl Contact {
    fn item(&self, jid: &BareJid) -> Item {
        Item {
            jid: jid.clone(),
            name: self.name.clone(),
            subscription: match (self.to, self.from) {
                (false, false) => Subscription::None,
                (false, true) => Subscription::From,
                (true, false) => Subscription::To,
                (true, true) => Subscription::Both,
            },
            ask: if self.asked {
                Ask::Subscribe
            } else {
                Ask::None
            },
            groups: self.groups.clone(),
            approved: None,
        }
    }
}

impl State {
    /// Answers `<query xmlns='jabber:iq:roster'/>`.
    pub(super) fn roster_get(&mut self, me: &Me, id: String) -> Iq {
        if let Some(session) = self.mine(me) {
            session.interested = true;
        }
        let items = self.accounts.get(&me.account).map(|account| {
            let listed = account.roster.iter().filter(|(_, contact)| contact.listed);
            listed.map(|(jid, contact)| contact.item(jid)).collect()
        });
        let roster = Roster {
            ver: None,
            items: items.unwrap_or_default(),
        };
        result(me, id, Some(roster.into()))
    }

    /// Adds, changes or removes one contact.
    pub(super) fn roster_set(&mut self, me: &Me, id: String, payload: Element) -> Iq {
        let refuse = |condition| failure(me, id.clone(), ErrorType::Modify, condition);
        let Ok(roster) = Roster::try_from(payload) else {
            return refuse(DefinedCondition::BadRequest);
        };
        let Ok([item]) = <[Item; 1]>::try_from(roster.items) else {
            return refuse(DefinedCondition::BadRequest);
        };
        if item.subscription == Subscription::Remove {
            if !self.remove_contact(me, &item.jid) {
                return refuse(DefinedCondition::ItemNotFound);
            }
            return result(me, id, None);
        }
        let longest = item.groups.iter().map(|group| group.0.len());
        let longest = longest.chain(item.name.as_ref().map(String::len)).max();
        if item.groups.len() > GROUPS || longest.is_some_and(|length| length > NAME) {
            return refuse(DefinedCondition::NotAcceptable);
        }
        let Some(contact) = self.contact(&me.account, &item.jid) else {
            return refuse(DefinedCondition::ResourceConstraint);
        };
        contact.listed = true;
        contact.name = item.name;
        contact.groups = item.groups;
        self.push(&me.account, &item.jid);
        result(me, id, None)
    }

    /// One account's view of another JID, made if there is room for it.
    pub(super) fn contact(&mut self, owner: &BareJid, jid: &BareJid) -> Option<&mut Contact> {
        let roster = &mut self.accounts.get_mut(owner)?.roster;
        if roster.len() >= CONTACTS && !roster.contains_key(jid) {
            return None;
        }
        Some(roster.entry(jid.clone()).or_default())
    }

    /// One account's view of another JID, if it has one.
    pub(super) fn known(&mut self, owner: &BareJid, jid: &BareJid) -> Option<&mut Contact> {
        self.accounts.get_mut(owner)?.roster.get_mut(jid)
    }

    /// Tells an account's sessions how a contact stands now; one that nothing is left of is
    /// forgotten.
    pub(super) fn push(&mut self, owner: &BareJid, jid: &BareJid) {
        let Some(account) = self.accounts.get_mut(owner) else {
            return;
        };
        let Some(contact) = account.roster.get(jid) else {
            return;
        };
        if contact.listed {
            let item = contact.item(jid);
            self.push_item(owner, &item);
        } else if !contact.asking {
            account.roster.remove(jid);
        }
    }

    fn remove_contact(&mut self, me: &Me, jid: &BareJid) -> bool {
        if !self
            .known(&me.account, jid)
            .is_some_and(|contact| contact.listed)
        {
            return false;
        }
        // RFC 6121 §2.5.2: removing implies giving up both subscriptions.
        self.unsubscribe(me, jid);
        self.revoke(me, jid);
        if let Some(account) = self.accounts.get_mut(&me.account) {
            account.roster.remove(jid);
        }
        let item = Item {
            subscription: Subscription::Remove,
            ..Contact::default().item(jid)
        };
        self.push_item(&me.account, &item);
        true
    }

    fn push_item(&self, owner: &BareJid, item: &Item) {
        let Some(account) = self.accounts.get(owner) else {
            return;
        };
        let interested = account.sessions.iter().filter(|(_, s)| s.interested);
        for (resource, session) in interested {
            let Ok(to) = owner.with_resource_str(resource) else {
                continue;
            };
            let roster = Roster {
                ver: None,
                items: vec![item.clone()],
            };
            let id = format!("push-{:x}", rand::random::<u64>());
            let push = Iq::from_set(id, roster)
                .with_from(owner.clone().into())
                .with_to(to.into());
            session.outbox.post(push);
        }
    }
}

/// Contacts and unanswered requests of one account.
const CONTACTS: usize = 1000;

/// Groups of one contact.
const GROUPS: usize = 32;

/// Bytes of a contact's name or of a group's; what RFC 7622 allows any part of a JID.
const NAME: usize = 1023;
