//! The side that dials.

use std::io;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::debug;
use tubes_transport::{Ask, Attempt, Bytestream, ConnectError, Inbound, Kind, Plan, Tried, Wire};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::{is_in_room, open};
use crate::config::LastResort;
use crate::dial::{Candidate, Errand, Inward, Reply, dial_any, tried};
use crate::element::NS;
use crate::proxies::Roll;
use crate::{Destination, Query, Secret, Socks5, Streamhost, Used, Way, own, parting};

/// One try, at the side that was asked for the bytestream.
pub(crate) struct Responder {
    socks5: Socks5,
    plan: Plan,
}

#[async_trait]
impl Attempt for Responder {
    async fn connect(
        self: Box<Self>,
        _remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let begun = timeout(DEADLINE, self.heard(wire)).await;
        let (ask, query) =
            begun.map_err(|_| ConnectError::TimedOut("waiting for the peer's hosts"))??;
        let secret = match self.plan.kind {
            Kind::Ours => query.secret,
            Kind::Other => None,
        };
        let reached = tokio::select! {
            biased;
            turned = self.turned(wire) => return Err(turned),
            reached = self.reach(query) => reached,
        };
        match reached {
            Ok(reply) => {
                let jid = reply.candidate.host.jid.clone();
                // The peer uses the connection from this answer on. Should this side never do so, that
                // must not look like an end of what was said.
                if reply.candidate.way == Way::Direct {
                    parting::reset_when_closed(&reply.stream);
                }
                ask.grant(Some(Used { jid }.to_element()));
                self.open(reply, secret, wire).await
            }
            Err(tried) => {
                ask.refuse(self.not_found(&tried));
                Err(ConnectError::Exhausted(tried))
            }
        }
    }
}

impl Responder {
    pub(crate) fn new(socks5: Socks5, plan: Plan) -> Self {
        Self { socks5, plan }
    }

    /// The peer's hosts. What belongs to another transport stays where it is.
    async fn heard(&self, wire: &mut Wire) -> Result<(Ask, Query), ConnectError> {
        loop {
            if !wire.peek().await?.payload().has_ns(NS) {
                return Err(turned());
            }
            let Inbound::Ask(ask) = wire.next().await? else {
                continue;
            };
            match Query::read(ask.payload()) {
                Ok(query) => return Ok((ask, query)),
                Err(why) => {
                    ask.refuse_with(ErrorType::Modify, DefinedCondition::BadRequest);
                    return Err(ConnectError::Protocol(why.to_string()));
                }
            }
        }
    }

    /// Waits until the peer has given this transport up, or is gone.
    async fn turned(&self, wire: &mut Wire) -> ConnectError {
        loop {
            match wire.peek().await {
                Err(gone) => return gone.into(),
                Ok(said) if !said.payload().has_ns(NS) => return turned(),
                Ok(_) => {}
            }
            // Once is enough.
            if let Ok(Inbound::Ask(ask)) = wire.next().await {
                ask.refuse_with(ErrorType::Cancel, DefinedCondition::NotAcceptable);
            }
        }
    }

    /// Dials what the peer told of, as far as that is allowed.
    async fn reach(&self, query: Query) -> Result<Reply, Vec<Tried>> {
        let is_foreign = |host: &&Streamhost| self.way(host) == Way::Proxy && !self.knows(host);
        let foreign: Vec<_> = query.streamhosts.iter().filter(is_foreign).collect();
        if !foreign.is_empty() {
            // Who has just come online does not know its own server's yet.
            let are_known = |roll: &Roll| foreign.iter().all(|host| roll.contains(host));
            // What can be dialled meanwhile does not wait for long.
            let resort = match foreign.len() == query.streamhosts.len() {
                true => self.socks5.last_resort,
                false => LastResort::No,
            };
            let (proxies, account) = (self.socks5.proxies(), &self.plan.account);
            proxies.settle(resort, account, are_known).await;
        }
        let mut refused = Vec::new();
        let mut candidates = Vec::new();
        let is_on_loopback = own::dials_loopback(self.socks5.loopback);
        for host in query.streamhosts {
            let way = self.way(&host);
            let inward = match is_on_loopback || self.knows(&host) {
                true => Inward::Allowed,
                false => Inward::Forbidden,
            };
            let candidate = Candidate { host, way, inward };
            match self.objection(&candidate) {
                None => candidates.push(candidate),
                Some(why) => refused.push((candidate, why.to_owned())),
            }
        }
        let errand = Errand {
            kind: self.plan.kind,
            destination: query.destination.unwrap_or_else(|| self.destination()),
            deadline: Instant::now() + self.socks5.budget(self.plan.kind),
        };
        let reached = match self.plan.kind {
            Kind::Ours => dial_any(&candidates, errand, self.socks5.queues()).await,
            Kind::Other => self.reach_others(candidates, errand).await,
        };
        match reached {
            Ok(mut reply) => {
                reply.failed.extend(refused);
                Ok(reply)
            }
            Err(mut failed) => {
                failed.extend(refused);
                match failed.is_empty() {
                    true => Err(vec![nothing_told()]),
                    false => Err(tried(&failed)),
                }
            }
        }
    }

    /// Others' proxies have to be tried out before they are used, as nothing could be done about
    /// what they withhold; so the direct hosts have their turn first.
    async fn reach_others(
        &self,
        candidates: Vec<Candidate>,
        errand: Errand,
    ) -> Result<Reply, Vec<(Candidate, String)>> {
        let (direct, proxies): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| candidate.way == Way::Direct);
        let half = Errand {
            deadline: Instant::now() + self.socks5.budget(Kind::Other).mul_f32(DIRECT_SHARE),
            ..errand
        };
        let of_direct = match proxies.is_empty() {
            true => errand,
            false => half,
        };
        let trials = join_all(proxies.into_iter().map(|proxy| async move {
            let is_fit = self.is_fit(&proxy, errand).await;
            (proxy, is_fit)
        }));
        let mut trials = pin!(trials);
        let mut tried_out = None;
        let mut dialling = pin!(dial_any(&direct, of_direct, self.socks5.queues()));
        let mut failed = loop {
            tokio::select! {
                biased;
                reached = &mut dialling => match reached {
                    Ok(reply) => return Ok(reply),
                    Err(failed) => break failed,
                },
                all = &mut trials, if tried_out.is_none() => tried_out = Some(all),
            }
        };
        let tried_out = match tried_out {
            Some(all) => all,
            None => trials.await,
        };
        let mut fit = Vec::new();
        for (proxy, is_fit) in tried_out {
            match is_fit {
                true => fit.push(proxy),
                false => failed.push((proxy, "not seen to pass everything on".to_owned())),
            }
        }
        match dial_any(&fit, errand, self.socks5.queues()).await {
            Ok(mut reply) => {
                reply.failed.splice(..0, failed);
                Ok(reply)
            }
            Err(of_proxies) => {
                failed.extend(of_proxies);
                Err(failed)
            }
        }
    }

    async fn is_fit(&self, proxy: &Candidate, errand: Errand) -> bool {
        if self.socks5.last_resort == LastResort::Yes {
            return true;
        }
        let (account, stanzas) = (&self.plan.account, &self.plan.stanzas);
        let proxies = self.socks5.proxies();
        let trying = proxies.is_fit(&self.socks5, proxy, account, stanzas);
        // Whoever is too slow to be tried out is too slow to be used.
        tokio::time::timeout_at(errand.deadline, trying)
            .await
            .unwrap_or(false)
    }

    fn way(&self, host: &Streamhost) -> Way {
        let is_peers = match is_in_room(&self.plan) {
            true => host.jid == self.plan.peer,
            false => host.jid.to_bare() == self.plan.peer.to_bare(),
        };
        match is_peers {
            true => Way::Direct,
            false => Way::Proxy,
        }
    }

    /// Why a host is not to be dialled.
    fn objection(&self, candidate: &Candidate) -> Option<&'static str> {
        let Candidate { host, way, .. } = candidate;
        if !self.socks5.allows(*way) {
            return Some("not allowed on this side");
        }
        if *way == Way::Proxy && is_in_room(&self.plan) && self.plan.kind == Kind::Other {
            return Some("only our own kind uses proxies in rooms");
        }
        if !self.socks5.has_room() {
            return Some("too few descriptors are left");
        }
        // Whoever is dialled learns this side's address: the peer could call anything a proxy.
        let is_safe = self.socks5.reveal.to(&self.plan.peer.to_bare())
            || *way == Way::Proxy && self.knows(host);
        (!is_safe).then_some("would reveal this machine's address")
    }

    /// Whether this side knows the host itself, and not from the peer alone.
    fn knows(&self, host: &Streamhost) -> bool {
        let proxies = self.socks5.proxies();
        proxies.knows(&self.socks5, &self.plan.account, host)
    }

    fn destination(&self) -> Destination {
        Destination::new(&self.plan.stream, &self.plan.peer, &self.plan.local)
    }

    async fn open(
        &self,
        reply: Reply,
        secret: Option<Secret>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let Reply {
            candidate,
            mut stream,
            failed,
        } = reply;
        let mut detours = tried(&failed);
        let silence = self.socks5.silence;
        let mut used = tokio::select! {
            biased;
            turned = self.turned(wire) => Err(turned),
            used = until_used(&mut stream, candidate.way, secret, silence) => used.map_err(|why| {
                ConnectError::Unreachable(format!("{}: {why}", candidate.host.jid))
            }),
        };
        if matches!(used, Err(ConnectError::Gone(_))) && secret.is_none() {
            // What it sent before it went may have come already, or take longer by the other way.
            if has_begun(&stream, silence).await {
                used = Ok(());
            }
        }
        if let Err(reason) = used {
            if !reason.may_fall_back() {
                return Err(reason);
            }
            let transport = candidate.way.label();
            let last = Tried { transport, reason };
            let all = detours.into_iter().chain([last]).collect();
            return Err(ConnectError::Exhausted(all));
        }
        // That other hosts of the same way failed is no detour.
        detours.retain(|tried| tried.transport != candidate.way.label());
        let opened = open(stream, candidate.way, self.plan.kind);
        debug!(label = opened.label(), "open");
        Ok(opened.after(detours))
    }

    /// XEP-0065's answer when no host was reached. Our own kind also learns why.
    fn not_found(&self, tried: &[Tried]) -> StanzaError {
        let mut text = "impossible to connect to any streamhost".to_owned();
        if self.plan.kind == Kind::Ours {
            let reasons: Vec<_> = tried.iter().map(|tried| tried.reason.to_string()).collect();
            if !reasons.is_empty() {
                text = reasons.join("; ");
            }
        }
        StanzaError::new(
            ErrorType::Cancel,
            DefinedCondition::ItemNotFound,
            "en",
            text,
        )
    }
}

/// Waits for a sign that the requester uses this connection, and none other: if it does not, it goes
/// on to another transport, and has to find this side listening.
///
/// Our own kind says its secret. Others say nothing, and may let this side speak first; so of them
/// silence has to do, and a direct connection is as good as used.
async fn until_used(
    stream: &mut TcpStream,
    way: Way,
    secret: Option<Secret>,
    silence: Duration,
) -> io::Result<()> {
    if let Some(secret) = secret {
        let mut first = [0; 16];
        let greeting = timeout(GREETING, stream.read_exact(&mut first)).await;
        greeting.map_err(|_| io::Error::other("the peer does not use the connection"))??;
        return match Secret::new(first) == secret {
            true => Ok(()),
            false => Err(io::Error::other("somebody else answers there")),
        };
    }
    if way == Way::Direct {
        return Ok(());
    }
    let mut byte = [0];
    match timeout(silence, stream.peek(&mut byte)).await {
        Ok(Ok(0)) => Err(io::Error::other("the proxy ended the connection")),
        Ok(peeked) => peeked.map(drop),
        Err(_) => Ok(()),
    }
}

/// Whether something comes, and soon.
async fn has_begun(stream: &TcpStream, silence: Duration) -> bool {
    let peeked = timeout(silence, stream.peek(&mut [0])).await;
    matches!(peeked, Ok(Ok(1)))
}

fn nothing_told() -> Tried {
    Tried {
        transport: NS,
        reason: ConnectError::Unreachable("the peer told of no host".to_owned()),
    }
}

fn turned() -> ConnectError {
    ConnectError::Protocol("the peer turned to another transport".to_owned())
}

/// Of the time for others' hosts, what the direct ones may take if there are proxies.
const DIRECT_SHARE: f32 = 0.6;

/// How long the peer may take until it tells its hosts.
const DEADLINE: Duration = Duration::from_secs(60);

/// From the choice of a host to the requester's first word there. It has to hear of the choice, which
/// a throttled server may keep for many seconds; at a proxy it then dials, with five seconds, and
/// asks the proxy, with five more.
const GREETING: Duration = Duration::from_secs(30);
