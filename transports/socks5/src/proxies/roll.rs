//! Which proxies are told to whom, and in which order; without I/O.

use std::fmt;
use std::time::{Duration, Instant};

use tubes_transport::Kind;

use crate::Streamhost;

/// A proxy, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProxy {
    /// Where it listens.
    pub host: Streamhost,
    /// What became of trying it out.
    pub verdict: Verdict,
}

/// What became of trying a proxy out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It was not tried yet.
    #[default]
    Untried,
    /// It passes everything on.
    Relays,
    /// It passes the end of a burst on only when something follows (Prosody 0.12).
    Withholds,
    /// It does not pass anything on, for this reason.
    Fails(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untried => f.write_str("not tried yet"),
            Self::Relays => f.write_str("relays"),
            Self::Withholds => f.write_str("relays, but withholds the end of a burst"),
            Self::Fails(why) => write!(f, "does not relay: {why}"),
        }
    }
}

/// The proxies that an account may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roll {
    known: Vec<Known>,
    /// Others' proxies, and those that the user placed.
    foreign: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    proxy: KnownProxy,
    /// When it last failed, if it did not work since.
    failed: Option<Instant>,
}

impl Roll {
    /// These were found. What is known of those that were there before stays known.
    pub(crate) fn set(&mut self, found: Vec<Streamhost>) {
        let mut before = std::mem::take(&mut self.known);
        for host in found {
            let same = before.iter().position(|known| known.proxy.host == host);
            self.known.push(match same {
                Some(place) => before.swap_remove(place),
                None => Known::new(host),
            });
        }
    }

    /// This roll with further ones.
    pub(crate) fn with(mut self, placed: &[Streamhost]) -> Self {
        for host in placed {
            // The peer's choice names only the JID.
            let is_new = |known: &Known| known.proxy.host.jid != host.jid;
            if self.known.iter().all(is_new) {
                let found = self.foreign.iter().find(|known| known.proxy.host == *host);
                let known = found.cloned().unwrap_or_else(|| Known::new(host.clone()));
                self.known.push(known);
            }
        }
        self
    }

    /// What to tell a peer: those that work first, then those that failed longest ago. One that
    /// failed a moment ago is not told; one that withholds is no use to others than our kind,
    /// unless there is no other way (`at_any_price`).
    pub(crate) fn to_tell(&self, kind: Kind, at_any_price: bool, now: Instant) -> Vec<KnownProxy> {
        let mut fit: Vec<_> = self
            .known
            .iter()
            .filter(|known| known.is_fit(kind, at_any_price, now))
            .collect();
        fit.sort_by_key(|known| known.failed);
        let told = fit.into_iter().take(TOLD);
        told.map(|known| known.proxy.clone()).collect()
    }

    /// What became of trying a host out.
    pub(crate) fn judge(&mut self, host: &Streamhost, verdict: Verdict, now: Instant) {
        self.learn(host, |known| {
            known.failed = matches!(verdict, Verdict::Fails(_)).then_some(now);
            known.proxy.verdict = verdict;
        });
    }

    /// What became of trying a host out, whoever's it is.
    pub(crate) fn verdict(&self, host: &Streamhost) -> Verdict {
        let mut all = self.known.iter().chain(&self.foreign);
        let found = all.find(|known| known.proxy.host == *host);
        found
            .map(|known| known.proxy.verdict.clone())
            .unwrap_or_default()
    }

    /// Whether this very host is on the roll.
    pub(crate) fn contains(&self, host: &Streamhost) -> bool {
        self.known.iter().any(|known| known.proxy.host == *host)
    }

    /// A bytestream through it came about.
    pub(crate) fn worked(&mut self, host: &Streamhost) {
        self.learn(host, |known| known.failed = None);
    }

    /// A bytestream through it did not come about.
    pub(crate) fn failed(&mut self, host: &Streamhost, now: Instant) {
        self.learn(host, |known| known.failed = Some(now));
    }

    /// All of the account's.
    pub(crate) fn list(&self) -> Vec<KnownProxy> {
        self.known.iter().map(|known| known.proxy.clone()).collect()
    }

    /// Learns something of a host. Of those that are not the account's the newest are remembered.
    fn learn(&mut self, host: &Streamhost, learn: impl FnOnce(&mut Known)) {
        if let Some(known) = self
            .known
            .iter_mut()
            .find(|known| known.proxy.host == *host)
        {
            return learn(known);
        }
        let place = self
            .foreign
            .iter()
            .position(|known| known.proxy.host == *host);
        let mut known = match place {
            Some(place) => self.foreign.remove(place),
            None => Known::new(host.clone()),
        };
        learn(&mut known);
        if self.foreign.len() >= FOREIGN {
            self.foreign.remove(0);
        }
        self.foreign.push(known);
    }
}

impl Known {
    fn new(host: Streamhost) -> Self {
        Self {
            proxy: KnownProxy {
                host,
                verdict: Verdict::Untried,
            },
            failed: None,
        }
    }

    fn is_fit(&self, kind: Kind, at_any_price: bool, now: Instant) -> bool {
        let rested = self
            .failed
            .is_none_or(|failed| now.saturating_duration_since(failed) >= REST);
        rested
            && match self.proxy.verdict {
                Verdict::Relays => true,
                // Between our own kind frames are nudged through.
                Verdict::Withholds | Verdict::Untried | Verdict::Fails(_) => {
                    kind == Kind::Ours || at_any_price
                }
            }
    }
}

/// Proxies that a peer is told of: each that does not answer costs it time.
const TOLD: usize = 3;

/// Others' proxies that are remembered.
const FOREIGN: usize = 64;

/// How long a proxy that failed is left alone.
const REST: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use xmpp_parsers::jid::Jid;

    use super::*;

    fn proxy(name: &str) -> Streamhost {
        Streamhost {
            jid: Jid::new(name).unwrap(),
            host: "192.0.2.1".to_owned(),
            port: 1080,
        }
    }

    fn roll(names: &[&str]) -> Roll {
        let mut roll = Roll::default();
        roll.set(names.iter().map(|name| proxy(name)).collect());
        roll
    }

    fn told(roll: &Roll, kind: Kind, now: Instant) -> Vec<String> {
        let told = roll.to_tell(kind, false, now).into_iter();
        told.map(|proxy| proxy.host.jid.to_string()).collect()
    }

    #[test]
    fn one_that_failed_rests_and_comes_back_last() {
        let now = Instant::now();
        let mut roll = roll(&["a", "b"]);
        roll.failed(&proxy("a"), now);
        assert_eq!(told(&roll, Kind::Ours, now), ["b"]);
        assert_eq!(told(&roll, Kind::Ours, now + REST), ["b", "a"]);
        roll.worked(&proxy("a"));
        assert_eq!(told(&roll, Kind::Ours, now), ["a", "b"]);
    }

    #[test]
    fn one_that_was_placed_rests_likewise() {
        let now = Instant::now();
        let (mut roll, placed) = (roll(&["a"]), [proxy("placed")]);
        let told = |roll: &Roll, now| told(&roll.clone().with(&placed), Kind::Ours, now);
        assert_eq!(told(&roll, now), ["a", "placed"]);
        roll.failed(&proxy("placed"), now);
        assert_eq!(told(&roll, now), ["a"]);
        roll.worked(&proxy("placed"));
        assert_eq!(told(&roll, now), ["a", "placed"]);
        roll.judge(&proxy("placed"), Verdict::Fails(String::new()), now);
        assert_eq!(told(&roll, now), ["a"]);
        assert_eq!(told(&roll, now + REST), ["a", "placed"]);
        assert!(!roll.contains(&proxy("placed")));
    }

    #[test]
    fn others_are_told_only_what_is_known_to_relay() {
        let now = Instant::now();
        let mut roll = roll(&["untried", "flawed", "good"]);
        roll.judge(&proxy("flawed"), Verdict::Withholds, now);
        roll.judge(&proxy("good"), Verdict::Relays, now);
        assert_eq!(told(&roll, Kind::Other, now), ["good"]);
        assert_eq!(told(&roll, Kind::Ours, now).len(), 3);
        assert_eq!(roll.to_tell(Kind::Other, true, now).len(), 3);
    }

    #[test]
    fn what_is_known_outlasts_a_new_search() {
        let now = Instant::now();
        let mut roll = roll(&["a", "b"]);
        roll.judge(&proxy("a"), Verdict::Relays, now);
        roll.set(vec![proxy("c"), proxy("a")]);
        assert_eq!(roll.verdict(&proxy("a")), Verdict::Relays);
        assert_eq!(roll.verdict(&proxy("c")), Verdict::Untried);
        assert!(!roll.contains(&proxy("b")));
    }

    #[test]
    fn of_others_only_so_many_are_remembered() {
        let now = Instant::now();
        let mut roll = Roll::default();
        for number in 0..=FOREIGN {
            roll.judge(&proxy(&format!("p{number}")), Verdict::Relays, now);
        }
        assert_eq!(roll.verdict(&proxy("p0")), Verdict::Untried);
        assert_eq!(roll.verdict(&proxy("p1")), Verdict::Relays);
        assert!(roll.list().is_empty());
    }
}
