//! The proxies that this side knows: found at the own server, or named by the user.
//!
//! - [`Proxies`]: what is known, shared by all bytestreams (this file)
//! - [`Roll`]: which of them are told to whom (`roll.rs`)
//! - finding them (`discovery.rs`) and trying them out (`trial.rs`)

mod discovery;
mod roll;
mod trial;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};
use tubes_transport::{Kind, Stanzas};
use xmpp_parsers::jid::{BareJid, FullJid};

pub(crate) use self::roll::Roll;
pub use self::roll::{KnownProxy, Verdict};

use self::discovery::Search;
use crate::config::LastResort;
use crate::dial::Candidate;
use crate::{Socks5, Streamhost};

/// What is known of proxies, by the account that may use them.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    rolls: Mutex<HashMap<BareJid, Entry>>,
    /// Somebody has found a proxy, or has finished looking around.
    learned: Notify,
    /// Held while a proxy of somebody else's is tried out.
    trials: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Entry {
    roll: Roll,
    exploring: usize,
}

impl Proxies {
    /// Finds the proxies of the account's server, and then tries each of them out. Does both again, a few
    /// times, while somebody does not answer or a trial fails: a server that is busy when one logs in
    /// has proxies, too.
    pub(crate) async fn explore(&self, socks5: &Socks5, account: &FullJid, stanzas: &Stanzas) {
        let mut search = {
            // Bytestreams wait for this one, and for no other.
            let _exploring = Exploring::begin(self, account);
            self.search(socks5, account, stanzas).await
        };
        let hosts = search.found.iter().chain(&socks5.placed_proxies);
        self.try_out(hosts.cloned().collect(), socks5, account, stanzas)
            .await;
        for pause in SEARCHES {
            let mut hosts = self.entry(account, |entry| entry.roll.failing());
            if !search.unanswered && hosts.is_empty() {
                return;
            }
            sleep(pause).await;
            if search.unanswered {
                let before = search.found;
                search = self.search(socks5, account, stanzas).await;
                let found = search.found.iter().filter(|host| !before.contains(host));
                hosts.extend(found.cloned());
            }
            self.try_out(hosts, socks5, account, stanzas).await;
        }
    }

    async fn search(&self, socks5: &Socks5, account: &FullJid, stanzas: &Stanzas) -> Search {
        let tell = |host: &Streamhost| {
            self.entry(account, |entry| entry.roll.add(vec![host.clone()]));
            self.learned.notify_waiters();
        };
        let search = discovery::discover(account, &socks5.named_proxies, stanzas, tell).await;
        let found = search.found.clone();
        self.entry(account, |entry| match search.unanswered {
            true => {
                entry.roll.add(found.clone());
                entry.roll.arrange(&found);
            }
            false => entry.roll.set(found),
        });
        search
    }

    async fn try_out(
        &self,
        hosts: Vec<Streamhost>,
        socks5: &Socks5,
        account: &FullJid,
        stanzas: &Stanzas,
    ) {
        let trials = hosts.into_iter().map(|host| async move {
            let proxy = Candidate::own_proxy(host);
            let verdict = trial::run(&proxy, account, stanzas, socks5).await;
            let host = proxy.host;
            info!(jid = %host.jid, %verdict, "proxy");
            self.judge(account, &host, verdict);
        });
        join_all(trials).await;
    }

    /// The proxies to tell a peer of this kind, best first, once the search has [settled](Self::settle).
    pub(crate) async fn to_tell(
        &self,
        socks5: &Socks5,
        account: &FullJid,
        kind: Kind,
        resort: LastResort,
    ) -> Vec<Streamhost> {
        let at_any_price = socks5.last_resort == LastResort::Yes;
        let told = |roll: &Roll| {
            let roll = roll.clone().with(&socks5.placed_proxies);
            roll.to_tell(kind, at_any_price, Instant::now().into_std())
        };
        let is_enough = |roll: &Roll| !told(roll).is_empty();
        self.settle(resort, account, is_enough).await;
        let told = self.entry(account, |entry| told(&entry.roll));
        for proxy in told
            .iter()
            .filter(|proxy| proxy.verdict == Verdict::Withholds)
        {
            if kind == Kind::Other {
                warn!(jid = %proxy.host.jid, "using a proxy that withholds the end of a burst");
            }
        }
        told.into_iter().map(|proxy| proxy.host).collect()
    }

    /// Whether a peer that is not of our kind can be reached through this proxy without bytes
    /// being withheld. One that is not known is tried out first.
    pub(crate) async fn is_fit(
        &self,
        socks5: &Socks5,
        proxy: &Candidate,
        account: &FullJid,
        stanzas: &Stanzas,
    ) -> bool {
        let known = self.entry(account, |entry| entry.roll.verdict(&proxy.host));
        let verdict = match known {
            Verdict::Untried => {
                // A peer can name what it likes: one after the other.
                let _turn = self.trials.lock().await;
                let verdict = trial::run(proxy, account, stanzas, socks5).await;
                self.judge(account, &proxy.host, verdict.clone());
                verdict
            }
            known => known,
        };
        // Others' proxies may refuse us as a client and still serve the peer.
        verdict != Verdict::Withholds
    }

    /// Whether this very host is one that this side knows itself.
    pub(crate) fn knows(&self, socks5: &Socks5, account: &FullJid, host: &Streamhost) -> bool {
        let known = self.entry(account, |entry| entry.roll.contains(host));
        let placed = &socks5.placed_proxies;
        known || placed.iter().any(|placed| placed.is_same_as(host))
    }

    /// A bytestream through this proxy came about.
    pub(crate) fn worked(&self, account: &FullJid, host: &Streamhost) {
        self.entry(account, |entry| entry.roll.worked(host));
    }

    /// A bytestream through this proxy did not come about: it moves back.
    pub(crate) fn failed(&self, account: &FullJid, host: &Streamhost) {
        let now = Instant::now().into_std();
        self.entry(account, |entry| entry.roll.failed(host, now));
    }

    /// All that are known to an account.
    pub(crate) fn list(&self, account: &FullJid) -> Vec<KnownProxy> {
        self.entry(account, |entry| entry.roll.list())
    }

    fn judge(&self, account: &FullJid, host: &Streamhost, verdict: Verdict) {
        let now = Instant::now().into_std();
        self.entry(account, |entry| entry.roll.judge(host, verdict, now));
    }

    /// Waits a moment for proxies that are being looked for. What is not found by then comes too late for
    /// a stream that may go another way; one that may not waits until there is enough, or no hope.
    pub(crate) async fn settle(
        &self,
        resort: LastResort,
        account: &FullJid,
        is_enough: impl Fn(&Roll) -> bool,
    ) {
        let is_over = |entry: &Entry| entry.exploring == 0;
        let over = timeout(SEARCH, self.until(account, is_over)).await;
        if over.is_err() && resort == LastResort::Yes {
            let is_settled = |entry: &Entry| is_over(entry) || is_enough(&entry.roll);
            let _ = timeout(LONG_SEARCH, self.until(account, is_settled)).await;
        }
    }

    async fn until(&self, account: &FullJid, holds: impl Fn(&Entry) -> bool) {
        loop {
            // Enabled before the look, so that no word is missed in between.
            let learned = self.learned.notified();
            tokio::pin!(learned);
            learned.as_mut().enable();
            if self.entry(account, |entry| holds(entry)) {
                return;
            }
            learned.await;
        }
    }

    fn entry<T>(&self, account: &FullJid, look: impl FnOnce(&mut Entry) -> T) -> T {
        let mut rolls = self.lock();
        look(rolls.entry(account.to_bare()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BareJid, Entry>> {
        self.rolls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is looking around, until this is dropped.
struct Exploring<'a> {
    proxies: &'a Proxies,
    account: &'a FullJid,
}

impl<'a> Exploring<'a> {
    fn begin(proxies: &'a Proxies, account: &'a FullJid) -> Self {
        proxies.entry(account, |entry| entry.exploring += 1);
        Self { proxies, account }
    }
}

impl Drop for Exploring<'_> {
    fn drop(&mut self) {
        self.proxies
            .entry(self.account, |entry| entry.exploring -= 1);
        self.proxies.learned.notify_waiters();
    }
}

/// Pauses before the next look, while somebody did not answer, or a trial failed.
const SEARCHES: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
];

/// How long a bytestream waits for proxies that are being looked for.
const SEARCH: Duration = Duration::from_secs(1);

/// How much longer, if it has no other transport to go on to: as long as a service may take to answer. Below
/// the half minute for which a requester waits for the responder, who waits likewise.
const LONG_SEARCH: Duration = Duration::from_secs(10);
