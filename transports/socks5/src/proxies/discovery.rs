//! Finds the proxies of a server (XEP-0065 §4).

use std::time::Duration;

use futures_util::future::join_all;
use tracing::debug;
use tubes_transport::{AskError, Patience, Question, Stanzas};
use xmpp_parsers::disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;

use crate::Streamhost;
use crate::element::{address_question, streamhosts};

/// Asks the account's server for its proxies, and all proxies where they listen.
///
/// What does not answer is left out: a server without proxies is an ordinary one.
pub(super) async fn discover(
    account: &FullJid,
    named: &[Jid],
    stanzas: &Stanzas,
) -> Vec<Streamhost> {
    let mut proxies = named.to_vec();
    for proxy in of_server(account, stanzas).await {
        if !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
    }
    let asked = proxies.iter().map(|proxy| address(proxy, stanzas));
    let found: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    debug!(proxies = found.len(), "looked for proxies");
    found
}

async fn of_server(account: &FullJid, stanzas: &Stanzas) -> Vec<Jid> {
    let server = Jid::from(BareJid::from_parts(None, account.domain()));
    let question = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let items = match ask(stanzas, &server, question.into()).await {
        Ok(Some(answer)) => DiscoItemsResult::try_from(answer).map_or(Vec::new(), |all| all.items),
        _ => return Vec::new(),
    };
    let services = items.into_iter().filter(|item| item.node.is_none());
    let looks = services.take(SERVICES).map(|item| async move {
        let is_proxy = is_proxy(&item.jid, stanzas).await;
        is_proxy.then_some(item.jid)
    });
    join_all(looks).await.into_iter().flatten().collect()
}

async fn is_proxy(service: &Jid, stanzas: &Stanzas) -> bool {
    let question = DiscoInfoQuery { node: None };
    let Ok(Some(answer)) = ask(stanzas, service, question.into()).await else {
        return false;
    };
    DiscoInfoResult::try_from(answer).is_ok_and(|info| {
        let mut identities = info.identities.iter();
        identities.any(|identity| identity.category == "proxy" && identity.type_ == "bytestreams")
    })
}

/// Where a proxy listens. One that serves this account at all says so.
async fn address(proxy: &Jid, stanzas: &Stanzas) -> Option<Streamhost> {
    let answer = ask(stanzas, proxy, address_question()).await.ok()??;
    // One of several nodes may add which it is; another's address is not its to give.
    streamhosts(&answer)
        .into_iter()
        .find(|host| host.jid.to_bare() == proxy.to_bare())
}

async fn ask(stanzas: &Stanzas, whom: &Jid, what: Element) -> Result<Option<Element>, AskError> {
    let patience = Patience::Within(ANSWER);
    let asked = stanzas.ask(Some(whom.clone()), Question::Get, what, patience);
    asked.await?.await
}

/// Services of a server that are looked at.
const SERVICES: usize = 32;

/// For a service of the own server to answer. A component that is down may not answer at all.
const ANSWER: Duration = Duration::from_secs(10);
