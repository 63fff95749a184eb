//! Finds the proxies of a server (XEP-0065 §4).

use std::time::Duration;

use futures_util::future::{join, join_all};
use tracing::debug;
use tubes_transport::{AskError, Patience, Question, Stanzas};
use xmpp_parsers::disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;

use crate::Streamhost;
use crate::element::{address_question, streamhosts};

/// What a search came to.
pub(super) struct Search {
    /// The proxies that said where they listen.
    pub(super) found: Vec<Streamhost>,
    /// Whether somebody did not answer in time, so that there may be more.
    pub(super) unanswered: bool,
}

/// Asks the account's server for its proxies, and all proxies where they listen; tells of each as soon as
/// it has answered, because others may take their time.
///
/// What refuses to answer is left out: a server without proxies is an ordinary one.
pub(super) async fn discover(
    account: &FullJid,
    named: &[Jid],
    stanzas: &Stanzas,
    tell: impl Fn(&Streamhost),
) -> Search {
    let heard = async |proxy: &Jid| {
        let host = address(proxy, stanzas).await?;
        host.iter().for_each(&tell);
        Ok(host)
    };
    let of_server = async {
        let Ok(services) = services(account, stanzas).await else {
            return vec![Err(Unanswered)];
        };
        let further = services.iter().filter(|service| !named.contains(service));
        let looks = further.map(async |service| match is_proxy(service, stanzas).await? {
            true => heard(service).await,
            false => Ok(None),
        });
        join_all(looks).await
    };
    let (named, of_server) = join(join_all(named.iter().map(heard)), of_server).await;
    let (mut found, mut unanswered) = (Vec::new(), false);
    for address in named.into_iter().chain(of_server) {
        match address {
            Ok(host) => found.extend(host),
            Err(Unanswered) => unanswered = true,
        }
    }
    debug!(proxies = found.len(), unanswered, "looked for proxies");
    Search { found, unanswered }
}

/// A question was not answered in time.
struct Unanswered;

/// What there is at the account's server, without duplicates.
async fn services(account: &FullJid, stanzas: &Stanzas) -> Result<Vec<Jid>, Unanswered> {
    let server = Jid::from(BareJid::from_parts(None, account.domain()));
    let question = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let Some(answer) = ask(stanzas, &server, question.into()).await? else {
        return Ok(Vec::new());
    };
    let items = DiscoItemsResult::try_from(answer).map_or(Vec::new(), |all| all.items);
    let mut services = Vec::new();
    for item in items.into_iter().filter(|item| item.node.is_none()) {
        if services.len() < SERVICES && !services.contains(&item.jid) {
            services.push(item.jid);
        }
    }
    Ok(services)
}

async fn is_proxy(service: &Jid, stanzas: &Stanzas) -> Result<bool, Unanswered> {
    let question = DiscoInfoQuery { node: None };
    let Some(answer) = ask(stanzas, service, question.into()).await? else {
        return Ok(false);
    };
    Ok(DiscoInfoResult::try_from(answer).is_ok_and(|info| {
        let mut identities = info.identities.iter();
        identities.any(|identity| identity.category == "proxy" && identity.type_ == "bytestreams")
    }))
}

/// Where a proxy listens. One that serves this account at all says so.
async fn address(proxy: &Jid, stanzas: &Stanzas) -> Result<Option<Streamhost>, Unanswered> {
    let Some(answer) = ask(stanzas, proxy, address_question()).await? else {
        return Ok(None);
    };
    // One of several nodes may add which it is; another's address is not its to give.
    Ok(streamhosts(&answer)
        .into_iter()
        .find(|host| host.jid.to_bare() == proxy.to_bare()))
}

/// What somebody has to say; nothing if it refuses to.
async fn ask(stanzas: &Stanzas, whom: &Jid, what: Element) -> Result<Option<Element>, Unanswered> {
    let patience = Patience::Within(ANSWER);
    let asked = stanzas.ask(Some(whom.clone()), Question::Get, what, patience);
    let answer = asked.await.map_err(|_| Unanswered)?.await;
    match answer {
        Ok(answer) => Ok(answer),
        Err(AskError::Refused(_)) => Ok(None),
        Err(_) => Err(Unanswered),
    }
}

/// Services of a server that are looked at.
const SERVICES: usize = 32;

/// For a service of the own server to answer. A component that is down may not answer at all.
const ANSWER: Duration = Duration::from_secs(10);
