//! What the server says of the roster (RFC 6121 §2), as far as there is room for it.

use std::collections::{BTreeSet, HashMap};

use xmpp_parsers::jid::BareJid;
use xmpp_parsers::roster::{Group, Item, Subscription};

/// The contacts, by address.
#[derive(Debug, Default)]
pub(super) struct Roster {
    listed: HashMap<BareJid, Listed>,
    bytes: usize,
}

/// What the roster says of a contact.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) subscription: Subscription,
    pub(super) groups: BTreeSet<String>,
}

/// There is no room for a contact: it is taken for a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Roster {
    pub(super) fn get(&self, jid: &BareJid) -> Option<&Listed> {
        self.listed.get(jid)
    }

    /// Takes over what the server says of one contact. Of what there is no room for, nothing stays: what
    /// was said before holds no more.
    pub(super) fn update(&mut self, item: Item) -> Result<(), Full> {
        self.remove(&item.jid);
        if item.subscription == Subscription::Remove {
            return Ok(());
        }
        let groups = item.groups.into_iter().map(|Group(name)| name);
        let listed = Listed {
            subscription: item.subscription,
            groups: groups.take(GROUPS).collect(),
        };
        let bytes = self.bytes + weigh(&item.jid, &listed);
        if bytes > MOST_BYTES {
            return Err(Full);
        }
        self.bytes = bytes;
        self.listed.insert(item.jid, listed);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn remove(&mut self, jid: &BareJid) {
        if let Some(listed) = self.listed.remove(jid) {
            self.bytes -= weigh(jid, &listed);
        }
    }
}

/// About how many bytes a contact takes up.
fn weigh(jid: &BareJid, listed: &Listed) -> usize {
    let groups = listed.groups.iter().map(|name| name.len() + GROUP);
    CONTACT + jid.as_str().len() + groups.sum::<usize>()
}

/// Groups of one contact that are remembered.
const GROUPS: usize = 64;

/// Bytes of all contacts, about: tens of thousands in a group or two. A server may push one after the
/// other for ever.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What a contact costs beside its address and its groups.
const CONTACT: usize = 192;

/// What a group costs beside its name.
const GROUP: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn item(name: &str, subscription: &str, groups: &[String]) -> Item {
        let groups: String = groups
            .iter()
            .map(|name| format!("<group>{name}</group>"))
            .collect();
        format!(
            "<item xmlns='jabber:iq:roster' jid='{name}@example.org' subscription='{subscription}'>\
             {groups}</item>"
        )
        .parse::<xmpp_parsers::minidom::Element>()
        .unwrap()
        .try_into()
        .unwrap()
    }

    fn jid(name: &str) -> BareJid {
        format!("{name}@example.org").parse().unwrap()
    }

    #[test]
    fn a_server_cannot_make_it_grow_for_ever() {
        let mut roster = Roster::default();
        let groups = ["g".repeat(60_000)];
        let mut listed = 0;
        while roster
            .update(item(&format!("c{listed}"), "both", &groups))
            .is_ok()
        {
            listed += 1;
            assert!(listed < 1000, "no bound");
        }
        assert!(listed > 100);
        assert!(roster.get(&jid(&format!("c{listed}"))).is_none());
        // Whoever is removed makes room.
        roster.update(item("c0", "remove", &[])).unwrap();
        assert_eq!(roster.update(item("fernand", "both", &groups)), Ok(()));
        assert!(roster.get(&jid("fernand")).is_some());
    }

    #[test]
    fn ten_thousand_contacts_fit() {
        let mut roster = Roster::default();
        let groups = ["Friends".to_owned(), "Work".to_owned()];
        for number in 0..10_000 {
            let item = item(&format!("contact-{number}"), "both", &groups);
            assert_eq!(roster.update(item), Ok(()));
        }
    }

    #[test]
    fn what_is_said_again_counts_once() {
        let mut roster = Roster::default();
        let groups = ["g".repeat(60_000)];
        for _ in 0..1000 {
            roster.update(item("fernand", "both", &groups)).unwrap();
        }
        roster.update(item("fernand", "remove", &[])).unwrap();
        assert_eq!(roster.bytes, 0);
    }

    /// Or a contact would keep what its former groups allow.
    #[test]
    fn of_a_change_that_does_not_fit_nothing_stays() {
        let mut roster = Roster::default();
        roster
            .update(item("fernand", "both", &["a".to_owned()]))
            .unwrap();
        let groups = ["g".repeat(MOST_BYTES)];
        assert_eq!(roster.update(item("fernand", "both", &groups)), Err(Full));
        assert!(roster.get(&jid("fernand")).is_none());
    }
}
