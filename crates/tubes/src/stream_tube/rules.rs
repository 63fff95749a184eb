//! Which contacts and rooms may use which service.

use std::collections::{BTreeMap, BTreeSet};

use crate::Audience;

/// Which contacts and rooms may use which service.
///
/// A service that is not named here is for whoever it is offered to: nobody else can use a tube in
/// any case. One that is named is for these contacts, and these rooms, only. A room that is named is all
/// of its occupants: who they are is not always known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<String, BTreeSet<Audience>>);

impl Rules {
    /// Every service for whoever it is offered to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a service for these contacts (bare JIDs) or rooms ([`Audience::Room`]), and for those who were named for it before.
    pub fn allow<A: Into<Audience>>(
        mut self,
        service: impl Into<String>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        let named = self.0.entry(service.into()).or_default();
        named.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Whether these may use that service.
    pub fn permit(&self, audience: &Audience, service: &str) -> bool {
        let named = self.0.get(service);
        named.is_none_or(|named| named.contains(audience))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use xmpp_parsers::jid::BareJid;

    use super::*;

    fn fernand() -> BareJid {
        "fernand@example.net".parse().unwrap()
    }

    #[test]
    fn a_service_without_a_rule_is_for_whoever_it_is_offered_to() {
        let rules = Rules::new().allow("x-other", [] as [BareJid; 0]);
        assert!(rules.permit(&Audience::Contact(fernand()), "x-test"));
        assert!(rules.permit(&Audience::Room(fernand()), "x-test"));
    }

    #[test]
    fn a_service_with_a_rule_is_for_those_it_names_and_for_nobody_else() {
        let rules = Rules::new().allow("x-test", [fernand()]);
        assert!(rules.permit(&Audience::Contact(fernand()), "x-test"));
        assert!(!rules.permit(&Audience::Room(fernand()), "x-test"));
        let alice = Audience::Contact("alice@example.net".parse().unwrap());
        assert!(!rules.permit(&alice, "x-test"));
        let room = Audience::Room(fernand());
        let both = rules.allow("x-test", [alice.clone(), room.clone()]);
        assert!(both.permit(&room, "x-test"));
        assert!(both.permit(&alice, "x-test"));
        assert!(both.permit(&Audience::Contact(fernand()), "x-test"));
    }
}
