//! Questions to this client, answers to its own, and the roster.

use std::time::Instant;

use tubes_transport::{AskError, Inbound};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::roster::{Item, Roster};
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use super::Router;
use crate::contacts::Described;
use crate::tracker::Asker;
use crate::{Bound, Ignored, SessionEvent};

impl Router {
    pub(super) fn handle_iq(&mut self, iq: Iq, now: Instant) {
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
                self.ignored(Ignored::Roster, from.clone());
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
            if let Some(from) = from {
                self.handle_unasked(from, id, &outcome);
            }
            return;
        };
        if let (Some(from), Err(error)) = (from, &outcome)
            && is_gone(error)
        {
            self.tracker.came_back(from, id);
        }
        match (asker, outcome) {
            (Asker::Someone(reply), outcome) => {
                let outcome = outcome.map_err(|error| AskError::Refused(Box::new(error)));
                // Whoever asked may have lost interest.
                let _ = reply.send(outcome);
            }
            (Asker::Features(jid), outcome) => {
                self.handle_features(jid, outcome.ok().flatten(), now)
            }
            (Asker::Roster, Ok(Some(roster))) => self.handle_roster(id, &roster),
            // A client that does not know pings may say so in the words of a server that does
            // not know the client (XEP-0199 §4.4); its presence tells the one from the other.
            (Asker::Ping(peer), Err(error))
                if is_gone(&error) && !self.contacts.is_online(&peer) =>
            {
                self.peer_gone(&peer);
            }
            (asker, outcome) => tracing::debug!(?asker, ?outcome, "an answer of no consequence"),
        }
    }

    /// An answer of somebody who was not asked. In a peer's name, servers say that what this side has answered or
    /// asked did not reach it: of errors, only those are the peer's own that are about a question to somebody else.
    fn handle_unasked(
        &mut self,
        from: Jid,
        id: &str,
        outcome: &Result<Option<Element>, StanzaError>,
    ) {
        let is_excused = match outcome {
            Ok(_) => self.tracker.gave_up(&from, &self.own, id),
            Err(_) => !self.tracker.is_pending(id),
        };
        if !is_excused {
            self.ignored(Ignored::Answer, from);
        }
    }

    fn handle_roster(&mut self, id: &str, roster: &Element) {
        let items = roster_push(roster);
        let is_cut = self.cut_answers.take(id);
        if is_cut || items.is_none() {
            let (bound, who) = (Bound::Roster, None);
            self.events.push_back(SessionEvent::Exceeded { bound, who });
        }
        let mut items = items.unwrap_or_default();
        if is_cut {
            // The last one may end within a word: in another group than it is in.
            items.pop();
        }
        self.contacts.updated(items);
        self.renew_subscriptions();
    }

    fn handle_features(&mut self, jid: FullJid, info: Option<Element>, now: Instant) {
        let info = info.map(DiscoInfoResult::try_from);
        let described = match info {
            Some(Ok(info)) => self.contacts.described(&jid, &info),
            Some(Err(_)) | None => self.contacts.undescribed(&jid),
        };
        match described {
            Described::Able(abilities) => {
                let online = SessionEvent::Online { jid, abilities };
                self.events.push_back(online);
            }
            Described::Stale => self.ask_features(jid, now),
            Described::Gone => {}
        }
    }
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
