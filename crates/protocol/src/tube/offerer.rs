//! The side of a one-to-one stream tube that exports the service.
//!
//! ```text
//!   Offering ──first connection──► Open
//!      │                            │
//!      └──all declined, peer gone───┴──closed, peer gone──► Closed
//! ```
//!
//! The offer goes to every resource of the contact that does tubes; each may accept, connect,
//! and decline for itself. There is no acknowledgement of an offer: it is accepted when the
//! first connection comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use super::absence::Absence;
use super::{Ended, Refusal};

/// The offerer's state; pure, and one per tube.
#[derive(Debug, Default)]
pub struct Offerer {
    resources: BTreeMap<FullJid, Standing>,
    /// Those among them that understand our extensions.
    ours: BTreeSet<FullJid>,
    phase: Phase,
    absence: Absence,
}

impl Offerer {
    /// A tube that nobody was told of yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A resource of the contact is online and does tubes; `ours` says whether it knows that an
    /// offer may be repeated.
    pub fn handle_online(&mut self, resource: FullJid, ours: bool) -> Option<Announce> {
        if self.phase == Phase::Closed {
            return None;
        }
        if !self.make_room(&resource) {
            return None;
        }
        let announce = match self.resources.get(&resource) {
            None => Some(Announce::Offer),
            Some(Standing::Away) if ours => Some(Announce::Offer),
            // Gabble closes a tube that is offered twice, so it hears of its end first.
            Some(Standing::Away) => Some(Announce::Renew),
            Some(Standing::Declined) => return None,
            // A Gabble keeps its tubes while this side is away.
            Some(Standing::Unseen) => ours.then_some(Announce::Offer),
            Some(Standing::Offered) => None,
        };
        self.absence.end();
        if ours {
            self.ours.insert(resource.clone());
        } else {
            self.ours.remove(&resource);
        }
        self.resources.insert(resource, Standing::Offered);
        announce
    }

    /// A resource of the contact is no longer seen.
    pub fn handle_offline(&mut self, resource: &FullJid, whose: Whose, now: Instant) {
        match (self.resources.get_mut(resource), whose) {
            (Some(standing @ Standing::Offered), Whose::Theirs) => *standing = Standing::Away,
            (Some(standing @ Standing::Offered), Whose::Ours) => *standing = Standing::Unseen,
            // When it comes back it may think better of it.
            (Some(Standing::Declined), Whose::Theirs) => self.forget(resource),
            _ => return,
        }
        self.begin_absence(now);
    }

    fn begin_absence(&mut self, now: Instant) {
        let offered = |standing: &Standing| *standing == Standing::Offered;
        if !self.resources.values().any(offered) {
            self.absence.begin(now);
        }
    }

    /// Whether there is a place for this resource, at the cost of one that is away if need be:
    /// clients that die and come back under other names would else fill the table.
    fn make_room(&mut self, resource: &FullJid) -> bool {
        if self.resources.len() < RESOURCES || self.resources.contains_key(resource) {
            return true;
        }
        let absent = |(_, standing): &(&FullJid, &Standing)| standing.is_absent();
        let Some((away, _)) = self.resources.iter().find(absent) else {
            return false;
        };
        let away = away.clone();
        self.forget(&away);
        true
    }

    fn forget(&mut self, resource: &FullJid) {
        self.resources.remove(resource);
        self.ours.remove(resource);
    }

    /// Whether a resource understands our extensions.
    pub fn is_ours(&self, resource: &FullJid) -> bool {
        self.ours.contains(resource)
    }

    /// Somebody asks for a connection. True if it is the first: the tube is open now.
    pub fn handle_connect(&mut self, from: &FullJid) -> Result<bool, Refusal> {
        match (self.phase, self.resources.get(from)) {
            (Phase::Closed, _) => Err(Refusal::Closed),
            // Knowing the number is not enough: it must have been offered to them.
            (_, None | Some(Standing::Declined)) => Err(Refusal::NotOffered),
            (phase, Some(Standing::Away | Standing::Offered | Standing::Unseen)) => {
                self.phase = Phase::Open;
                Ok(phase == Phase::Offering)
            }
        }
    }

    /// A resource of the contact declined the tube, or closed its side of it.
    pub fn handle_declined(&mut self, from: &FullJid, now: Instant) -> Option<Ended> {
        let standing = self.resources.get_mut(from)?;
        *standing = Standing::Declined;
        let declined = |standing: &Standing| *standing == Standing::Declined;
        if !self.resources.values().all(declined) {
            // Those that are left may all be away.
            self.begin_absence(now);
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => None,
            Phase::Offering => Some(Ended::Declined),
            Phase::Open => Some(Ended::ByPeer),
        }
    }

    /// This side closes the tube; returns who has to be told.
    pub fn handle_close(&mut self) -> Vec<FullJid> {
        if std::mem::replace(&mut self.phase, Phase::Closed) == Phase::Closed {
            return Vec::new();
        }
        let offered = |(jid, standing): (&FullJid, &Standing)| {
            (*standing == Standing::Offered).then(|| jid.clone())
        };
        self.resources.iter().filter_map(offered).collect()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closed => None,
            Phase::Offering | Phase::Open => self.absence.deadline(),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Ended> {
        if self.phase == Phase::Closed || !self.absence.is_over(now) {
            return None;
        }
        self.phase = Phase::Closed;
        Some(Ended::PeerGone)
    }
}

/// What a resource has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// The offer.
    Offer,
    /// The end of the tube that it may still hold, and then the offer.
    Renew,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Offering,
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It went offline.
    Away,
    Declined,
    Offered,
    /// This side went offline.
    Unseen,
}

impl Standing {
    fn is_absent(self) -> bool {
        matches!(self, Self::Away | Self::Unseen)
    }
}

/// Whose connection it was that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This side's: the contact may not have noticed.
    Ours,
    /// The contact's.
    Theirs,
}

/// Resources of the contact that one tube keeps account of.
const RESOURCES: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::time::Duration;

    use super::*;

    fn jid(resource: &str) -> FullJid {
        format!("fernand@example.org/{resource}").parse().unwrap()
    }

    fn offered(resources: &[&str]) -> Offerer {
        let mut tube = Offerer::new();
        for resource in resources {
            assert_eq!(
                tube.handle_online(jid(resource), true),
                Some(Announce::Offer)
            );
        }
        tube
    }

    #[test]
    fn offers_to_each_resource_once() {
        let mut tube = offered(&["laptop", "phone"]);
        assert_eq!(tube.handle_online(jid("laptop"), true), None);
    }

    #[test]
    fn opens_with_the_first_connection() {
        let mut tube = offered(&["laptop"]);
        assert_eq!(tube.handle_connect(&jid("laptop")), Ok(true));
        assert_eq!(tube.handle_connect(&jid("laptop")), Ok(false));
    }

    #[test]
    fn refuses_whom_it_was_not_offered_to() {
        let mut tube = offered(&["laptop"]);
        assert_eq!(tube.handle_connect(&jid("phone")), Err(Refusal::NotOffered));
        assert_eq!(tube.handle_declined(&jid("phone"), Instant::now()), None);
        assert_eq!(tube.handle_connect(&jid("laptop")), Ok(true));
    }

    #[test]
    fn is_declined_only_when_every_resource_declined() {
        let mut tube = offered(&["laptop", "phone"]);
        assert_eq!(tube.handle_declined(&jid("phone"), Instant::now()), None);
        assert_eq!(tube.handle_connect(&jid("phone")), Err(Refusal::NotOffered));
        assert_eq!(
            tube.handle_declined(&jid("laptop"), Instant::now()),
            Some(Ended::Declined)
        );
        assert_eq!(tube.handle_online(jid("tablet"), true), None);
    }

    #[test]
    fn a_close_after_the_opening_is_no_refusal() {
        let mut tube = offered(&["laptop"]);
        tube.handle_connect(&jid("laptop")).unwrap();
        assert_eq!(
            tube.handle_declined(&jid("laptop"), Instant::now()),
            Some(Ended::ByPeer)
        );
        assert_eq!(tube.handle_connect(&jid("laptop")), Err(Refusal::Closed));
    }

    #[test]
    fn renews_the_offer_when_others_return_and_repeats_it_to_our_own_kind() {
        let mut tube = offered(&["ours"]);
        let now = Instant::now();
        assert_eq!(
            tube.handle_online(jid("gabble"), false),
            Some(Announce::Offer)
        );
        tube.handle_offline(&jid("ours"), Whose::Theirs, now);
        tube.handle_offline(&jid("gabble"), Whose::Theirs, now);
        assert_eq!(tube.handle_online(jid("ours"), true), Some(Announce::Offer));
        assert_eq!(
            tube.handle_online(jid("gabble"), false),
            Some(Announce::Renew)
        );
    }

    #[test]
    fn leaves_a_gabble_alone_when_it_was_this_side_that_went() {
        let mut tube = offered(&["ours"]);
        let now = Instant::now();
        tube.handle_online(jid("gabble"), false);
        tube.handle_offline(&jid("ours"), Whose::Ours, now);
        tube.handle_offline(&jid("gabble"), Whose::Ours, now);
        assert!(tube.poll_timeout().is_some());
        assert_eq!(tube.handle_online(jid("gabble"), false), None);
        assert_eq!(tube.handle_online(jid("ours"), true), Some(Announce::Offer));
        assert_eq!(tube.poll_timeout(), None);
    }

    #[test]
    fn closes_in_time_when_the_last_one_there_declines() {
        let mut tube = offered(&["laptop", "phone"]);
        let now = Instant::now();
        tube.handle_offline(&jid("phone"), Whose::Theirs, now);
        assert_eq!(tube.handle_declined(&jid("laptop"), now), None);
        let due = tube.poll_timeout().unwrap();
        assert_eq!(tube.handle_timeout(due), Some(Ended::PeerGone));
    }

    #[test]
    fn resources_that_never_return_keep_nobody_out() {
        let mut tube = offered(&["laptop"]);
        let now = Instant::now();
        for resource in 0..3 * RESOURCES {
            let resource = jid(&format!("died-{resource}"));
            assert!(tube.handle_online(resource.clone(), true).is_some());
            tube.handle_offline(&resource, Whose::Theirs, now);
        }
        assert_eq!(tube.handle_connect(&jid("laptop")), Ok(true));
    }

    #[test]
    fn closes_when_nobody_returns_for_a_minute() {
        let mut tube = offered(&["laptop", "phone"]);
        let now = Instant::now();
        tube.handle_offline(&jid("laptop"), Whose::Theirs, now);
        assert_eq!(tube.poll_timeout(), None);
        tube.handle_offline(&jid("phone"), Whose::Theirs, now);
        let due = tube.poll_timeout().unwrap();
        assert_eq!(due, now + Duration::from_secs(60));
        assert_eq!(tube.handle_timeout(due - Duration::from_millis(1)), None);
        assert_eq!(tube.handle_timeout(due), Some(Ended::PeerGone));
        assert_eq!(tube.handle_timeout(due), None);
    }

    #[test]
    fn waits_for_ever_for_a_first_resource() {
        assert_eq!(Offerer::new().poll_timeout(), None);
    }

    #[test]
    fn tells_those_who_know_of_it_that_it_is_closed() {
        let mut tube = offered(&["laptop", "phone", "tablet"]);
        tube.handle_declined(&jid("phone"), Instant::now());
        tube.handle_offline(&jid("tablet"), Whose::Theirs, Instant::now());
        assert_eq!(tube.handle_close(), [jid("laptop")]);
        assert!(tube.handle_close().is_empty());
    }
}
