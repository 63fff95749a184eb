//! Where messages and IQs go (RFC 6121 §8), and what comes back if they cannot.

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    iq::Iq,
    jid::Jid,
    message::{Message, MessageType},
    minidom::Element,
    presence::{Presence, Type},
    stanza_error::{DefinedCondition, ErrorType, StanzaError},
};

use super::hub::{Me, Parcel, State};

impl State {
    /// Takes a stanza of `size` bytes from a client.
    pub(super) fn route(&mut self, me: &Me, stanza: Stanza, size: usize) -> Vec<Parcel> {
        match stanza {
            Stanza::Iq(iq) => self.iq(me, iq, size).into_iter().collect(),
            Stanza::Message(message) => self.message(me, message, size),
            Stanza::Presence(presence) => self.presence(me, presence).into_iter().collect(),
        }
    }

    /// Tells the sender of a stanza that it did not arrive.
    pub(super) fn bounce(&self, stanza: &Stanza) {
        if let Some(seat) = sender(stanza).and_then(|from| from.try_as_full().ok())
            && self.rooms.serve(seat)
        {
            self.rooms.bounce(seat, stanza);
            return;
        }
        let condition = DefinedCondition::ServiceUnavailable;
        let Some(answer) = error(stanza, ErrorType::Cancel, condition) else {
            return;
        };
        let Some(to) = addressee(&answer).and_then(|to| to.try_as_full().ok()) else {
            return;
        };
        if let Some(session) = self.session(to) {
            session.outbox.post(answer);
        }
    }

    fn iq(&mut self, me: &Me, mut iq: Iq, size: usize) -> Option<Parcel> {
        *iq.from_mut() = Some(me.jid.clone().into());
        let to = iq
            .to()
            .cloned()
            .unwrap_or_else(|| me.account.clone().into());
        if let Some(bytestreams) = self.bytestreams.as_ref().filter(|proxy| to == *proxy.jid()) {
            return Some(Parcel::small(me, bytestreams.answer(me, iq)?));
        }
        if self.rooms.serve(&to) {
            return self.rooms.iq(me, iq, size);
        }
        if to.domain() != self.domain.domain() {
            let condition = DefinedCondition::RemoteServerNotFound;
            return Some(Parcel::small(
                me,
                error(&iq.into(), ErrorType::Cancel, condition)?,
            ));
        }
        match to.try_as_full() {
            Ok(full) if full.node().is_some() => match self.session(full) {
                Some(session) => Some(Parcel {
                    outbox: session.outbox.clone(),
                    stanza: Box::new(iq.into()),
                    size,
                }),
                None => {
                    let condition = DefinedCondition::ServiceUnavailable;
                    Some(Parcel::small(
                        me,
                        error(&iq.into(), ErrorType::Cancel, condition)?,
                    ))
                }
            },
            _ => Some(Parcel::small(me, self.answer(me, &to, iq)?.into())),
        }
    }

    fn message(&mut self, me: &Me, mut message: Message, size: usize) -> Vec<Parcel> {
        message.from = Some(me.jid.clone().into());
        let to = message
            .to
            .get_or_insert_with(|| me.account.clone().into())
            .clone();
        if self.rooms.serve(&to) {
            return self.rooms.message(me, message, size);
        }
        let foreign = to.domain() != self.domain.domain();
        let outboxes = match to.try_as_full() {
            Ok(full) => match self.session(full) {
                Some(session) => vec![session.outbox.clone()],
                // RFC 6121 §8.5.3.2.1: a chat goes on with whoever is there.
                None if message.type_ == MessageType::Chat => self.willing(&to),
                None => Vec::new(),
            },
            Err(_) if message.type_ == MessageType::Groupchat => Vec::new(),
            Err(_) => self.willing(&to),
        };
        if outboxes.is_empty() {
            // There is no store for later: the sender learns that it did not arrive.
            let condition = if foreign {
                DefinedCondition::RemoteServerNotFound
            } else {
                DefinedCondition::ServiceUnavailable
            };
            let answer = error(&message.into(), ErrorType::Cancel, condition);
            return answer
                .map(|answer| Parcel::small(me, answer))
                .into_iter()
                .collect();
        }
        let parcel = |outbox| Parcel {
            outbox,
            stanza: Box::new(message.clone().into()),
            size,
        };
        outboxes.into_iter().map(parcel).collect()
    }

    /// The sessions that take messages to the bare JID: a negative priority says no.
    fn willing(&self, to: &Jid) -> Vec<super::outbox::Outbox> {
        self.available(&to.to_bare())
            .filter(|(_, s)| s.presence.as_ref().is_some_and(|p| p.priority.0 >= 0))
            .map(|(_, session)| session.outbox.clone())
            .collect()
    }
}

impl Parcel {
    /// An answer of the server's own. It waits for room, too: who does not read the answers is
    /// not read either.
    pub(super) fn small(me: &Me, stanza: Stanza) -> Self {
        Self {
            outbox: me.outbox.clone(),
            stanza: Box::new(stanza),
            size: 0,
        }
    }
}

/// An IQ result from the one who was asked.
pub(super) fn result(me: &Me, id: String, payload: Option<Element>) -> Iq {
    Iq::Result {
        from: Some(me.account.clone().into()),
        to: Some(me.jid.clone().into()),
        id,
        payload,
    }
}

/// An IQ error from the account itself.
pub(super) fn failure(me: &Me, id: String, kind: ErrorType, condition: DefinedCondition) -> Iq {
    Iq::from_error(id, stanza_error(kind, condition))
        .with_from(me.account.clone().into())
        .with_to(me.jid.clone().into())
}

/// The error that answers a stanza; none for what must not be answered (RFC 6120 §8.3.1).
pub(super) fn error(
    stanza: &Stanza,
    kind: ErrorType,
    condition: DefinedCondition,
) -> Option<Stanza> {
    let error = stanza_error(kind, condition);
    match stanza {
        Stanza::Iq(Iq::Get { from, to, id, .. } | Iq::Set { from, to, id, .. }) => Some(
            Iq::Error {
                from: to.clone(),
                to: from.clone(),
                id: id.clone(),
                error,
                payload: None,
            }
            .into(),
        ),
        Stanza::Message(message)
            if !matches!(message.type_, MessageType::Error | MessageType::Headline) =>
        {
            let mut answer = Message::error(message.from.clone()).with_payload(error);
            answer.from = message.to.clone();
            answer.id = message.id.clone();
            Some(answer.into())
        }
        Stanza::Presence(presence)
            if !matches!(presence.type_, Type::Error | Type::Unavailable) =>
        {
            let mut answer = Presence::error().with_payload(error);
            answer.from = presence.to.clone();
            answer.to = presence.from.clone();
            answer.id = presence.id.clone();
            Some(answer.into())
        }
        _ => None,
    }
}

pub(super) fn stanza_error(kind: ErrorType, condition: DefinedCondition) -> StanzaError {
    StanzaError {
        type_: kind,
        by: None,
        defined_condition: condition,
        texts: Default::default(),
        other: None,
    }
}

fn sender(stanza: &Stanza) -> Option<&Jid> {
    match stanza {
        Stanza::Iq(iq) => iq.from(),
        Stanza::Message(message) => message.from.as_ref(),
        Stanza::Presence(presence) => presence.from.as_ref(),
    }
}

fn addressee(stanza: &Stanza) -> Option<&Jid> {
    match stanza {
        Stanza::Iq(iq) => iq.to(),
        Stanza::Message(message) => message.to.as_ref(),
        Stanza::Presence(presence) => presence.to.as_ref(),
    }
}
