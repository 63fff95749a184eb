//! A proxy that is joined to a hub.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::net::{Ipv4Addr, SocketAddr};

use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tubes_server::Proxy;
use tubes_socks5::{NS, Streamhost};
use tubes_testkit::Hub;
use tubes_transport::{Ask, Inbound};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

/// Starts a proxy whose requests arrive through the hub.
pub(crate) fn join(hub: &Hub) -> Streamhost {
    let jid = FullJid::new("proxy.tubes.example/relay").unwrap();
    let _speaks_to_nobody = hub.join(jid.clone());
    let mut requests = hub.unclaimed(&jid);
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let proxy = block_in_place(|| Handle::current().block_on(Proxy::start(anywhere))).unwrap();
    let address = proxy.address();
    tokio::spawn(async move {
        while let Some(inbound) = requests.recv().await {
            if let Inbound::Ask(ask) = inbound {
                answer(&proxy, ask);
            }
        }
        // What is active goes on without the session.
        std::future::pending::<()>().await;
    });
    Streamhost {
        jid: jid.into(),
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn answer(proxy: &Proxy, ask: Ask) {
    let query = ask.payload();
    let sid = query.attr("sid").unwrap_or_default();
    let target = query
        .get_child("activate", NS)
        .map(|activate| activate.text());
    let target = target.and_then(|target| Jid::new(&target).ok());
    let activated = target.is_some_and(|target| proxy.activate(sid, ask.from(), &target).is_ok());
    match activated {
        true => ask.grant(None),
        false => ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound),
    }
}
