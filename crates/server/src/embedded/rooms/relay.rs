//! What occupants say to each other, and to all. Each is known to the others by his seat.

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    iq::Iq,
    jid::FullJid,
    message::{Message, MessageType},
    ns,
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    NO_OCCUPANT, Refusal, refuse, refuse_message,
    room::{Occupant, Room},
    rules::Questions,
};
use crate::embedded::{
    hub::{Me, Parcel},
    route,
};

impl Room {
    /// Hands an IQ on to the occupant in a seat. Answers go the same way.
    pub(super) fn relay(&self, me: &Me, to: &FullJid, mut iq: Iq, size: usize) -> Option<Parcel> {
        let Some(own) = self.seat_of(&me.jid) else {
            return refuse(me, iq, NO_OCCUPANT);
        };
        let asked = matches!(iq, Iq::Get { .. } | Iq::Set { .. });
        let Some(occupant) = self.occupants.get(to) else {
            return refuse(me, iq, ABSENT);
        };
        if own == to && matches!(&iq, Iq::Get { payload, .. } if payload.is("ping", ns::PING)) {
            return Some(Parcel::small(me, pong(me, to, &iq)));
        }
        if asked && self.rules.questions == Questions::Refused {
            return refuse(me, iq, REFUSED);
        }
        *iq.from_mut() = Some(own.clone().into());
        *iq.to_mut() = Some(occupant.jid.clone().into());
        Some(parcel(occupant, iq.into(), size))
    }

    /// Hands a message on to one occupant, or to all.
    pub(super) fn say(&self, me: &Me, mut message: Message, size: usize) -> Vec<Parcel> {
        let Some(own) = self.seat_of(&me.jid) else {
            return refuse_message(me, message, NO_OCCUPANT);
        };
        let to = message.to.clone();
        let to = to.as_ref().and_then(|to| to.try_as_full().ok());
        let to_all = message.type_ == MessageType::Groupchat;
        let listeners: Vec<_> = match to {
            None if to_all => self.occupants.values().collect(),
            Some(seat) if !to_all => self.occupants.get(seat).into_iter().collect(),
            _ => return refuse_message(me, message, BAD),
        };
        if listeners.is_empty() {
            return refuse_message(me, message, ABSENT);
        }
        message.from = Some(own.clone().into());
        // Only the room itself says such things.
        message
            .payloads
            .retain(|payload| payload.ns() != ns::MUC_USER);
        let addressed = |occupant: &Occupant| {
            let mut message = message.clone();
            message.to = Some(occupant.jid.clone().into());
            parcel(occupant, message.into(), size)
        };
        listeners.into_iter().map(addressed).collect()
    }

    /// Tells who has the seat `from` that a stanza did not arrive where it was handed on to.
    pub(super) fn bounce(&self, from: &FullJid, stanza: &Stanza) {
        let to = match stanza {
            Stanza::Iq(iq) => iq.to(),
            Stanza::Message(message) if message.type_ != MessageType::Groupchat => {
                message.to.as_ref()
            }
            _ => None,
        };
        let to = to.and_then(|to| to.try_as_full().ok());
        let lost = to.and_then(|to| self.last_seat_of(to));
        let (Some(lost), Some(sender)) = (lost, self.occupants.get(from)) else {
            return;
        };
        let (kind, condition) = ABSENT;
        let Some(mut answer) = route::error(stanza, kind, condition) else {
            return;
        };
        let (own, lost) = (Some(sender.jid.clone().into()), Some(lost.clone().into()));
        match &mut answer {
            Stanza::Iq(iq) => {
                *iq.from_mut() = lost;
                *iq.to_mut() = own;
            }
            Stanza::Message(message) => {
                message.from = lost;
                message.to = own;
            }
            Stanza::Presence(_) => return,
        }
        sender.outbox.post(answer);
    }
}

/// XEP-0410 §3: the service answers for itself, as it knows who is in.
fn pong(me: &Me, seat: &FullJid, ping: &Iq) -> Stanza {
    let pong = Iq::Result {
        from: Some(seat.clone().into()),
        to: Some(me.jid.clone().into()),
        id: ping.id().to_owned(),
        payload: None,
    };
    pong.into()
}

fn parcel(to: &Occupant, stanza: Stanza, size: usize) -> Parcel {
    Parcel {
        outbox: to.outbox.clone(),
        stanza: Box::new(stanza),
        size,
    }
}

/// Nobody has this seat.
const ABSENT: Refusal = (ErrorType::Cancel, DefinedCondition::ItemNotFound);

/// To one what is for all, or the other way round.
const BAD: Refusal = (ErrorType::Modify, DefinedCondition::BadRequest);

/// The owner wants no questions between occupants.
const REFUSED: Refusal = (ErrorType::Cancel, DefinedCondition::NotAllowed);
