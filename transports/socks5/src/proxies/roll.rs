//! Which proxies are told to whom, and in which order; without I/O.

use std::fmt;
use std::time::{Duration, Instant};

use tubes_transport::Kind;

use crate::Streamhost;

/// A proxy, and what is known of it.
///
/// ```
/// use tubes_socks5::Socks5;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socks5 = Socks5::new();
/// // The account is started with a clone of it, and looks for proxies.
/// let account = "alice@example.org/desk".parse()?;
/// for proxy in socks5.known_proxies(&account) {
///     println!("{}: {}", proxy.host.jid, proxy.verdict);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProxy {
    /// Where it listens.
    pub host: Streamhost,
    /// What became of trying it out.
    pub verdict: Verdict,
}

/// What became of trying a proxy out.
///
/// ```
/// use tubes_socks5::Verdict;
///
/// assert_eq!(Verdict::default().to_string(), "not tried yet");
/// let fails = Verdict::Fails("connection refused".to_owned());
/// assert_eq!(fails.to_string(), "does not relay: connection refused");
/// ```
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
    /// How it failed, if it did not work since.
    failed: Option<Failures>,
}

/// Failures of a proxy, one after the other.
#[derive(Clone, Copy, Debug)]
struct Failures {
    /// When it last failed.
    at: Instant,
    /// How long it is left alone for that.
    rest: Duration,
}

impl Failures {
    /// One more. What fails together counts once: bytestreams that were under way at the same time.
    fn after(before: Option<Self>, now: Instant) -> Self {
        let rest = match before {
            None => FIRST_REST,
            Some(before) if before.lets_rest(now) => before.rest,
            Some(before) => (before.rest * 2).min(REST),
        };
        Self { at: now, rest }
    }

    fn lets_rest(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < self.rest
    }
}

impl Roll {
    /// These were found, but not everybody answered: what was there before may still be.
    pub(crate) fn add(&mut self, found: Vec<Streamhost>) {
        for host in found {
            if !self.known.iter().any(|known| known.proxy.host == host) {
                // It may have moved, and peers name it by its JID alone.
                self.known.retain(|known| known.proxy.host.jid != host.jid);
                self.known.push(Known::new(host));
            }
        }
        let beyond = self.known.len().saturating_sub(OWN);
        self.known.drain(..beyond);
    }

    /// These come first, in their order: they are told as they answer, and named ones come before others.
    pub(crate) fn arrange(&mut self, found: &[Streamhost]) {
        self.known.sort_by_key(|known| {
            let place = found.iter().position(|host| *host == known.proxy.host);
            place.unwrap_or(found.len())
        });
    }

    /// Those of the account's that failed when they were tried out.
    pub(crate) fn failing(&self) -> Vec<Streamhost> {
        let fails = |known: &&Known| matches!(known.proxy.verdict, Verdict::Fails(_));
        let failing = self.known.iter().filter(fails);
        failing.map(|known| known.proxy.host.clone()).collect()
    }

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
        fit.sort_by_key(|known| known.failed.map(|failures| failures.at));
        let told = fit.into_iter().take(TOLD);
        told.map(|known| known.proxy.clone()).collect()
    }

    /// What became of trying a host out.
    pub(crate) fn judge(&mut self, host: &Streamhost, verdict: Verdict, now: Instant) {
        self.learn(host, |known| {
            let failures = Failures::after(known.failed, now);
            known.failed = matches!(verdict, Verdict::Fails(_)).then_some(failures);
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
        self.known
            .iter()
            .any(|known| known.proxy.host.is_same_as(host))
    }

    /// A bytestream through it came about.
    pub(crate) fn worked(&mut self, host: &Streamhost) {
        self.learn(host, |known| {
            known.failed = None;
            // Whatever became of trying it out, it relays; how well is not known.
            if matches!(known.proxy.verdict, Verdict::Fails(_)) {
                known.proxy.verdict = Verdict::Untried;
            }
        });
    }

    /// A bytestream through it did not come about.
    pub(crate) fn failed(&mut self, host: &Streamhost, now: Instant) {
        self.learn(host, |known| {
            known.failed = Some(Failures::after(known.failed, now));
        });
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
        let rests = self.failed.is_some_and(|failures| failures.lets_rest(now));
        !rests
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

/// Proxies of an account that are remembered while its server does not say which there are.
const OWN: usize = 64;

/// Others' proxies that are remembered.
const FOREIGN: usize = 64;

/// How long a proxy that failed is left alone at first: it may have been busy for a moment.
const FIRST_REST: Duration = Duration::from_secs(5);

/// How long at most, when it failed again and again.
const REST: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
