//! Where each stanza goes: to whom it answers, to the wire that claimed it, to this client
//! itself, or to whoever listens for the unclaimed. Decides; does no I/O and reads no clock.

use std::collections::VecDeque;
use std::time::Instant;

use tokio_xmpp::Stanza;
use tubes_transport::{AskError, Gone, Inbound, Outbound, Patience, Question, Switchboard, Tell};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::{Presence, Type};
use xmpp_parsers::roster::{Item, Roster};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};
use xmpp_parsers::{caps::Caps, disco::DiscoInfoQuery, ns, ping::Ping};

use crate::SessionEvent;
use crate::contacts::{Contacts, Online};
use crate::identity::Identity;
use crate::tracker::{Asker, Tracker, fail_all};

/// Routes the stanzas of one session.
#[derive(Debug)]
pub(crate) struct Router {
    own: FullJid,
    identity: Identity,
    contacts: Contacts,
    tracker: Tracker,
    switchboard: Switchboard,
    history: History,
    /// What this client has to say itself, ahead of everything else.
    out: VecDeque<Stanza>,
    events: VecDeque<SessionEvent>,
}

impl Router {
    pub(crate) fn new(
        own: FullJid,
        identity: Identity,
        prefix: u64,
        switchboard: Switchboard,
    ) -> Self {
        Self {
            own,
            identity,
            contacts: Contacts::default(),
            tracker: Tracker::new(prefix),
            switchboard,
            history: History::Fresh,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The next stanza to send before anything else.
    pub(crate) fn take_out(&mut self) -> Option<Stanza> {
        self.out.pop_front()
    }

    /// The next event to report.
    pub(crate) fn take_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Puts an event behind those that are waiting.
    pub(crate) fn report(&mut self, event: SessionEvent) {
        self.events.push_back(event);
    }

    /// Whether an event waits.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether everything that came of earlier stanzas is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.events.is_empty() && self.out.len() < BACKLOG
    }

    /// A new session began: says who is here, and asks for the roster.
    pub(crate) fn handle_reset(&mut self, own: FullJid, now: Instant) {
        self.own = own;
        self.history = History::Fresh;
        let roster = Roster {
            ver: None,
            items: Vec::new(),
        };
        self.ask(
            None,
            Question::Get,
            roster.into(),
            Patience::default(),
            Asker::Roster,
            now,
        );
        self.announce();
    }

    /// The same session goes on.
    pub(crate) fn handle_resumed(&mut self) {
        self.history = History::Resumed;
    }

    /// The session was lost with all that hung on it.
    pub(crate) fn handle_lost(&mut self) {
        fail_all(self.tracker.lost_all(), &Gone::Session);
        self.switchboard.hang_up_all(Gone::Session);
        self.out.clear();
        for jid in self.contacts.lost() {
            self.events.push_back(SessionEvent::Offline(jid));
        }
    }

    /// The features changed: says so.
    pub(crate) fn handle_identity(&mut self, identity: Identity) {
        self.identity = identity;
        self.announce();
    }

    /// The user named somebody: follows their presence and, if `subscribe`, makes sure that
    /// both see each other's.
    pub(crate) fn handle_consent(&mut self, contact: BareJid, subscribe: Subscribe) {
        self.contacts.consent(contact.clone());
        if subscribe == Subscribe::No {
            return;
        }
        if self.contacts.subscribe(contact.clone()) {
            self.presence_to(Type::Subscribed, contact.clone());
        }
        if !self.contacts.sees(&contact) {
            self.presence_to(Type::Subscribe, contact);
        }
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for asker in self.tracker.expired(now) {
            match asker {
                Asker::Ping(peer) => self.peer_gone(&peer),
                asker => asker.fail(AskError::TimedOut),
            }
        }
        for peer in self.tracker.silent(now) {
            let asker = Asker::Ping(peer.clone());
            self.ask(
                Some(peer),
                Question::Get,
                Ping.into(),
                Patience::default(),
                asker,
                now,
            );
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.tracker.next_deadline()
    }

    /// Turns what somebody wants to say into a stanza.
    pub(crate) fn handle_outbound(&mut self, outbound: Outbound, now: Instant) -> Stanza {
        match outbound {
            Outbound::Answer(answer) => match answer.outcome {
                Ok(payload) => Iq::Result {
                    from: None,
                    to: Some(answer.to),
                    id: answer.id,
                    payload,
                }
                .into(),
                Err(error) => error_to(answer.to, answer.id, error),
            },
            Outbound::Ask {
                to,
                question,
                payload,
                patience,
                reply,
            } => {
                let id = self
                    .tracker
                    .ask(to.clone(), patience, Asker::Someone(reply), now);
                question_to(to, id, question, payload)
            }
            Outbound::Tell { to, payloads } => {
                let mut message = Message::new_with_type(MessageType::Normal, Some(to));
                message.payloads = payloads;
                message.into()
            }
        }
    }

    /// A stanza arrived.
    pub(crate) fn handle_stanza(&mut self, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::Iq(iq) => self.handle_iq(iq, now),
            Stanza::Message(message) => self.handle_message(message, now),
            Stanza::Presence(presence) => self.handle_presence(presence, now),
        }
    }

    fn handle_iq(&mut self, iq: Iq, now: Instant) {
        match iq {
            Iq::Get {
                from, id, payload, ..
            } => self.handle_question(from, id, payload, now),
            Iq::Set {
                from, id, payload, ..
            } => match roster_push(&payload) {
                Some(items) => self.handle_push(from, id, items),
                None => self.handle_question(from, id, payload, now),
            },
            Iq::Result {
                from, id, payload, ..
            } => {
                self.handle_answer(from, &id, Ok(payload), now);
            }
            Iq::Error {
                from, id, error, ..
            } => self.handle_answer(from, &id, Err(error), now),
        }
    }

    fn handle_question(&mut self, from: Option<Jid>, id: String, payload: Element, now: Instant) {
        let from = from.unwrap_or_else(|| self.own.to_bare().into());
        self.tracker.heard(&from, now);
        match self.identity.answer(&payload) {
            Some(Ok(payload)) => {
                let result = Iq::Result {
                    from: None,
                    to: Some(from),
                    id,
                    payload,
                };
                self.out.push_back(result.into());
            }
            Some(Err(_)) => self.refuse(from, id, DefinedCondition::ItemNotFound),
            None => match self.switchboard.ask(from.clone(), id.clone(), payload) {
                Ok(ask) => self.deliver(&from, Inbound::Ask(ask)),
                Err(_) => self.refuse(from, id, DefinedCondition::ResourceConstraint),
            },
        }
    }

    /// RFC 6121 §2.1.6: only the own account may push, or anybody could edit the roster.
    fn handle_push(&mut self, from: Option<Jid>, id: String, items: Vec<Item>) {
        let own = self.own.to_bare();
        match from {
            Some(from) if from != own => {
                self.refuse(from, id, DefinedCondition::ServiceUnavailable);
            }
            from => {
                self.contacts.updated(items);
                self.out.push_back(
                    Iq::Result {
                        from: None,
                        to: from,
                        id,
                        payload: None,
                    }
                    .into(),
                );
            }
        }
    }

    fn handle_answer(
        &mut self,
        from: Option<Jid>,
        id: &str,
        outcome: Result<Option<Element>, StanzaError>,
        now: Instant,
    ) {
        if let Some(from) = &from {
            self.tracker.heard(from, now);
        }
        let Some(asker) = self.tracker.answered(from.as_ref(), &self.own, id) else {
            return;
        };
        match (asker, outcome) {
            (Asker::Someone(reply), outcome) => {
                let outcome = outcome.map_err(|error| AskError::Refused(Box::new(error)));
                // Whoever asked may have lost interest.
                let _ = reply.send(outcome);
            }
            (Asker::Features(jid), Ok(Some(info))) => self.handle_features(jid, info),
            (Asker::Roster, Ok(Some(roster))) => {
                self.contacts
                    .updated(roster_push(&roster).unwrap_or_default());
                self.renew_subscriptions();
            }
            (Asker::Ping(peer), Err(error)) if is_gone(&error) => self.peer_gone(&peer),
            (asker, outcome) => tracing::debug!(?asker, ?outcome, "an answer of no consequence"),
        }
    }

    fn handle_features(&mut self, jid: FullJid, info: Element) {
        let Ok(info) = DiscoInfoResult::try_from(info) else {
            return;
        };
        if let Some(abilities) = self.contacts.described(&jid, &info) {
            self.events
                .push_back(SessionEvent::Online { jid, abilities });
        }
    }

    fn handle_message(&mut self, message: Message, now: Instant) {
        let Some(from) = message.from else { return };
        self.tracker.heard(&from, now);
        if message.type_ == MessageType::Error {
            tracing::debug!(%from, "a message came back undelivered");
            return;
        }
        // What was stored while this client was away is stale: offers and data are of the moment.
        // Servers mark what they replay at a resumption likewise, and that must be delivered.
        let delayed = message
            .payloads
            .iter()
            .any(|payload| payload.is("delay", ns::DELAY));
        if delayed && self.history == History::Fresh {
            return;
        }
        for payload in message.payloads.into_iter().take(PAYLOADS) {
            self.deliver(
                &from.clone(),
                Inbound::Tell(Tell {
                    from: from.clone(),
                    payload,
                }),
            );
        }
    }

    fn handle_presence(&mut self, presence: Presence, now: Instant) {
        let Some(from) = presence.from else { return };
        match (presence.type_, from.clone().try_into_full()) {
            (Type::Subscribe, _) => {
                if self.contacts.requested(from.to_bare()) {
                    self.presence_to(Type::Subscribed, from.to_bare());
                }
            }
            (Type::None, Ok(jid)) if jid != self.own => {
                let caps = presence
                    .payloads
                    .into_iter()
                    .find_map(|payload| Caps::try_from(payload).ok());
                self.resource_online(jid, caps, now);
            }
            (Type::Unavailable | Type::Error, Ok(jid)) if jid != self.own => {
                self.resource_offline(jid);
            }
            _ => {}
        }
    }

    fn resource_online(&mut self, jid: FullJid, caps: Option<Caps>, now: Instant) {
        match self.contacts.online(&jid, caps) {
            Online::Able(abilities) => {
                self.events
                    .push_back(SessionEvent::Online { jid, abilities });
            }
            Online::Ask(node) => {
                let query = DiscoInfoQuery { node }.into();
                let asker = Asker::Features(jid.clone());
                self.ask(
                    Some(jid.into()),
                    Question::Get,
                    query,
                    Patience::default(),
                    asker,
                    now,
                );
            }
            Online::Unchanged => {}
        }
    }

    fn resource_offline(&mut self, jid: FullJid) {
        let was_online = self.contacts.offline(&jid);
        let peer = Jid::from(jid.clone());
        fail_all(self.tracker.lost(&peer), &Gone::Peer);
        self.switchboard.hang_up(&peer, Gone::Peer);
        if was_online {
            self.events.push_back(SessionEvent::Offline(jid));
        }
    }

    /// A peer that owes an answer does not answer pings either.
    fn peer_gone(&mut self, peer: &Jid) {
        if let Ok(jid) = peer.clone().try_into_full() {
            self.resource_offline(jid);
        }
    }

    fn deliver(&mut self, from: &Jid, inbound: Inbound) {
        if let Err(inbound) = self.switchboard.route(from, inbound) {
            let known =
                self.contacts.knows(&from.to_bare()) || from.to_bare() == self.own.to_bare();
            self.events.push_back(SessionEvent::Unclaimed {
                inbound: *inbound,
                known,
            });
        }
    }

    fn announce(&mut self) {
        self.out.push_back(self.identity.presence().into());
    }

    /// The roster is known again: asks whom the user named and does not see yet.
    fn renew_subscriptions(&mut self) {
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

    fn ask(
        &mut self,
        to: Option<Jid>,
        question: Question,
        payload: Element,
        patience: Patience,
        asker: Asker,
        now: Instant,
    ) {
        let id = self.tracker.ask(to.clone(), patience, asker, now);
        self.out.push_back(question_to(to, id, question, payload));
    }

    fn refuse(&mut self, to: Jid, id: String, condition: DefinedCondition) {
        let type_ = match condition {
            DefinedCondition::ResourceConstraint => ErrorType::Wait,
            _ => ErrorType::Cancel,
        };
        self.out.push_back(error_to(
            to,
            id,
            StanzaError::new(type_, condition, "en", ""),
        ));
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

/// Whether what is marked as delayed may be part of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    Fresh,
    Resumed,
}

fn question_to(to: Option<Jid>, id: String, question: Question, payload: Element) -> Stanza {
    match question {
        Question::Get => Iq::Get {
            from: None,
            to,
            id,
            payload,
        }
        .into(),
        Question::Set => Iq::Set {
            from: None,
            to,
            id,
            payload,
        }
        .into(),
    }
}

fn error_to(to: Jid, id: String, error: StanzaError) -> Stanza {
    Iq::Error {
        from: None,
        to: Some(to),
        id,
        payload: None,
        error,
    }
    .into()
}

fn roster_push(payload: &Element) -> Option<Vec<Item>> {
    if !payload.is("query", ns::ROSTER) {
        return None;
    }
    Roster::try_from(payload.clone())
        .ok()
        .map(|roster| roster.items)
}

/// The conditions with which servers answer for those who are not there. A client that merely
/// does not know pings answers `feature-not-implemented`.
fn is_gone(error: &StanzaError) -> bool {
    matches!(
        error.defined_condition,
        DefinedCondition::Gone { .. }
            | DefinedCondition::ItemNotFound
            | DefinedCondition::RecipientUnavailable
            | DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
            | DefinedCondition::ServiceUnavailable
    )
}

/// Own stanzas that may wait before no more is read.
const BACKLOG: usize = 64;

/// Payloads of one message that are looked at.
const PAYLOADS: usize = 16;
