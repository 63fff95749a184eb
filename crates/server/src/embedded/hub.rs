//! Who has an account here, who is connected, and where a stanza goes.
//!
//! ```text
//!   client ──► Hub::route ──► messages, IQs ──► Parcel ──► the other client's Outbox (may wait)
//!                    └──────► presence, rosters ─────────► Outbox::post (never waits)
//! ```
//!
//! Presence and rosters change and are told of under one lock, so that nobody is told of two
//! changes in the wrong order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    jid::{BareJid, FullJid, Jid, NodePart},
    presence::Presence,
    stream_error::DefinedCondition,
};

use super::{
    bytestreams::Bytestreams,
    outbox::{Outbox, Outgoings},
    rooms::Rooms,
    roster::Contact,
    scram::Secret,
};
use crate::AccountError;

/// The heart of the server, shared by all its connections.
#[derive(Debug)]
pub(super) struct Hub {
    domain: BareJid,
    state: Mutex<State>,
}

impl Hub {
    pub(super) fn new(domain: BareJid, rooms: BareJid) -> Self {
        let state = State {
            domain: domain.clone(),
            accounts: BTreeMap::new(),
            bytestreams: None,
            rooms: Rooms::new(rooms),
            drawn: 0,
        };
        Self {
            domain,
            state: Mutex::new(state),
        }
    }

    /// The domain that is served.
    pub(super) fn domain(&self) -> &BareJid {
        &self.domain
    }

    /// Makes an account. The password is one that RFC 4013 has prepared.
    pub(super) fn add_account(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        let mut state = self.state();
        if state.accounts.contains_key(jid) {
            return Err(AccountError::Exists(jid.to_string()));
        }
        let account = Account::new(Secret::new(password));
        state.accounts.insert(jid.clone(), account);
        Ok(())
    }

    /// The account that a client logs in to by this name, whether it exists or not.
    pub(super) fn account_of(&self, name: &str) -> Option<BareJid> {
        // Built from parts: in a name an `@` or a `/` would otherwise be taken for a separator.
        let node = NodePart::new(name).ok()?;
        Some(BareJid::from_parts(Some(&node), self.domain.domain()))
    }

    /// What is known of an account's password.
    pub(super) fn secret(&self, account: &BareJid) -> Option<Arc<Secret>> {
        Some(Arc::clone(&self.state().accounts.get(account)?.secret))
    }

    /// Begins a session. The session that had this resource before is sent away.
    pub(super) fn enter(&self, jid: FullJid) -> Option<(Me, Outgoings)> {
        self.state().enter(jid)
    }

    /// Ends a session, and tells everybody who knew of it. What was not sent any more goes back.
    pub(super) fn leave(&self, me: &Me, outgoings: Outgoings) {
        let mut state = self.state();
        state.leave(me);
        for stanza in outgoings.into_unsent() {
            state.bounce(&stanza);
        }
    }

    /// Takes a stanza of `size` bytes from a client. What has to wait for room comes back.
    pub(super) fn route(&self, me: &Me, stanza: Stanza, size: usize) -> Vec<Parcel> {
        self.state().route(me, stanza, size)
    }

    /// Tells the sender of a stanza that it did not arrive.
    pub(super) fn bounce(&self, stanza: &Stanza) {
        self.state().bounce(stanza);
    }

    /// Sends everybody away.
    pub(super) fn shut_down(&self) {
        for account in self.state().accounts.values() {
            for session in account.sessions.values() {
                session.outbox.send_away(DefinedCondition::SystemShutdown);
            }
        }
    }

    /// Offers a proxy for bytestreams.
    pub(super) fn offer(&self, bytestreams: Bytestreams) {
        self.state().bytestreams = Some(bytestreams);
    }

    /// Forgets a room without a word to anybody, and says whether there was one.
    pub(super) fn forget_room(&self, room: &BareJid) -> bool {
        self.state().rooms.forget(room)
    }

    /// Forgets who was connected, without a word to anybody: all connections are gone, those to
    /// the proxy too, and with them the rooms.
    pub(super) fn forget_sessions(&self) {
        let mut state = self.state();
        state.bytestreams = None;
        state.rooms.forget_all();
        for account in state.accounts.values_mut() {
            account.sessions.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session, as its own connection knows it.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) jid: FullJid,
    pub(super) account: BareJid,
    pub(super) outbox: Outbox,
    number: u64,
}

/// A stanza, and whom it is for.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) outbox: Outbox,
    pub(super) stanza: Box<Stanza>,
    pub(super) size: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) domain: BareJid,
    pub(super) accounts: BTreeMap<BareJid, Account>,
    pub(super) bytestreams: Option<Bytestreams>,
    pub(super) rooms: Rooms,
    drawn: u64,
}

impl State {
    fn enter(&mut self, jid: FullJid) -> Option<(Me, Outgoings)> {
        let account = jid.to_bare();
        self.drawn += 1;
        let number = self.drawn;
        if let Some(old) = self.session(&jid) {
            // RFC 6120 §7.7.2.2: the new one wins.
            old.outbox.send_away(DefinedCondition::Conflict);
            let old = Me {
                jid: jid.clone(),
                account: account.clone(),
                outbox: old.outbox.clone(),
                number: old.number,
            };
            self.leave(&old);
        }
        let sessions = &mut self.accounts.get_mut(&account)?.sessions;
        if sessions.len() >= SESSIONS {
            return None;
        }
        let (outbox, outgoings) = Outbox::new();
        let session = Session {
            number,
            outbox: outbox.clone(),
            presence: None,
            interested: false,
            directed: BTreeSet::new(),
        };
        sessions.insert(jid.resource().to_string(), session);
        let me = Me {
            jid,
            account,
            outbox,
            number,
        };
        Some((me, outgoings))
    }

    fn leave(&mut self, me: &Me) {
        if self.mine(me).is_none() {
            // Somebody else has the resource by now.
            return;
        }
        self.become_unavailable(me, Presence::unavailable());
        if let Some(account) = self.accounts.get_mut(&me.account) {
            account.sessions.remove(me.jid.resource().as_str());
        }
    }

    /// The session of a connection, unless another one has its resource by now.
    pub(super) fn mine(&mut self, me: &Me) -> Option<&mut Session> {
        self.accounts
            .get_mut(&me.account)?
            .sessions
            .get_mut(me.jid.resource().as_str())
            .filter(|session| session.number == me.number)
    }

    /// The session that has this full JID.
    pub(super) fn session(&self, jid: &FullJid) -> Option<&Session> {
        self.accounts
            .get(&jid.to_bare())?
            .sessions
            .get(jid.resource().as_str())
    }

    /// Where stanzas to a JID go: to one session, or to all that are available.
    pub(super) fn sessions(&self, jid: &Jid) -> Vec<Outbox> {
        match jid.try_as_full() {
            Ok(full) => self
                .session(full)
                .map(|s| s.outbox.clone())
                .into_iter()
                .collect(),
            Err(bare) => self
                .available(bare)
                .map(|(_, s)| s.outbox.clone())
                .collect(),
        }
    }

    /// The available sessions of an account, by resource.
    pub(super) fn available(&self, account: &BareJid) -> impl Iterator<Item = (&str, &Session)> {
        self.accounts
            .get(account)
            .into_iter()
            .flat_map(|account| &account.sessions)
            .filter(|(_, session)| session.presence.is_some())
            .map(|(resource, session)| (resource.as_str(), session))
    }
}

#[derive(Debug)]
pub(super) struct Account {
    secret: Arc<Secret>,
    pub(super) roster: BTreeMap<BareJid, Contact>,
    pub(super) sessions: BTreeMap<String, Session>,
}

impl Account {
    fn new(secret: Secret) -> Self {
        Self {
            secret: Arc::new(secret),
            roster: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    pub(super) outbox: Outbox,
    /// The last presence that was broadcast; none while unavailable.
    pub(super) presence: Option<Presence>,
    /// Whether the roster was asked for: RFC 6121 §2.1.6 pushes to those only.
    pub(super) interested: bool,
    /// Who was told by directed presence.
    pub(super) directed: BTreeSet<Jid>,
}

/// Sessions of one account at a time.
const SESSIONS: usize = 64;
