//! Which contacts may use which service.

use std::collections::{BTreeMap, BTreeSet};

use xmpp_parsers::jid::BareJid;

use super::Audience;

/// Which contacts may use which service.
///
/// A service that is not named here is for whoever it is offered to: nobody else can use a tube in
/// any case. One that is named is for these contacts only, whoever asks for more. Of the occupants of
/// a room it is not always known who they are, so that such a service is for no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<String, BTreeSet<BareJid>>);

impl Rules {
    /// Every service for whoever it is offered to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a service for these contacts, and for those who were named for it before.
    pub fn allow(
        mut self,
        service: impl Into<String>,
        contacts: impl IntoIterator<Item = BareJid>,
    ) -> Self {
        self.0.entry(service.into()).or_default().extend(contacts);
        self
    }

    /// Whether these may use that service.
    pub fn permit(&self, audience: &Audience, service: &str) -> bool {
        match (self.0.get(service), audience) {
            (None, _) => true,
            (Some(contacts), Audience::Contact(contact)) => contacts.contains(contact),
            (Some(_), Audience::Room(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn fernand() -> BareJid {
        "fernand@example.net".parse().unwrap()
    }

    #[test]
    fn a_service_without_a_rule_is_for_whoever_it_is_offered_to() {
        let rules = Rules::new().allow("x-other", []);
        assert!(rules.permit(&Audience::Contact(fernand()), "x-test"));
        assert!(rules.permit(&Audience::Room(fernand()), "x-test"));
    }

    #[test]
    fn a_service_with_a_rule_is_for_those_it_names_and_for_no_room() {
        let rules = Rules::new().allow("x-test", [fernand()]);
        assert!(rules.permit(&Audience::Contact(fernand()), "x-test"));
        assert!(!rules.permit(&Audience::Room(fernand()), "x-test"));
        let carol = Audience::Contact("carol@example.net".parse().unwrap());
        assert!(!rules.permit(&carol, "x-test"));
        let both = rules.allow("x-test", [carol.jid().clone()]);
        assert!(both.permit(&carol, "x-test"));
        assert!(both.permit(&Audience::Contact(fernand()), "x-test"));
    }
}
