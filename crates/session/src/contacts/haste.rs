//! Who announces that it is another one, or can do something else, again and again, before it has said what that is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::BareJid;

/// How often contacts have announced something since they last answered what they can do.
#[derive(Debug, Default)]
pub(super) struct Haste(HashMap<BareJid, Count>);

#[derive(Debug)]
struct Count {
    number: u32,
    since: Instant,
}

impl Haste {
    /// Notes an announcement. Whether it is one too many: programs that begin announce what they can do a few
    /// times at once.
    pub(super) fn announced(&mut self, contact: BareJid, now: Instant) -> bool {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&contact) {
            self.0.clear();
        }
        let new = || Count {
            number: 0,
            since: now,
        };
        let count = self.0.entry(contact).or_insert_with(new);
        if now.saturating_duration_since(count.since) >= WITHIN {
            *count = new();
        }
        count.number += 1;
        let is_hasty = count.number >= HASTY;
        if is_hasty {
            *count = new();
        }
        is_hasty
    }

    /// Notes that one of its programs has said what it can do, or that it does not.
    pub(super) fn answered(&mut self, contact: &BareJid) {
        self.0.remove(contact);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Announcements of one contact, of all the programs that are followed, without an answer.
const HASTY: u32 = 128;

/// In this time: who goes and comes all day does not hurry.
const WITHIN: Duration = Duration::from_secs(60);

/// Contacts that are counted; then it begins anew.
const REMEMBERED: usize = 4096;
