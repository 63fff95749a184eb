//! What capability hashes stand for (XEP-0115 §5.4), as far as there is room to remember it.

use std::collections::{HashMap, VecDeque};

use tubes_protocol::disco::Abilities;
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::jid::BareJid;

/// What hashes stand for, over all contacts. What is pushed out is asked for again.
#[derive(Debug, Default)]
pub(super) struct KnownCaps {
    entries: HashMap<String, Entry>,
    /// The keys, in the order in which they were learnt.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    abilities: Abilities,
    bytes: usize,
    /// Who said what it stands for: it counts for this one.
    teller: BareJid,
}

/// Whether no other answer has the same hash. What is hashed are the parts, with `<` between them (XEP-0115 §5.1):
/// one that has such a letter in it could stand for several, and be said to make others look like something
/// else.
pub(super) fn is_unambiguous(info: &DiscoInfoResult) -> bool {
    let identities = info.identities.iter().flat_map(|identity| {
        let own = [&identity.category, &identity.type_].into_iter();
        own.chain(&identity.lang).chain(&identity.name)
    });
    let fields = info.extensions.iter().flat_map(|form| &form.fields);
    let fields = fields.flat_map(|field| field.var.iter().chain(&field.values));
    let mut parts = identities.chain(&info.features).chain(fields);
    !parts.any(|part| part.contains('<'))
}

/// How a hash found its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// Others were pushed out for it, or there is none.
    Lacking,
}

impl KnownCaps {
    pub(super) fn get(&self, key: &str) -> Option<Abilities> {
        self.entries.get(key).map(|entry| entry.abilities.clone())
    }

    /// Remembers what a hash stands for, as `teller` has said. Whoever says much pushes out what it said
    /// itself, before anything of others goes.
    pub(super) fn insert(&mut self, key: String, abilities: Abilities, teller: BareJid) -> Place {
        if self.entries.contains_key(&key) {
            return Place::Free;
        }
        let bytes = weigh(&key, &abilities);
        if bytes > PER_CONTACT {
            return Place::Lacking;
        }
        let mut place = Place::Free;
        while self.said_by(&teller) + bytes > PER_CONTACT {
            let Some(at) = self.oldest_of(&teller) else {
                break;
            };
            place = Place::Lacking;
            self.forget(at);
        }
        while self.bytes + bytes > IN_ALL || self.order.len() >= KNOWN {
            place = Place::Lacking;
            self.forget(0);
        }
        self.bytes += bytes;
        self.order.push_back(key.clone());
        let entry = Entry {
            abilities,
            bytes,
            teller,
        };
        self.entries.insert(key, entry);
        place
    }

    fn said_by(&self, teller: &BareJid) -> usize {
        let of_teller = self
            .entries
            .values()
            .filter(|entry| entry.teller == *teller);
        of_teller.map(|entry| entry.bytes).sum()
    }

    fn oldest_of(&self, teller: &BareJid) -> Option<usize> {
        let is_of_teller = |key: &String| {
            let entry = self.entries.get(key);
            entry.is_some_and(|entry| entry.teller == *teller)
        };
        self.order.iter().position(is_of_teller)
    }

    fn forget(&mut self, at: usize) {
        let gone = self.order.remove(at);
        let gone = gone.and_then(|key| self.entries.remove(&key));
        self.bytes -= gone.map_or(0, |entry| entry.bytes);
    }
}

/// About how many bytes an entry takes up. Its key stands there twice.
fn weigh(key: &str, abilities: &Abilities) -> usize {
    let services = abilities.services.iter();
    let services = services.map(|service| service.len() + SERVICE);
    ENTRY + 2 * key.len() + services.sum::<usize>()
}

/// Hashes that are remembered. Programs differ in a few dozen of them.
const KNOWN: usize = 1024;

/// Bytes of all, about: two thousand for each, where most take a few hundred.
const IN_ALL: usize = 2 * 1024 * 1024;

/// Bytes of what one contact has said, about: as many services as anybody is heard to have, once, or the
/// programs of a few hundred ordinary devices.
const PER_CONTACT: usize = 128 * 1024;

/// What an entry costs beside its key and its services.
const ENTRY: usize = 320;

/// What a service costs beside its name.
const SERVICE: usize = 48;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tubes_protocol::disco::service_feature;

    use super::*;

    fn contact(name: &str) -> BareJid {
        format!("{name}@example.org").parse().unwrap()
    }

    /// Of as many services with names as long as are heard.
    fn large() -> Abilities {
        let names = (0..1000).map(|number| format!("{number:0>200}"));
        names.map(|name| service_feature(&name)).collect()
    }

    #[test]
    fn as_many_services_as_are_heard_are_remembered() {
        let mut known = KnownCaps::default();
        let place = known.insert("k".to_owned(), large(), contact("fernand"));
        assert_eq!(place, Place::Free);
        assert_eq!(known.get("k"), Some(large()));
    }

    #[test]
    fn whoever_says_much_pushes_out_what_it_said_itself() {
        let mut known = KnownCaps::default();
        let alices = known.insert("alice".to_owned(), Abilities::default(), contact("alice"));
        assert_eq!(alices, Place::Free);
        let mut lacking = 0;
        for number in 0..2000 {
            let place = known.insert(number.to_string(), large(), contact("fernand"));
            lacking += usize::from(place == Place::Lacking);
        }
        assert!(lacking > 1900);
        assert!(known.bytes <= PER_CONTACT + 1024);
        assert!(known.get("0").is_none() && known.get("1999").is_some());
        assert!(known.get("alice").is_some());
    }

    #[test]
    fn small_ones_do_not_push_out_others_for_their_number_alone() {
        let mut known = KnownCaps::default();
        known.insert("alice".to_owned(), Abilities::default(), contact("alice"));
        for number in 0..5000 {
            known.insert(number.to_string(), Abilities::default(), contact("fernand"));
        }
        assert!(known.get("alice").is_some());
    }

    #[test]
    fn all_together_have_a_bound() {
        let mut known = KnownCaps::default();
        for number in 0..200 {
            let teller = contact(&format!("c{number}"));
            known.insert(number.to_string(), large(), teller);
            assert!(known.bytes <= IN_ALL);
        }
        assert!(known.get("0").is_none() && known.get("199").is_some());
        for number in 0..2 * KNOWN {
            let teller = contact(&format!("d{number}"));
            known.insert(format!("d{number}"), Abilities::default(), teller);
        }
        assert!(known.order.len() == KNOWN && known.entries.len() == KNOWN);
    }
}
