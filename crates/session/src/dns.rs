//! Where the server of a domain is (RFC 6120 §3.2, XEP-0368).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use rand::RngExt;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::debug;

use crate::account::{Account, Tls};
use crate::login_error::LoginFailure;

/// A server that may know the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
}

impl Target {
    /// The addresses, in the order of the system's resolver, which knows `/etc/hosts` and what
    /// this machine can reach. Done within 5 s.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>, LoginFailure> {
        let unknown = |why: String| {
            let host = self.host.clone();
            LoginFailure::HostUnknown { host, why }
        };
        match timeout(LOOK_UP, lookup_host((&*self.host, self.port))).await {
            Ok(Ok(addresses)) => {
                let addresses: Vec<_> = addresses.collect();
                if addresses.is_empty() {
                    return Err(unknown("it has no address".to_owned()));
                }
                Ok(addresses)
            }
            Ok(Err(why)) => Err(unknown(why.to_string())),
            Err(_) => Err(unknown("no answer from the resolver".to_owned())),
        }
    }
}

/// The servers of the account in the order in which they are to be tried. Done within 5 s.
pub(crate) async fn targets(account: &Account, domain: &str) -> Result<Vec<Target>, LoginFailure> {
    let tls = account.tls();
    if let Some((host, port)) = account.server() {
        return Ok(vec![Target {
            host: host.to_owned(),
            port,
            tls: tls.unwrap_or(Tls::StartTls),
        }]);
    }
    if domain.parse::<IpAddr>().is_ok() {
        return Ok(vec![at_domain(domain, tls)]);
    }
    let (direct, plain) = match tls {
        None => tokio::join!(look_up(DIRECT, domain), look_up(PLAIN, domain)),
        Some(Tls::Direct) => (look_up(DIRECT, domain).await, Answer::Nothing),
        Some(Tls::None | Tls::StartTls) => (Answer::Nothing, look_up(PLAIN, domain).await),
    };
    merge(domain, tls, direct, plain, |most| {
        rand::rng().random_range(0..=most)
    })
}

/// What DNS says of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// No record, or no answer.
    Nothing,
    /// The service is decidedly not there: the target is the root.
    NotOffered,
    /// These serve it.
    Offered(Vec<Server>),
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    priority: u16,
    weight: u16,
    port: u16,
    host: String,
}

/// XEP-0368 §3: both sets of records are one list.
fn merge(
    domain: &str,
    tls: Option<Tls>,
    direct: Answer,
    plain: Answer,
    random: impl FnMut(u32) -> u32,
) -> Result<Vec<Target>, LoginFailure> {
    // What decides that there is no service is the older of the two records, unless only the
    // other one was wanted.
    let refused = match tls {
        Some(Tls::Direct) => direct == Answer::NotOffered,
        _ => plain == Answer::NotOffered,
    };
    let unencrypted = match tls {
        Some(Tls::None) => Tls::None,
        _ => Tls::StartTls,
    };
    let mut servers = Vec::new();
    for (answer, tls) in [(direct, Tls::Direct), (plain, unencrypted)] {
        if let Answer::Offered(offered) = answer {
            servers.extend(offered.into_iter().map(|server| (server, tls)));
        }
    }
    if !servers.is_empty() {
        return Ok(order(servers, random));
    }
    if refused {
        let domain = domain.to_owned();
        return Err(LoginFailure::NotOffered { domain });
    }
    Ok(vec![at_domain(domain, tls)])
}

/// The order of RFC 2782: by priority, and by chance within one, in proportion to the weights.
///
/// `random(most)` is a number from 0 to `most`, both included.
fn order(mut servers: Vec<(Server, Tls)>, mut random: impl FnMut(u32) -> u32) -> Vec<Target> {
    // Those without a weight come first, so that they are drawn by a zero only.
    servers.sort_by_key(|(server, _)| (server.priority, server.weight));
    let mut targets = Vec::new();
    while let Some((first, _)) = servers.first() {
        let priority = first.priority;
        let rivals = servers
            .iter()
            .take_while(|(server, _)| server.priority == priority);
        let sum = rivals.map(|(server, _)| u32::from(server.weight)).sum();
        let drawn = random(sum);
        let mut running = 0;
        let chosen = servers.iter().position(|(server, _)| {
            running += u32::from(server.weight);
            running >= drawn
        });
        let (server, tls) = servers.remove(chosen.unwrap_or(0));
        targets.push(Target {
            host: server.host,
            port: server.port,
            tls,
        });
    }
    targets
}

/// Where a server is that DNS says nothing of (RFC 6120 §3.2.2).
fn at_domain(domain: &str, tls: Option<Tls>) -> Target {
    let tls = tls.unwrap_or(Tls::StartTls);
    Target {
        host: domain.to_owned(),
        port: match tls {
            Tls::Direct => DIRECT_PORT,
            Tls::None | Tls::StartTls => PORT,
        },
        tls,
    }
}

/// Asks for one kind of record. A failure is no reason to give up: many a network answers
/// questions for addresses only.
async fn look_up(service: &str, domain: &str) -> Answer {
    let name = format!("{service}.{domain}.");
    let answer = timeout(LOOK_UP, async {
        let resolver = TokioResolver::builder_tokio()?.build()?;
        resolver.lookup(&*name, RecordType::SRV).await
    });
    match answer.await {
        Ok(Ok(lookup)) => read(lookup.answers().iter().map(|record| &record.data)),
        Ok(Err(why)) => {
            debug!(%name, %why, "no service record");
            Answer::Nothing
        }
        Err(_) => {
            debug!(%name, "no answer from the resolver");
            Answer::Nothing
        }
    }
}

fn read<'a>(records: impl Iterator<Item = &'a RData>) -> Answer {
    let mut answer = Answer::Nothing;
    for record in records {
        let RData::SRV(srv) = record else { continue };
        if srv.target.is_root() {
            if answer == Answer::Nothing {
                answer = Answer::NotOffered;
            }
            continue;
        }
        let host = srv.target.to_ascii();
        let server = Server {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: host.trim_end_matches('.').to_owned(),
        };
        match &mut answer {
            Answer::Offered(servers) if servers.len() < MOST_SERVERS => servers.push(server),
            Answer::Offered(_) => {}
            _ => answer = Answer::Offered(vec![server]),
        }
    }
    answer
}

/// A resolver that answers later is as good as none.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Servers of one kind that are considered; a domain with more has no need of them all.
const MOST_SERVERS: usize = 16;

const PLAIN: &str = "_xmpp-client._tcp";
const PORT: u16 = 5222;

// XEP-0368 §3.
const DIRECT: &str = "_xmpps-client._tcp";
const DIRECT_PORT: u16 = 5223;
