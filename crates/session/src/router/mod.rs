//! Where each stanza goes: to whom it answers, to the wire that claimed it, to this client
//! itself, or to whoever listens for the unclaimed. Decides; does no I/O and reads no clock.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod iq;
mod message;
mod presence;

use self::presence::Announced;
pub use self::presence::Subscribe;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use tokio_xmpp::Stanza;
use tubes_transport::{AskError, Excess, Gone, Inbound, Outbound, Patience, Question, Switchboard};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::roster::Roster;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::contacts::Contacts;
use crate::filter::CutAnswers;
use crate::identity::Identity;
use crate::rooms::Rooms;
use crate::tracker::{Asker, Tracker, fail_all};
use crate::{Acquaintance, Bound, Ignored, SessionEvent};

/// Routes the stanzas of one session.
#[derive(Debug)]
pub(crate) struct Router {
    own: FullJid,
    /// What sets this session apart from earlier ones of the same name.
    prefix: u64,
    lives: u64,
    identity: Identity,
    contacts: Contacts,
    rooms: Rooms,
    /// What contacts see of this client, beside what it says of itself.
    shown: Presence,
    sharing: Sharing,
    /// Other resources of the own account, which nobody has asked for yet.
    siblings: HashMap<FullJid, Announced>,
    tracker: Tracker,
    cut_answers: CutAnswers,
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
            prefix,
            lives: 0,
            identity,
            contacts: Contacts::default(),
            rooms: Rooms::default(),
            shown: Presence::available(),
            sharing: Sharing::Alone,
            siblings: HashMap::new(),
            tracker: Tracker::new(prefix),
            cut_answers: CutAnswers::default(),
            switchboard,
            history: History::Fresh,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Learns here which answers are not the whole.
    pub(crate) fn told_of(mut self, cut_answers: CutAnswers) -> Self {
        self.cut_answers = cut_answers;
        self
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

    /// Waits for somebody who wants more than the contract with transports allows. Cancel safe.
    pub(crate) async fn excess(&self) -> SessionEvent {
        let Excess { bound, who } = self.switchboard.excess().await;
        let bound = Bound::Carried(bound);
        SessionEvent::Exceeded { bound, who }
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
        self.lives += 1;
        self.history = History::Fresh;
        self.cut_answers.forget();
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

    /// The same session goes on after a pause, in which nobody could be heard.
    pub(crate) fn handle_resumed(&mut self, now: Instant) {
        self.history = History::Resumed;
        self.tracker.resume(now);
    }

    /// What is said reaches the server again without delay: whoever was asked meanwhile may have
    /// heard of it only now.
    pub(crate) fn handle_unclogged(&mut self, now: Instant) {
        self.tracker.resume(now);
    }

    /// The session was lost with all that hung on it.
    pub(crate) fn handle_lost(&mut self) {
        fail_all(self.tracker.lost_all(), &Gone::Session);
        self.switchboard.hang_up_all(Gone::Session);
        self.out.clear();
        self.siblings.clear();
        for jid in self.contacts.lost() {
            let why = Gone::Session;
            self.events.push_back(SessionEvent::Offline { jid, why });
        }
    }

    /// The features changed: says so.
    pub(crate) fn handle_identity(&mut self, identity: Identity) {
        self.identity = identity;
        self.announce();
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for asker in self.tracker.expired(now) {
            match asker {
                Asker::Ping(peer) => self.peer_gone(&peer),
                // A slow server is no reason never to know.
                Asker::Features(jid) => self.ask_features(jid, now),
                asker => asker.fail(AskError::TimedOut),
            }
        }
        for peer in self.tracker.silent(self.switchboard.peers(), now) {
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
            Outbound::Message(message) => (*message).into(),
            Outbound::Presence(presence) => self.present(*presence).into(),
            Outbound::Tell { to, payloads } => {
                let mut message = Message::new_with_type(MessageType::Normal, Some(to));
                message.payloads = payloads;
                message.into()
            }
        }
    }

    /// A stanza arrived.
    pub(crate) fn handle_stanza(&mut self, stanza: Stanza, now: Instant) {
        self.dispatch(stanza, now);
        self.events.extend(self.contacts.take_news());
    }

    fn dispatch(&mut self, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::Iq(iq) => self.handle_iq(iq, now),
            Stanza::Message(message) => self.handle_message(message, now),
            Stanza::Presence(presence) => {
                if self.sharing == Sharing::Shared {
                    let presence = Box::new(presence.clone());
                    self.events.push_back(SessionEvent::Presence(presence));
                }
                self.handle_presence(presence, now);
            }
        }
    }

    /// Reports also what is not the tubes' from now on.
    pub(crate) fn handle_share(&mut self) {
        self.sharing = Sharing::Shared;
    }

    fn deliver(&mut self, from: &Jid, inbound: Inbound) {
        if let Err(inbound) = self.switchboard.route(from, inbound) {
            let account = from.to_bare();
            let is_known = self.contacts.knows(&account) || account == self.own.to_bare();
            self.events.push_back(SessionEvent::Unclaimed {
                inbound: *inbound,
                sender: match is_known {
                    true => Acquaintance::Contact,
                    false => Acquaintance::Stranger,
                },
            });
        }
    }

    fn ignored(&mut self, what: Ignored, who: Jid) {
        let is_of_people = matches!(
            what,
            Ignored::Message | Ignored::Presence | Ignored::Subscription
        );
        let shared = is_of_people && self.sharing == Sharing::Shared;
        self.events
            .push_back(SessionEvent::Ignored { what, who, shared });
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

/// Whether the application uses the session, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
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

/// Own stanzas that may wait before no more is read.
const BACKLOG: usize = 64;

#[cfg(test)]
mod tests;
