//! The people this account knows: roster, consent, and which of their resources do what.

use std::collections::{HashMap, HashSet, VecDeque};

use tubes_protocol::disco::Abilities;
use xmpp_parsers::caps::{self, Caps};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::jid::{BareJid, FullJid};
use xmpp_parsers::roster::{Item, Subscription};

/// Everybody this account deals with.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    roster: HashMap<BareJid, Subscription>,
    /// Whom the user named: their presence is followed, their offers are heard.
    consented: HashSet<BareJid>,
    /// Those among them whose presence is asked for and who see ours.
    subscribing: HashSet<BareJid>,
    /// Requests that came before their consent, newest last.
    requests: VecDeque<BareJid>,
    resources: HashMap<BareJid, HashMap<FullJid, Resource>>,
    known: KnownCaps,
}

impl Contacts {
    /// Whether `jid` is somebody the user deals with, as opposed to a stranger.
    pub(crate) fn knows(&self, jid: &BareJid) -> bool {
        self.roster.contains_key(jid) || self.consented.contains(jid)
    }

    /// Notes that the user named somebody.
    pub(crate) fn consent(&mut self, jid: BareJid) {
        self.consented.insert(jid);
    }

    /// Notes that both are to see each other; true if their request was waiting for it.
    pub(crate) fn subscribe(&mut self, jid: BareJid) -> bool {
        let before = self.requests.len();
        self.requests.retain(|request| *request != jid);
        self.subscribing.insert(jid);
        self.requests.len() < before
    }

    /// Whom the user wants to see.
    pub(crate) fn subscribing(&self) -> impl Iterator<Item = &BareJid> {
        self.subscribing.iter()
    }

    /// Whether this account sees the presence of `jid` already.
    pub(crate) fn sees(&self, jid: &BareJid) -> bool {
        matches!(
            self.roster.get(jid),
            Some(Subscription::To | Subscription::Both)
        )
    }

    /// Notes a request for presence; true if it is to be granted at once.
    pub(crate) fn requested(&mut self, jid: BareJid) -> bool {
        if self.subscribing.contains(&jid) {
            return true;
        }
        self.requests.retain(|request| *request != jid);
        if self.requests.len() >= REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(jid);
        false
    }

    /// Takes over what the server says of the roster.
    pub(crate) fn updated(&mut self, items: Vec<Item>) {
        for item in items {
            match item.subscription {
                Subscription::Remove => drop(self.roster.remove(&item.jid)),
                subscription => drop(self.roster.insert(item.jid, subscription)),
            }
        }
    }

    /// Notes that a resource is online with these capabilities.
    pub(crate) fn online(&mut self, jid: &FullJid, caps: Option<Caps>) -> Online {
        let bare = jid.to_bare();
        if !self.knows(&bare) {
            return Online::Unchanged;
        }
        let resources = self.resources.entry(bare).or_default();
        if resources.len() >= RESOURCES && !resources.contains_key(jid) {
            return Online::Unchanged;
        }
        let key = caps.as_ref().map(cache_key);
        let before = resources.get(jid);
        if before.is_some_and(|before| before.key == key) {
            return Online::Unchanged;
        }
        let abilities = key.as_ref().and_then(|key| self.known.get(key));
        resources.insert(jid.clone(), Resource { key, caps });
        match abilities {
            Some(abilities) => Online::Able(abilities),
            None => Online::Ask,
        }
    }

    /// The node to ask a resource about, if it is online: that of its capabilities, or none.
    pub(crate) fn caps_node(&self, jid: &FullJid) -> Option<Option<String>> {
        let resource = self.resources.get(&jid.to_bare())?.get(jid)?;
        let caps = resource.caps.clone();
        Some(caps.and_then(|caps| caps::query_caps(caps).node))
    }

    /// Takes in the answer to [`Online::Ask`]; `None` if the resource left meanwhile.
    pub(crate) fn described(&mut self, jid: &FullJid, info: &DiscoInfoResult) -> Option<Abilities> {
        let resource = self.resources.get(&jid.to_bare())?.get(jid)?;
        let abilities: Abilities = info.features.iter().collect();
        if let (Some(caps), Some(key)) = (&resource.caps, &resource.key) {
            // XEP-0115 §5.4: what does not hash to what was announced holds for nobody else.
            let hash = caps::hash_caps(&caps::compute_disco(info), caps.hash.clone());
            if hash.is_ok_and(|hash| hash.hash == caps.ver) {
                self.known.insert(key.clone(), abilities.clone());
            }
        }
        Some(abilities)
    }

    /// Notes that a resource is offline; true if it was online before.
    pub(crate) fn offline(&mut self, jid: &FullJid) -> bool {
        let Some(resources) = self.resources.get_mut(&jid.to_bare()) else {
            return false;
        };
        let was = resources.remove(jid).is_some();
        if resources.is_empty() {
            self.resources.remove(&jid.to_bare());
        }
        was
    }

    /// Forgets who is online and what the roster says, and returns who was: the session was
    /// lost. Consent stays.
    pub(crate) fn lost(&mut self) -> Vec<FullJid> {
        self.roster.clear();
        self.requests.clear();
        self.resources
            .drain()
            .flat_map(|(_, resources)| resources.into_keys())
            .collect()
    }
}

/// What follows from a presence.
#[derive(Debug, PartialEq)]
pub(crate) enum Online {
    /// The resource can do this.
    Able(Abilities),
    /// Nobody knows yet what it can do: ask it.
    Ask,
    /// Nothing new, or nobody of interest.
    Unchanged,
}

#[derive(Debug)]
struct Resource {
    key: Option<String>,
    caps: Option<Caps>,
}

/// What capability hashes stand for, over all contacts.
#[derive(Debug, Default)]
struct KnownCaps {
    abilities: HashMap<String, Abilities>,
    order: VecDeque<String>,
}

impl KnownCaps {
    fn get(&self, key: &str) -> Option<Abilities> {
        self.abilities.get(key).cloned()
    }

    fn insert(&mut self, key: String, abilities: Abilities) {
        if self.abilities.insert(key.clone(), abilities).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.abilities.remove(&oldest);
        }
    }
}

/// The hash alone: it covers all features, whatever software announces them.
fn cache_key(caps: &Caps) -> String {
    let ver: String = caps.ver.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{:?} {ver}", caps.hash)
}

/// Requests for presence that are remembered until the user consents.
const REQUESTS: usize = 64;

/// Resources of one contact that are followed; more are not seen.
const RESOURCES: usize = 32;

/// Capability hashes that are remembered.
const KNOWN: usize = 1024;
