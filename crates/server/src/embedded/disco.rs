//! What the server answers itself: for its domain, and on behalf of its accounts.

use std::collections::BTreeSet;

use xmpp_parsers::{
    disco::{DiscoInfoResult, DiscoItemsResult, Identity, Item},
    iq::Iq,
    jid::{BareJid, Jid},
    minidom::Element,
    ns,
    stanza_error::{DefinedCondition, ErrorType},
};

use super::{
    bytestreams::Bytestreams,
    hub::{Me, State},
    route::error,
};

impl State {
    /// Answers an IQ to the domain, to the sender's own account or to somebody else's. Answers
    /// to what the server asked, such as a ping, have no answer.
    pub(super) fn answer(&mut self, me: &Me, to: &Jid, iq: Iq) -> Option<Iq> {
        let asked = iq.to().cloned();
        let mut answer = match iq {
            Iq::Get {
                ref payload,
                ref id,
                ..
            } => match self.get(me, to, payload, id) {
                Some(answer) => answer,
                None => return refuse(iq),
            },
            Iq::Set { payload, id, .. } if own(me, to) && payload.is("query", ns::ROSTER) => {
                self.roster_set(me, id, payload)
            }
            // RFC 3921 §3: what was once needed after binding does nothing.
            Iq::Set { payload, id, .. } if payload.is("session", SESSION) => {
                super::route::result(me, id, None)
            }
            Iq::Set { .. } => return refuse(iq),
            Iq::Result { .. } | Iq::Error { .. } => return None,
        };
        // The answer comes from where the question went to, also when that was nowhere.
        *answer.from_mut() = asked;
        Some(answer)
    }

    fn get(&mut self, me: &Me, to: &Jid, payload: &Element, id: &str) -> Option<Iq> {
        let account = to.to_bare();
        let server = *to == self.domain;
        if own(me, to) && payload.is("query", ns::ROSTER) {
            return Some(self.roster_get(me, id.to_owned()));
        }
        let answer: Option<Element> = if payload.is("ping", ns::PING) && (server || own(me, to)) {
            None
        } else if payload.attr("node").is_some() || to.resource().is_some() {
            return None;
        } else if payload.is("query", ns::DISCO_INFO) && server {
            Some(server_info().into())
        } else if payload.is("query", ns::DISCO_ITEMS) && server {
            Some(items(self.services()).into())
        } else if !self.sees(&me.account, &account) {
            // XEP-0030 §8: strangers do not even learn whether there is such an account.
            return None;
        } else if payload.is("query", ns::DISCO_INFO) {
            Some(account_info().into())
        } else if payload.is("query", ns::DISCO_ITEMS) {
            Some(items(self.resources(&account)).into())
        } else {
            return None;
        };
        Some(super::route::result(me, id.to_owned(), answer))
    }

    fn services(&self) -> Vec<Item> {
        let proxy = self.bytestreams.iter().map(Bytestreams::jid);
        let services = proxy.chain([self.rooms.jid()]);
        services.map(|jid| item(jid.clone().into())).collect()
    }

    fn resources(&self, account: &BareJid) -> Vec<Item> {
        let full = |(resource, _)| Some(account.with_resource_str(resource).ok()?.into());
        self.available(account).filter_map(full).map(item).collect()
    }
}

fn own(me: &Me, to: &Jid) -> bool {
    *to == me.account
}

fn refuse(iq: Iq) -> Option<Iq> {
    let condition = DefinedCondition::ServiceUnavailable;
    match error(&iq.into(), ErrorType::Cancel, condition)? {
        tokio_xmpp::Stanza::Iq(answer) => Some(answer),
        _ => None,
    }
}

fn server_info() -> DiscoInfoResult {
    info(
        Identity::new_anonymous::<_, _, &str, &str>("server", "im"),
        &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING],
    )
}

fn account_info() -> DiscoInfoResult {
    info(
        Identity::new_anonymous::<_, _, &str, &str>("account", "registered"),
        &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    )
}

pub(super) fn info(identity: Identity, features: &[&str]) -> DiscoInfoResult {
    DiscoInfoResult {
        node: None,
        identities: vec![identity],
        features: features
            .iter()
            .map(|f| (*f).to_owned())
            .collect::<BTreeSet<_>>(),
        extensions: Vec::new(),
    }
}

pub(super) fn items(items: Vec<Item>) -> DiscoItemsResult {
    DiscoItemsResult {
        node: None,
        items,
        rsm: None,
    }
}

fn item(jid: Jid) -> Item {
    Item {
        jid,
        node: None,
        name: None,
    }
}

const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
