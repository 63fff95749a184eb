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

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::SRV;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn server(priority: u16, weight: u16, host: &str) -> Server {
        Server {
            priority,
            weight,
            port: PORT,
            host: host.to_owned(),
        }
    }

    fn offered(hosts: &[&str]) -> Answer {
        Answer::Offered(hosts.iter().map(|host| server(0, 0, host)).collect())
    }

    fn hosts(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| &*target.host).collect()
    }

    fn account() -> Account {
        Account::new("alice@tubes.test".parse().unwrap(), "secret").unwrap()
    }

    proptest! {
        #[test]
        fn orders_every_server_once_and_by_priority(
            entries in vec((0..4u16, any::<u16>()), 0..12),
            draws in vec(any::<u32>(), 12),
        ) {
            let servers: Vec<_> = entries
                .iter()
                .enumerate()
                .map(|(i, &(priority, weight))| (server(priority, weight, &i.to_string()), Tls::Direct))
                .collect();
            let mut draws = draws.into_iter();
            let targets = order(servers, |most| draws.next().unwrap() % (most + 1));
            let index = |target: &Target| target.host.parse::<usize>().unwrap();
            prop_assert!(targets.is_sorted_by_key(|target| entries[index(target)].0));
            let mut all: Vec<_> = targets.iter().map(index).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..entries.len()).collect::<Vec<_>>());
        }

        #[test]
        fn draws_in_proportion_to_the_weights(weights in vec(0..50u16, 1..6)) {
            let sum: u32 = weights.iter().map(|&weight| u32::from(weight)).sum();
            let mut first = vec![0u32; weights.len()];
            for drawn in 0..=sum {
                let servers = weights.iter().enumerate();
                let servers = servers.map(|(i, &weight)| (server(0, weight, &i.to_string()), Tls::Direct));
                let targets = order(servers.collect(), |most| drawn.min(most));
                first[targets[0].host.parse::<usize>().unwrap()] += 1;
            }
            // A zero goes to one of those without a weight, if there are any: RFC 2782's
            // "very small chance".
            for (&count, &weight) in first.iter().zip(&weights) {
                prop_assert!(count == u32::from(weight) || count == u32::from(weight) + 1);
            }
        }
    }

    #[test]
    fn takes_both_sets_of_records_for_one_list() {
        let direct = Answer::Offered(vec![server(1, 0, "a"), server(3, 0, "c")]);
        let plain = Answer::Offered(vec![server(2, 0, "b")]);
        let targets = merge("tubes.test", None, direct, plain, |_| 0).unwrap();
        assert_eq!(hosts(&targets), ["a", "b", "c"]);
        let tls: Vec<_> = targets.iter().map(|target| target.tls).collect();
        assert_eq!(tls, [Tls::Direct, Tls::StartTls, Tls::Direct]);
    }

    #[test]
    fn goes_to_the_domain_itself_where_dns_says_nothing() {
        let targets = merge("tubes.test", None, Answer::Nothing, Answer::Nothing, |_| 0);
        let expected = Target {
            host: "tubes.test".to_owned(),
            port: 5222,
            tls: Tls::StartTls,
        };
        assert_eq!(targets.unwrap(), [expected]);
    }

    #[test]
    fn goes_to_the_other_port_for_direct_tls() {
        let tls = Some(Tls::Direct);
        let targets = merge("tubes.test", tls, Answer::Nothing, Answer::Nothing, |_| 0).unwrap();
        assert_eq!((targets[0].port, targets[0].tls), (5223, Tls::Direct));
    }

    #[test]
    fn believes_a_domain_that_has_no_accounts() {
        let plain = Answer::NotOffered;
        let error = merge("tubes.test", None, Answer::Nothing, plain, |_| 0).unwrap_err();
        assert!(matches!(error, LoginFailure::NotOffered { .. }), "{error}");
    }

    #[test]
    fn needs_no_direct_tls() {
        let targets = merge(
            "tubes.test",
            None,
            Answer::NotOffered,
            offered(&["a"]),
            |_| 0,
        );
        assert_eq!(hosts(&targets.unwrap()), ["a"]);
        let targets = merge(
            "tubes.test",
            None,
            Answer::NotOffered,
            Answer::Nothing,
            |_| 0,
        );
        assert_eq!(hosts(&targets.unwrap()), ["tubes.test"]);
    }

    #[test]
    fn reads_a_target_of_nothing_as_no_service() {
        let record = |target: &str| {
            let target = Name::from_ascii(target).unwrap();
            RData::SRV(SRV::new(5, 0, PORT, target))
        };
        assert_eq!(read([record(".")].iter()), Answer::NotOffered);
        assert_eq!(read([].iter()), Answer::Nothing);
        let both = [record("."), record("xmpp.tubes.test.")];
        let expected = Answer::Offered(vec![server(5, 0, "xmpp.tubes.test")]);
        assert_eq!(read(both.iter()), expected);
    }

    #[test]
    fn reads_only_so_many_records() {
        let target = Name::from_ascii("xmpp.tubes.test.").unwrap();
        let records = vec![RData::SRV(SRV::new(0, 0, PORT, target)); 1000];
        let Answer::Offered(servers) = read(records.iter()) else {
            panic!("nothing is offered");
        };
        assert_eq!(servers.len(), MOST_SERVERS);
    }

    #[tokio::test]
    async fn asks_nobody_for_a_server_that_is_named() {
        let account = account().with_server("[::1]", 15222).unwrap();
        let targets = targets(&account, "tubes.test").await.unwrap();
        let expected = Target {
            host: "::1".to_owned(),
            port: 15222,
            tls: Tls::StartTls,
        };
        assert_eq!(targets, [expected]);
    }

    #[tokio::test]
    async fn asks_nobody_for_a_domain_that_is_an_address() {
        for domain in ["127.0.0.1", "::1"] {
            let targets = targets(&account(), domain).await.unwrap();
            let addresses = targets[0].resolve().await.unwrap();
            assert_eq!(addresses, [SocketAddr::new(domain.parse().unwrap(), 5222)]);
        }
    }
}
