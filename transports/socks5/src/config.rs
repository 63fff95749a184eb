//! What SOCKS5 bytestreams are told to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tubes_transport::Kind;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::dial::Queues;
use crate::listener::Door;
use crate::proxies::Proxies;
use crate::{KnownProxy, Loopback, Streamhost, Way, own};

/// SOCKS5 bytestreams. Clones share one listening socket, and what is known of proxies: the
/// accounts of a process use clones of one value, within one runtime.
///
/// ```
/// use std::time::Duration;
/// use tubes_socks5::{Reveal, Socks5, Way};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The router forwards this port to this machine.
/// let socks5 = Socks5::new()
///     .with_port(41000)
///     .with_address("192.0.2.1", 41000)
///     .with_proxy("proxy.example.org".parse()?)
///     .with_budget(Duration::from_secs(3));
/// assert_eq!(socks5.told_addresses()[0], "192.0.2.1:41000");
/// assert_eq!(*socks5.reveal(), Reveal::ToAll);
/// assert!(!Socks5::proxied().allows(Way::Direct));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Socks5 {
    pub(crate) ways: Vec<Way>,
    pub(crate) port: u16,
    pub(crate) further: Vec<(String, u16)>,
    pub(crate) loopback: Loopback,
    pub(crate) reveal: Reveal,
    pub(crate) named_proxies: Vec<Jid>,
    pub(crate) placed_proxies: Vec<Streamhost>,
    budget: Option<Duration>,
    pub(crate) stillness: Duration,
    pub(crate) silence: Duration,
    pub(crate) last_resort: LastResort,
    shared: Arc<Shared>,
}

/// What clones have in common.
#[derive(Debug, Default)]
struct Shared {
    door: Door,
    proxies: Proxies,
    queues: Queues,
}

/// Who may learn the addresses of this machine.
///
/// To whom they are not revealed no own address is told, and of what they tell only proxies are
/// dialled that this side knows itself.
///
/// ```
/// use std::collections::BTreeSet;
/// use tubes_socks5::{Reveal, Socks5};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fernand = "fernand@example.net".parse()?;
/// let reveal = Reveal::ToAllBut(BTreeSet::from([fernand]));
/// let socks5 = Socks5::new().with_reveal(reveal.clone());
/// assert_eq!(*socks5.reveal(), reveal);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reveal {
    /// Every contact that a bytestream is negotiated with.
    #[default]
    ToAll,
    /// All but these.
    ToAllBut(BTreeSet<BareJid>),
    /// Nobody.
    ToNobody,
}

impl Reveal {
    pub(crate) fn to(&self, contact: &BareJid) -> bool {
        match self {
            Self::ToAll => true,
            Self::ToAllBut(others) => !others.contains(contact),
            Self::ToNobody => false,
        }
    }
}

/// Whether a proxy that is known to withhold the end of a burst, or a host or a search that is slow, is better
/// than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastResort {
    /// Another transport follows.
    No,
    /// There is no other transport.
    Yes,
}

impl Socks5 {
    /// Direct connections, and proxies where those fail.
    pub fn new() -> Self {
        Self::only(vec![Way::Direct, Way::Proxy])
    }

    /// Direct connections only.
    pub fn direct() -> Self {
        Self::only(vec![Way::Direct])
    }

    /// Proxies only.
    pub fn proxied() -> Self {
        Self::only(vec![Way::Proxy])
    }

    fn only(ways: Vec<Way>) -> Self {
        Self {
            ways,
            port: 0,
            further: Vec::new(),
            loopback: Loopback::default(),
            reveal: Reveal::default(),
            named_proxies: Vec::new(),
            placed_proxies: Vec::new(),
            budget: None,
            stillness: STILLNESS,
            silence: SILENCE,
            last_resort: LastResort::No,
            shared: Arc::default(),
        }
    }

    /// Goes these ways only.
    pub fn with_ways(mut self, ways: impl IntoIterator<Item = Way>) -> Self {
        self.ways = ways.into_iter().collect();
        self
    }

    /// Listens on this port, instead of one that the kernel chooses: for a firewall that lets it
    /// through, or a router that forwards it.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Tells peers this address, too, ahead of the machine's own: that of a router, for example,
    /// which forwards the port. May be called several times.
    pub fn with_address(mut self, host: &str, port: u16) -> Self {
        self.further.push((host.to_owned(), port));
        self
    }

    /// Whether loopback addresses are told and dialled.
    pub fn with_loopback(self, loopback: Loopback) -> Self {
        Self { loopback, ..self }
    }

    /// Who may learn this machine's addresses.
    pub fn with_reveal(self, reveal: Reveal) -> Self {
        Self { reveal, ..self }
    }

    /// Uses this proxy beside those of the own server; it is asked where it listens. May be called
    /// several times.
    pub fn with_proxy(mut self, jid: Jid) -> Self {
        self.named_proxies.push(jid);
        self
    }

    /// Uses this proxy, of which is known where it listens, beside those of the own server. May be
    /// called several times.
    pub fn with_proxy_at(mut self, proxy: Streamhost) -> Self {
        self.placed_proxies.push(proxy);
        self
    }

    /// How long all hosts together may take to be reached, before the next transport has its
    /// turn. If not said otherwise 5 seconds; between two of our own kind 15, if there is no other
    /// transport.
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How long nothing may come of a burst, while a proxy is tried out, before the proxy is taken to
    /// withhold the rest. 1.5 seconds, if not said otherwise; a trial as a whole takes 10 at most.
    pub fn with_stillness(self, stillness: Duration) -> Self {
        Self { stillness, ..self }
    }

    /// How long a peer that is not of our kind may say nothing at a proxy, before it is taken to use it: one
    /// that could not turns to another transport in this time. 1.5 seconds, if not said otherwise.
    pub fn with_silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Uses even a proxy that was seen to withhold the end of a burst, with a warning, and waits longer for
    /// proxies and hosts: for a ladder without another transport.
    pub fn with_flawed_proxies(self) -> Self {
        let last_resort = LastResort::Yes;
        Self {
            last_resort,
            ..self
        }
    }

    /// Whether this way may be gone.
    pub fn allows(&self, way: Way) -> bool {
        self.ways.contains(&way)
    }

    /// The addresses that our own kind would be told at this moment, best first; those of this
    /// machine without a port, which is open only while somebody is expected.
    pub fn told_addresses(&self) -> Vec<String> {
        let further = self.further.iter();
        let further = further.map(|(host, port)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        });
        let own = own::addresses(self.loopback).into_iter();
        further
            .chain(own.map(|address| address.to_string()))
            .collect()
    }

    /// Who may learn this machine's addresses.
    pub fn reveal(&self) -> &Reveal {
        &self.reveal
    }

    /// The proxies that were found for an account, and what is known of each.
    pub fn known_proxies(&self, account: &FullJid) -> Vec<KnownProxy> {
        self.proxies().list(account)
    }

    /// How long all hosts that such a peer tells of may take to be reached.
    pub(crate) fn budget(&self, kind: Kind) -> Duration {
        self.budget.unwrap_or(match (kind, self.last_resort) {
            (Kind::Ours, LastResort::Yes) => LAST_BUDGET,
            // Others' hosts are taken in turn: whoever falls silent uses up what those after it need.
            (Kind::Ours, LastResort::No) | (Kind::Other, _) => BUDGET,
        })
    }

    /// Whether descriptors are left for sockets, beside those that programs need: if there is another
    /// transport, it needs none.
    pub(crate) fn has_room(&self) -> bool {
        let room = match self.last_resort {
            LastResort::No => tubes_tcp::plenty_of_descriptors(),
            LastResort::Yes => tubes_tcp::spare_descriptor(),
        };
        room.is_ok()
    }

    pub(crate) fn door(&self) -> &Door {
        &self.shared.door
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.shared.queues
    }

    pub(crate) fn proxies(&self) -> &Proxies {
        &self.shared.proxies
    }
}

impl Default for Socks5 {
    fn default() -> Self {
        Self::new()
    }
}

/// Blackholed hosts cost seconds. Whoever waits for a connection would rather have a slow one.
const BUDGET: Duration = Duration::from_secs(5);

/// Where nothing follows a slow connection is better than none. With the wait for proxies that are being
/// looked for it stays below the half minute for which our own kind waits for the answer.
const LAST_BUDGET: Duration = Duration::from_secs(15);

/// A burst of which nothing more comes for so long stands still.
const STILLNESS: Duration = Duration::from_millis(1500);

/// A Gabble that does not turn to another transport in this time has activated the proxy.
const SILENCE: Duration = Duration::from_millis(1500);
