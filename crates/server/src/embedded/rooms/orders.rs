//! What the owner of a room orders: kicks, bans, another form, the end.

use tokio_xmpp::Stanza;
use xmpp_parsers::{
    data_forms::{DataForm, DataFormType},
    iq::Iq,
    jid::{BareJid, FullJid},
    message::{Message, MessageType},
    minidom::Element,
    muc::{
        MucUser,
        user::{Affiliation, Status},
    },
    ns,
    presence::Presence,
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    ADMIN, FORBIDDEN, NO_ROOM, OWNER, Refusal, UNKNOWN,
    notice::Notice,
    room::{Phase, Room},
    rules::Whois,
};
use crate::embedded::{hub::Me, route};

impl Room {
    /// Answers an IQ to the room itself. A room that is empty afterwards has been destroyed.
    pub(super) fn answer(&mut self, me: &Me, iq: Iq) -> Option<Stanza> {
        let (id, answered) = match &iq {
            Iq::Get { id, payload, .. } => (id, self.describe(me, payload).map(Some)),
            Iq::Set { id, payload, .. } => (id, self.obey(me, payload).map(|()| None)),
            Iq::Result { .. } | Iq::Error { .. } => return None,
        };
        match answered {
            Ok(payload) => {
                let answer = Iq::Result {
                    from: Some(self.jid.clone().into()),
                    to: Some(me.jid.clone().into()),
                    id: id.clone(),
                    payload,
                };
                Some(answer.into())
            }
            Err((kind, condition)) => route::error(&iq.into(), kind, condition),
        }
    }

    /// The owner's form.
    pub(super) fn form(&self, me: &Me) -> Result<Element, Refusal> {
        if !self.is_owner(&me.account) {
            return Err(FORBIDDEN);
        }
        let form = Element::from(self.rules.form());
        Ok(Element::builder("query", OWNER).append(form).build())
    }

    fn obey(&mut self, me: &Me, order: &Element) -> Result<(), Refusal> {
        if !order.is("query", OWNER) && !order.is("query", ADMIN) {
            return Err(UNKNOWN);
        }
        if !self.is_owner(&me.account) {
            return Err(FORBIDDEN);
        }
        if order.ns() == ADMIN {
            return self.administer(order);
        }
        if let Some(destroy) = order.get_child("destroy", OWNER) {
            self.bid_farewell(destroy);
            self.occupants.clear();
            return Ok(());
        }
        let form = order.get_child("x", ns::DATA_FORMS).ok_or(BAD)?;
        let form = DataForm::try_from(form.clone()).map_err(|_| BAD)?;
        self.configure(&form)
    }

    fn configure(&mut self, form: &DataForm) -> Result<(), Refusal> {
        match (&form.type_, self.phase) {
            (DataFormType::Submit, _) => {}
            (DataFormType::Cancel, Phase::Open) => return Ok(()),
            (DataFormType::Cancel, Phase::Locked) => {
                // XEP-0045 §10.1.3: then there is to be no room.
                self.bid_farewell(&Element::bare("destroy", OWNER));
                self.occupants.clear();
                return Ok(());
            }
            _ => return Err(BAD),
        }
        let before = self.rules.whois;
        self.phase = Phase::Open;
        self.rules.take(form);
        if self.rules.whois != before {
            self.tell_who_is_seen();
        }
        Ok(())
    }

    /// XEP-0045 §10.2.1: whether JIDs are shown concerns everybody.
    fn tell_who_is_seen(&self) {
        let status = match self.rules.whois {
            Whois::Anyone => Status::ConfigRoomNonAnonymous,
            Whois::Moderators => Status::ConfigRoomSemiAnonymous,
        };
        let said = MucUser::new().with_statuses(vec![status]);
        self.tell(|_, occupant| {
            let to = occupant.jid.clone().into();
            let word = Message::new_with_type(MessageType::Groupchat, Some(to));
            let mut word = word.with_payload(said.clone());
            word.from = Some(self.jid.clone().into());
            word.into()
        });
    }

    fn administer(&mut self, order: &Element) -> Result<(), Refusal> {
        let items: Vec<_> = order.children().filter(|c| c.is("item", ADMIN)).collect();
        if items.is_empty() {
            return Err(BAD);
        }
        for item in items {
            let reason = item.get_child("reason", ADMIN).map(Element::text);
            match (item.attr("affiliation"), item.attr("role")) {
                (Some("outcast"), None) => self.ban(&account(item)?, reason)?,
                (Some("none"), None) => {
                    self.banned.remove(&account(item)?);
                }
                (None, Some("none")) => self.kick(item.attr("nick").ok_or(BAD)?, reason)?,
                _ => return Err((ErrorType::Cancel, DefinedCondition::FeatureNotImplemented)),
            }
        }
        Ok(())
    }

    fn kick(&mut self, nick: &str, reason: Option<String>) -> Result<(), Refusal> {
        let seat = self.jid.with_resource_str(nick).map_err(|_| BAD)?;
        let occupant = self.occupants.get(&seat).ok_or(NO_ROOM)?;
        if self.is_owner(&occupant.jid.to_bare()) {
            return Err(NOT_HIM);
        }
        self.put_out(&seat, Affiliation::None, Status::Kicked, reason);
        Ok(())
    }

    fn ban(&mut self, account: &BareJid, reason: Option<String>) -> Result<(), Refusal> {
        if self.is_owner(account) {
            return Err(NOT_HIM);
        }
        if self.banned.len() >= BANNED {
            return Err((ErrorType::Wait, DefinedCondition::ResourceConstraint));
        }
        self.banned.insert(account.clone());
        let his = self
            .occupants
            .iter()
            .filter(|(_, o)| o.jid.to_bare() == *account);
        let seats: Vec<_> = his.map(|(seat, _)| seat.clone()).collect();
        for seat in seats {
            self.put_out(&seat, Affiliation::Outcast, Status::Banned, reason.clone());
        }
        Ok(())
    }

    fn put_out(
        &mut self,
        seat: &FullJid,
        affiliation: Affiliation,
        why: Status,
        reason: Option<String>,
    ) {
        let notice = Notice::gone(&Presence::unavailable(), affiliation)
            .with(why)
            .with_reason(reason);
        self.announce(seat, &notice);
        self.vacate(seat);
    }
}

/// Whom an order is about.
fn account(item: &Element) -> Result<BareJid, Refusal> {
    let jid = item.attr("jid").ok_or(BAD)?;
    BareJid::new(jid).map_err(|_| BAD)
}

/// What cannot be an order.
const BAD: Refusal = (ErrorType::Modify, DefinedCondition::BadRequest);

/// Nobody puts the owner out.
const NOT_HIM: Refusal = (ErrorType::Cancel, DefinedCondition::NotAllowed);

/// Accounts that a room keeps out.
const BANNED: usize = 1024;
