//! The side that tells its hosts.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;
use tubes_transport::{
    AskError, Attempt, Bytestream, ConnectError, Gone, Kind, Patience, Plan, Question, Tried, Wire,
};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;

use super::promise::Promise;
use super::{activate, is_in_room, open};
use crate::config::LastResort;
use crate::dial::{Candidate, Errand, dial, tune};
use crate::listener::Guest;
use crate::{Destination, Query, Secret, Socks5, Streamhost, Used, Way, own};

/// One try, at the side that asked for the bytestream.
pub(crate) struct Requester {
    socks5: Socks5,
    plan: Plan,
    destination: Destination,
    secret: Option<Secret>,
    /// Whoever dials this side's own addresses.
    guest: Option<Guest>,
    own: Vec<Streamhost>,
    proxies: Vec<Streamhost>,
    /// Ways that came to nothing before anything was said.
    detours: Vec<Tried>,
}

impl Requester {
    /// Opens the socket, if need be, and gathers the hosts.
    pub(crate) async fn prepare(socks5: &Socks5, plan: Plan) -> Result<Self, ConnectError> {
        let mut requester = Self {
            destination: destination(&plan),
            secret: Secret::for_kind(plan.kind),
            socks5: socks5.clone(),
            plan,
            guest: None,
            own: Vec::new(),
            proxies: Vec::new(),
            detours: Vec::new(),
        };
        match requester.socks5.has_room() {
            true => requester.gather().await,
            false => requester.note(Way::Direct, "too few descriptors are left"),
        }
        // Others have agreed on this method first, and take the next one only after its answer.
        if requester.hosts().next().is_none() && requester.plan.kind == Kind::Ours {
            return Err(ConnectError::Exhausted(requester.detours));
        }
        Ok(requester)
    }

    async fn gather(&mut self) {
        if self.socks5.allows(Way::Direct) {
            self.gather_own().await;
        }
        if self.socks5.allows(Way::Proxy) {
            self.gather_proxies().await;
        }
    }

    async fn gather_own(&mut self) {
        if !self.socks5.reveal.to(&self.plan.peer.to_bare()) {
            return self.note(Way::Direct, "own addresses are not told to this contact");
        }
        let listening = match self.socks5.door().open(self.socks5.port).await {
            Ok(listening) => listening,
            Err(why) => {
                let reason = ConnectError::Io(why);
                let transport = Way::Direct.label();
                return self.detours.push(Tried { transport, reason });
            }
        };
        // In a room a Gabble asks for the hash of both occupants.
        let occupants = Destination::new(&self.plan.stream, &self.plan.local, &self.plan.peer);
        let addresses = few(own::addresses(self.socks5.loopback), self.plan.kind);
        let further = self.socks5.further.iter().cloned();
        // Our own kind races the hosts as well, and asks one for the stream.
        let places = match self.plan.kind {
            Kind::Ours => 1,
            Kind::Other => addresses.len() + further.len(),
        };
        let stanzas = self.plan.stanzas.clone();
        let guest = listening.expect(vec![self.destination, occupants], places, stanzas);
        let addresses = addresses.into_iter();
        let hosts = further.chain(addresses.map(|ip| (ip.to_string(), guest.port())));
        let jid = Jid::from(self.plan.local.clone());
        let host = |(host, port)| Streamhost {
            jid: jid.clone(),
            host,
            port,
        };
        self.own = hosts.map(host).collect();
        self.guest = Some(guest);
        if self.own.is_empty() {
            self.note(Way::Direct, "this machine has no address to tell");
        }
    }

    async fn gather_proxies(&mut self) {
        if is_in_room(&self.plan) && self.plan.kind == Kind::Other {
            return self.note(Way::Proxy, "only our own kind uses proxies in rooms");
        }
        let proxies = self.socks5.proxies();
        // With addresses of its own it does not wait for long.
        let resort = match self.own.is_empty() {
            true => self.socks5.last_resort,
            false => LastResort::No,
        };
        let account = &self.plan.account;
        let told = proxies.to_tell(&self.socks5, account, self.plan.kind, resort);
        self.proxies = told.await;
        if self.proxies.is_empty() {
            self.note(Way::Proxy, "no proxy that works is known");
        }
    }

    fn note(&mut self, way: Way, why: &str) {
        let transport = way.label();
        let reason = ConnectError::Unreachable(why.to_owned());
        self.detours.push(Tried { transport, reason });
    }

    fn hosts(&self) -> impl Iterator<Item = &Streamhost> {
        self.own.iter().chain(&self.proxies)
    }

    fn query(&self) -> Query {
        let in_room = is_in_room(&self.plan) && self.plan.kind == Kind::Ours;
        Query {
            stream: self.plan.stream.clone(),
            streamhosts: self.hosts().cloned().collect(),
            destination: in_room.then_some(self.destination),
            secret: self.secret,
        }
    }

    /// Asks the peer to dial. Our own kind keeps to a budget; a Gabble takes ten seconds for each
    /// host, and nothing else may be tried before it has answered.
    async fn ask(&self, wire: &Wire) -> Result<Promise, Gone> {
        let hosts = u32::try_from(self.hosts().count()).unwrap_or(u32::MAX);
        let patience = match self.plan.kind {
            Kind::Ours => OURS,
            Kind::Other => OTHERS + PER_HOST.saturating_mul(hosts),
        };
        let query = self.query().to_element();
        let asked = wire.ask(Question::Set, query, Patience::Within(patience));
        let (proxies, kind) = (self.proxies.clone(), self.plan.kind);
        let answer = asked.await?;
        Ok(Promise::new(
            &self.socks5,
            answer,
            proxies,
            kind,
            self.destination,
        ))
    }

    /// What became of the ways that were told, when the peer used none of them.
    fn refused(mut self, why: &AskError) -> ConnectError {
        let mut told = Vec::new();
        if !self.own.is_empty() {
            told.push(Way::Direct);
        }
        // Why nothing was told is known already.
        if !self.proxies.is_empty() || told.is_empty() && self.detours.is_empty() {
            told.push(Way::Proxy);
        }
        self.detours.extend(told.into_iter().map(|way| Tried {
            transport: way.label(),
            reason: why.clone().into(),
        }));
        ConnectError::Exhausted(self.detours)
    }

    async fn open_direct(self) -> Result<Bytestream, ConnectError> {
        let guest = self.guest.as_ref();
        let there = guest.map(Guest::take).unwrap_or_default();
        // Who dials all at once uses the first of them.
        let first = there.into_iter().min_by_key(|stream| self.rank(stream));
        let Some(mut stream) = first else {
            let why = "the peer says that it connected, and did not";
            return Err(self.stopped(Way::Direct, ConnectError::Protocol(why.to_owned())));
        };
        if let Err(why) = tune(&stream).and(self.say_secret(&mut stream).await) {
            return Err(self.stopped(Way::Direct, broke(&why)));
        }
        // Nothing is better, so nothing was a detour: not even a proxy that is missing.
        Ok(open(stream, Way::Direct, self.plan.kind))
    }

    /// Where the host that a client has dialled stands among those it was told.
    fn rank(&self, stream: &TcpStream) -> usize {
        let dialled = stream
            .local_addr()
            .map(|address| address.ip().to_canonical());
        let dialled = dialled.map(|ip| ip.to_string()).unwrap_or_default();
        let rank = self.own.iter().position(|own| own.host == dialled);
        rank.unwrap_or(usize::MAX)
    }

    async fn open_relayed(
        mut self,
        proxy: Streamhost,
        promise: Promise,
    ) -> Result<Bytestream, ConnectError> {
        let stream = match self.connect_relayed(&proxy, promise).await {
            Ok(stream) => stream,
            Err(why) => return Err(self.stopped(Way::Proxy, why)),
        };
        self.socks5.proxies().worked(&self.plan.account, &proxy);
        if !self.own.is_empty() {
            let hosts: Vec<_> = self.own.iter().map(|own| own.host.as_str()).collect();
            let why = format!("the peer reached none of {}", hosts.join(", "));
            self.note(Way::Direct, &why);
        }
        Ok(open(stream, Way::Proxy, self.plan.kind).after(self.detours))
    }

    async fn connect_relayed(
        &self,
        proxy: &Streamhost,
        mut promise: Promise,
    ) -> Result<TcpStream, ConnectError> {
        let errand = Errand {
            kind: self.plan.kind,
            destination: self.destination,
            deadline: Instant::now() + PROXY,
        };
        let candidate = Candidate::own_proxy(proxy.clone());
        let dialled = dial(&candidate, errand, PROXY, self.socks5.queues()).await;
        promise.keep();
        let proxies = self.socks5.proxies();
        if dialled.is_err() {
            proxies.failed(&self.plan.account, proxy);
        }
        let mut stream = dialled.map_err(|why| {
            ConnectError::Unreachable(format!("the proxy {}: {}", proxy.jid, why.why))
        })?;
        let Plan {
            stream: id,
            peer,
            stanzas,
            ..
        } = &self.plan;
        let activated = activate(&proxy.jid, id, peer, stanzas).await;
        activated.map_err(|why| match why {
            AskError::Gone(gone) => ConnectError::Gone(gone),
            why => {
                // That it refuses may be the peer's doing, who has to be there first.
                if matches!(why, AskError::TimedOut) {
                    proxies.failed(&self.plan.account, proxy);
                }
                ConnectError::Unreachable(format!("the proxy {}: {why}", proxy.jid))
            }
        })?;
        // The peer learns from it that the proxy is active.
        let said = self.say_secret(&mut stream).await;
        said.map_err(|why| broke(&why))?;
        Ok(stream)
    }

    async fn say_secret(&self, stream: &mut TcpStream) -> io::Result<()> {
        match &self.secret {
            Some(secret) => stream.write_all(secret.as_bytes()).await,
            None => Ok(()),
        }
    }

    fn stopped(mut self, way: Way, why: ConnectError) -> ConnectError {
        if !why.may_fall_back() {
            return why;
        }
        let transport = way.label();
        self.detours.push(Tried {
            transport,
            reason: why,
        });
        ConnectError::Exhausted(self.detours)
    }
}

#[async_trait]
impl Attempt for Requester {
    async fn connect(
        self: Box<Self>,
        _remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let mut promise = self.ask(wire).await?;
        let answer = match promise.answer().await {
            Ok(answer) => answer,
            Err(AskError::Gone(gone)) => return Err(gone.into()),
            Err(why) => return Err(self.refused(&why)),
        };
        let used = answer.as_ref().map(Used::read);
        let Some(Ok(Used { jid })) = used else {
            let why = "the peer does not say which host it used";
            return Err(self.stopped(Way::Direct, ConnectError::Protocol(why.to_owned())));
        };
        debug!(%jid, "the peer has connected");
        if jid == self.plan.local {
            return self.open_direct().await;
        }
        match self.proxies.iter().find(|proxy| proxy.jid == jid).cloned() {
            Some(proxy) => self.open_relayed(proxy, promise).await,
            None => {
                let why = format!("the peer used {jid}, of which it was not told");
                Err(self.stopped(Way::Proxy, ConnectError::Protocol(why)))
            }
        }
    }
}

fn broke(why: &io::Error) -> ConnectError {
    ConnectError::Unreachable(format!("the connection broke at once: {why}"))
}

/// What the peer is to ask hosts for. A proxy is activated by the account itself, also in a room.
fn destination(plan: &Plan) -> Destination {
    Destination::new(&plan.stream, &plan.account, &plan.peer)
}

/// The addresses worth telling: all to our own kind, which races them; to others, which take them
/// in turn, three, and of each family at least one.
fn few(addresses: Vec<IpAddr>, kind: Kind) -> Vec<IpAddr> {
    if kind == Kind::Ours {
        return addresses.into_iter().take(MANY).collect();
    }
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let spare = FEW.saturating_sub(v4.len()).max(1);
    v6.into_iter().take(spare).chain(v4).take(FEW).collect()
}

/// Addresses told to our own kind.
const MANY: usize = 8;

/// Addresses told to others.
const FEW: usize = 3;

/// For our own kind to answer. It takes five seconds, and where there is no other transport up to 26, if its
/// user did not say otherwise.
const OURS: Duration = Duration::from_secs(30);

/// For others to answer, apart from each host's share.
const OTHERS: Duration = Duration::from_secs(35);

/// What a Gabble takes for a host that does not answer.
const PER_HOST: Duration = Duration::from_secs(10);

/// For a proxy to take a connection, handshake included.
const PROXY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use super::*;

    #[test]
    fn others_are_told_three_addresses_of_both_families() {
        let addresses = |all: &[&str]| -> Vec<IpAddr> {
            all.iter().map(|address| address.parse().unwrap()).collect()
        };
        let many = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"]);
        let told = addresses(&["2001:db8::1", "2001:db8::2", "192.0.2.1"]);
        assert_eq!(few(many.clone(), Kind::Other), told);
        assert_eq!(few(many.clone(), Kind::Ours), many);
        let v4 = addresses(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        let told = addresses(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
        assert_eq!(few(v4, Kind::Other), told);
    }
}
