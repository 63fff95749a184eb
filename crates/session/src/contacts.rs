//! The people this account knows: roster, consent, and which of their resources do what.

mod contact;
mod haste;
mod known;
mod roster;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use tubes_protocol::disco::Abilities;
use xmpp_parsers::caps::{self, Caps};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::hashes::Hash;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::roster::{Item, Subscription};

pub use self::contact::{Contact, Resource, Sight};
use self::haste::Haste;
use self::known::{KnownCaps, Place};
use self::roster::Roster;
use crate::{Bound, Ignored, SessionEvent};

/// Everybody this account deals with.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    roster: Roster,
    /// Whom the user named: their presence is followed, their offers are heard.
    consented: HashSet<BareJid>,
    /// Those among them whose presence is asked for and who see ours.
    subscribing: HashSet<BareJid>,
    resources: HashMap<BareJid, HashMap<FullJid, Life>>,
    known: KnownCaps,
    haste: Haste,
    /// Of what there was no more, and what nothing follows from; not reported yet.
    news: Vec<SessionEvent>,
}

impl Contacts {
    /// Whether `jid` is somebody the user deals with, as opposed to a stranger.
    pub(crate) fn knows(&self, jid: &BareJid) -> bool {
        self.roster.get(jid).is_some() || self.consented.contains(jid)
    }

    /// Notes that the user named somebody.
    pub(crate) fn consent(&mut self, jid: BareJid) {
        self.consented.insert(jid);
    }

    /// Notes that both are to see each other.
    pub(crate) fn subscribe(&mut self, jid: BareJid) {
        self.subscribing.insert(jid);
    }

    /// Whom the user wants to see.
    pub(crate) fn subscribing(&self) -> impl Iterator<Item = &BareJid> {
        self.subscribing.iter()
    }

    /// Whether this account sees the presence of `jid` already.
    pub(crate) fn sees(&self, jid: &BareJid) -> bool {
        matches!(
            self.roster.get(jid).map(|listed| &listed.subscription),
            Some(Subscription::To | Subscription::Both)
        )
    }

    /// Whether a request for presence is to be granted.
    pub(crate) fn may_see(&self, jid: &BareJid) -> bool {
        self.subscribing.contains(jid)
    }

    /// Takes over what the server says of the roster.
    pub(crate) fn updated(&mut self, items: Vec<Item>) {
        for item in items {
            let contact = item.jid.clone();
            if self.roster.update(item).is_err() {
                self.exceeded(Bound::Roster, contact);
            }
        }
    }

    /// Of what there was no more since this was asked for, and what nothing followed from.
    pub(crate) fn take_news(&mut self) -> Vec<SessionEvent> {
        std::mem::take(&mut self.news)
    }

    /// Many may have no room for the same reason, and one of them is enough to be told.
    fn exceeded(&mut self, bound: Bound, who: BareJid) {
        let is_same = |news: &SessionEvent| matches!(news, SessionEvent::Exceeded { bound: known, .. } if *known == bound);
        if !self.news.iter().any(is_same) {
            let who = Some(who.into());
            self.news.push(SessionEvent::Exceeded { bound, who });
        }
    }

    /// It is another one than before, or can do something that nobody knows.
    fn announced(&mut self, jid: &FullJid, now: Instant) {
        if self.haste.announced(jid.to_bare(), now) {
            self.ignored(Ignored::Announcement, jid);
        }
    }

    fn ignored(&mut self, what: Ignored, who: &FullJid) {
        let who = who.clone().into();
        let shared = false;
        self.news.push(SessionEvent::Ignored { what, who, shared });
    }

    /// Notes that a resource is online, in this life and with these capabilities.
    pub(crate) fn online(
        &mut self,
        jid: &FullJid,
        life: Option<String>,
        caps: Option<Caps>,
        now: Instant,
    ) -> Online {
        let bare = jid.to_bare();
        if !self.knows(&bare) {
            return Online::Stranger;
        }
        let resources = self.resources.entry(bare).or_default();
        if resources.len() >= RESOURCES && !resources.contains_key(jid) {
            self.exceeded(Bound::Resources, jid.to_bare());
            return Online::Unchanged;
        }
        let key = caps.as_ref().map(cache_key);
        let before = resources.get_mut(jid);
        let mut inquiry = Inquiry::default();
        if let Some(before) = before {
            if before.name.is_some() && before.name != life {
                self.announced(jid, now);
                return Online::Reborn;
            }
            if before.key == key {
                return Online::Unchanged;
            }
            inquiry = before.inquiry;
        }
        let abilities = key.as_ref().and_then(|key| self.known.get(key));
        let outcome = match (abilities.clone(), inquiry) {
            (Some(abilities), _) => Online::Able(abilities),
            (None, Inquiry::Idle) => Online::Ask,
            // One question at a time: whoever changes faster than it answers is asked last.
            (None, Inquiry::Asking { .. }) => Online::Unchanged,
        };
        inquiry = match inquiry {
            Inquiry::Asking { tries, .. } => Inquiry::Asking { tries, stale: true },
            Inquiry::Idle => Inquiry::Idle,
        };
        let life = Life {
            name: life,
            key,
            caps,
            inquiry,
            abilities,
        };
        resources.insert(jid.clone(), life);
        if !matches!(outcome, Online::Able(_)) {
            self.announced(jid, now);
        }
        outcome
    }

    /// Whether a resource is online.
    pub(crate) fn is_online(&self, jid: &Jid) -> bool {
        let Ok(full) = jid.clone().try_into_full() else {
            return false;
        };
        let resources = self.resources.get(&full.to_bare());
        resources.is_some_and(|resources| resources.contains_key(&full))
    }

    /// A question to a resource, if it is online and was not asked too often: the node to ask
    /// about, and how long to wait.
    pub(crate) fn inquire(&mut self, jid: &FullJid) -> Option<(Option<String>, Duration)> {
        let resource = self.resources.get_mut(&jid.to_bare())?.get_mut(jid)?;
        let tries = match resource.inquiry {
            Inquiry::Asking { tries, .. } => tries + 1,
            Inquiry::Idle => 0,
        };
        if tries >= TRIES {
            resource.inquiry = Inquiry::Idle;
            return None;
        }
        let stale = false;
        resource.inquiry = Inquiry::Asking { tries, stale };
        let caps = resource.caps.clone();
        let node = caps.and_then(|caps| caps::query_caps(caps).node);
        Some((node, FIRST_WAIT * 2_u32.pow(tries)))
    }

    /// Takes in the answer to a question.
    pub(crate) fn described(&mut self, jid: &FullJid, info: &DiscoInfoResult) -> Described {
        let resources = self.resources.get_mut(&jid.to_bare());
        let Some(resource) = resources.and_then(|resources| resources.get_mut(jid)) else {
            return Described::Gone;
        };
        self.haste.answered(&jid.to_bare());
        let inquiry = std::mem::take(&mut resource.inquiry);
        if let Inquiry::Asking { stale: true, .. } = inquiry {
            let known = resource.key.as_ref().and_then(|key| self.known.get(key));
            resource.abilities.clone_from(&known);
            return known.map_or(Described::Stale, Described::Able);
        }
        let abilities: Abilities = info.features.iter().collect();
        resource.abilities = Some(abilities.clone());
        if let (Some(caps), Some(key)) = (&resource.caps, &resource.key) {
            // XEP-0115 §5.4: what does not hash to what was announced holds for nobody else.
            let hash = caps::hash_caps(&caps::compute_disco(info), caps.hash.clone());
            // Forms may be summed up in more ways than one, and sums be of a sort that this side does not know.
            let is_untrue = |hash: &Hash| hash.hash != caps.ver && info.extensions.is_empty();
            let is_lie = hash.as_ref().is_ok_and(is_untrue);
            let is_true = hash.is_ok_and(|hash| hash.hash == caps.ver);
            if is_true && known::is_unambiguous(info) {
                let teller = jid.to_bare();
                let known = self.known.insert(key.clone(), abilities.clone(), teller);
                if known == Place::Lacking {
                    self.exceeded(Bound::Capabilities, jid.to_bare());
                }
            } else if is_lie {
                self.ignored(Ignored::Capabilities, jid);
            }
        }
        Described::Able(abilities)
    }

    /// Takes in that a question was answered with nothing. Whoever changes while it is asked may
    /// do so: it does not know itself any more by what it was asked about.
    pub(crate) fn undescribed(&mut self, jid: &FullJid) -> Described {
        let resources = self.resources.get_mut(&jid.to_bare());
        let Some(resource) = resources.and_then(|resources| resources.get_mut(jid)) else {
            return Described::Gone;
        };
        self.haste.answered(&jid.to_bare());
        match std::mem::take(&mut resource.inquiry) {
            Inquiry::Asking { stale: true, .. } => Described::Stale,
            // If it changes, it is asked again.
            Inquiry::Asking { .. } | Inquiry::Idle => Described::Gone,
        }
    }

    /// What is known of somebody.
    pub(crate) fn contact(&self, jid: &BareJid) -> Contact {
        let sight = match self.sees(jid) {
            true => Sight::Visible,
            false => Sight::Hidden,
        };
        let mut resources: Vec<_> = self
            .resources
            .get(jid)
            .into_iter()
            .flatten()
            .map(|(jid, life)| Resource {
                jid: jid.clone(),
                abilities: life.abilities.clone(),
            })
            .collect();
        resources.sort_by(|one, other| one.jid.cmp(&other.jid));
        let listed = self.roster.get(jid);
        Contact {
            sight,
            groups: listed.map_or_else(BTreeSet::new, |listed| listed.groups.clone()),
            resources,
        }
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
        self.haste.clear();
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
    /// What was known by this name is no more; take it for offline and look again.
    Reborn,
    /// Nobody that the user deals with.
    Stranger,
    /// Nothing new, or of no interest.
    Unchanged,
}

/// What follows from an answer about abilities.
#[derive(Debug, PartialEq)]
pub(crate) enum Described {
    /// The resource can do this.
    Able(Abilities),
    /// The resource left meanwhile, or does not say.
    Gone,
    /// It announced something else meanwhile: ask again.
    Stale,
}

#[derive(Debug)]
struct Life {
    /// What our own kind draws anew for each session: a client that dies and comes back under
    /// its old name, before its server has noticed the death, is another one.
    name: Option<String>,
    key: Option<String>,
    caps: Option<Caps>,
    inquiry: Inquiry,
    abilities: Option<Abilities>,
}

/// Whether a resource is being asked what it can do.
#[derive(Clone, Copy, Debug, Default)]
enum Inquiry {
    Asking {
        tries: u32,
        /// It announced something else since.
        stale: bool,
    },
    #[default]
    Idle,
}

/// The hash alone: it covers all features, whatever software announces them.
fn cache_key(caps: &Caps) -> String {
    let ver: String = caps.ver.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{:?} {ver}", caps.hash)
}

/// Resources of one contact that are followed; more are not seen.
const RESOURCES: usize = 32;

/// How often a resource is asked what it can do before it counts as mute.
const TRIES: u32 = 5;

/// The time for its first answer; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);
