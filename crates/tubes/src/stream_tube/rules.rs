//! Which contacts and rooms may use which service.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Audience, Tubes};

/// Which contacts and rooms may use which service.
///
/// A service that is not named here is for whoever it is offered to: nobody else can use a tube in
/// any case. One that is named is for these contacts, groups of the roster, and rooms, only. A room that
/// is named is all of its occupants: who they are is not always known.
///
/// ```
/// use std::collections::BTreeSet;
///
/// use tubes::{Audience, BareJid, Rules};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// let rules = Rules::new()
///     .allow("x-admin", [fernand.clone()])
///     .allow_group("x-chess", "friends");
/// let (somebody, friends) = (fernand.into(), BTreeSet::from(["friends".to_owned()]));
/// assert!(rules.permit(&somebody, &BTreeSet::new(), "x-admin"));
/// assert!(!rules.permit(&somebody, &BTreeSet::new(), "x-chess"));
/// assert!(rules.permit(&somebody, &friends, "x-chess"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(BTreeMap<String, Named>);

/// Those whom a service is kept for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    audiences: BTreeSet<Audience>,
    groups: BTreeSet<String>,
}

impl Rules {
    /// Every service for whoever it is offered to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a service for these contacts (bare JIDs) or rooms ([`Audience::Room`]), and for those who
    /// were named for it before.
    pub fn allow<A: Into<Audience>>(
        mut self,
        service: impl Into<String>,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        let named = self.0.entry(service.into()).or_default();
        named
            .audiences
            .extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Keeps a service for the contacts in this group of the account's roster (RFC 6121 §2.1.2.6), as the
    /// group is when a tube is offered, and for those who were named for it before. Who is taken out of
    /// the group keeps the tubes that it has.
    pub fn allow_group(mut self, service: impl Into<String>, group: impl Into<String>) -> Self {
        let named = self.0.entry(service.into()).or_default();
        named.groups.insert(group.into());
        self
    }

    /// Whether these, who are in these groups of the roster, may use that service.
    pub fn permit(&self, audience: &Audience, groups: &BTreeSet<String>, service: &str) -> bool {
        match (self.0.get(service), audience) {
            (None, _) => true,
            (Some(named), _) if named.audiences.contains(audience) => true,
            (Some(named), Audience::Contact(_)) => !named.groups.is_disjoint(groups),
            (Some(_), Audience::Room(_)) => false,
        }
    }

    /// Whether these may use that service, as the account's roster is now.
    pub(crate) async fn permit_now(
        &self,
        tubes: &Tubes,
        audience: &Audience,
        service: &str,
    ) -> bool {
        match self.without_groups(audience, service) {
            Some(verdict) => verdict,
            None => {
                // Of an account that is lost nothing is known, and nobody is in a group.
                let known = tubes.contact(audience.jid()).await;
                let groups = known.map_or_else(|_| BTreeSet::new(), |known| known.groups);
                self.permit(audience, &groups, service)
            }
        }
    }

    /// The same, where it does not depend on the roster.
    pub(crate) fn without_groups(&self, audience: &Audience, service: &str) -> Option<bool> {
        let depends = match (self.0.get(service), audience) {
            (Some(named), Audience::Contact(_)) => {
                !named.groups.is_empty() && !named.audiences.contains(audience)
            }
            _ => false,
        };
        (!depends).then(|| self.permit(audience, &BTreeSet::new(), service))
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
        assert!(rules.permit(&Audience::Contact(fernand()), &nobody(), "x-test"));
        assert!(rules.permit(&Audience::Room(fernand()), &nobody(), "x-test"));
    }

    #[test]
    fn a_service_with_a_rule_is_for_those_it_names_and_for_nobody_else() {
        let rules = Rules::new().allow("x-test", [fernand()]);
        assert!(rules.permit(&Audience::Contact(fernand()), &nobody(), "x-test"));
        assert!(!rules.permit(&Audience::Room(fernand()), &nobody(), "x-test"));
        let alice = Audience::Contact("alice@example.net".parse().unwrap());
        assert!(!rules.permit(&alice, &nobody(), "x-test"));
        let room = Audience::Room(fernand());
        let both = rules.allow("x-test", [alice.clone(), room.clone()]);
        assert!(both.permit(&room, &nobody(), "x-test"));
        assert!(both.permit(&alice, &nobody(), "x-test"));
        assert!(both.permit(&Audience::Contact(fernand()), &nobody(), "x-test"));
    }

    #[test]
    fn a_service_is_kept_for_a_group() {
        let rules = Rules::new().allow_group("x-test", "friends");
        let contact = Audience::Contact(fernand());
        assert_eq!(rules.without_groups(&contact, "x-test"), None);
        assert_eq!(rules.without_groups(&contact, "x-other"), Some(true));
        assert!(!rules.permit(&contact, &nobody(), "x-test"));
        let friends = BTreeSet::from(["friends".to_owned(), "colleagues".to_owned()]);
        assert!(rules.permit(&contact, &friends, "x-test"));
        assert!(!rules.permit(&Audience::Room(fernand()), &friends, "x-test"));
        let both = rules.allow("x-test", [fernand()]);
        assert_eq!(both.without_groups(&contact, "x-test"), Some(true));
    }

    fn nobody() -> BTreeSet<String> {
        BTreeSet::new()
    }
}
