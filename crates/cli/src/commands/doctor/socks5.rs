//! Whether SOCKS5 bytestreams work: directly, from one login to the other, and through which proxies.

use tubes::Socks5;
use tubes::socks5::{KnownProxy, Reveal, Verdict, Way};
use tubes::transport::Transport;

use super::stream::{Carried, carry};
use super::{Client, Finding};

/// Connects one login to the other, under the addresses that contacts are told.
pub(super) async fn direct(sender: &Client, receiver: &Client, socks5: &Socks5) -> Finding {
    if !socks5.allows(Way::Direct) {
        return Finding::Fine(NOT_USED.to_owned());
    }
    if *socks5.reveal() == Reveal::ToNobody {
        return Finding::Fine(
            "none: contacts are not told the addresses of this machine".to_owned(),
        );
    }
    let told: Vec<_> = socks5.told_addresses();
    if told.is_empty() {
        return Finding::Poor("none possible: this machine has no address".to_owned());
    }
    let told = told.join(", ");
    let direct = socks5.clone().with_ways([Way::Direct]);
    match carry(&direct, sender, receiver).await {
        Ok(carried @ Carried::Intact { .. }) => {
            Finding::Fine(format!("contacts are told {told}; to itself {carried}"))
        }
        Ok(damaged) => Finding::Bad(format!("to itself at {told}, {damaged}")),
        Err(why) => Finding::Poor(format!("to itself at {told}, not possible: {why}")),
    }
}

/// Finds the proxies and tries each of them out.
pub(super) async fn proxies(client: &Client, socks5: &Socks5) -> Finding {
    if !socks5.allows(Way::Proxy) {
        return Finding::Fine(NOT_USED.to_owned());
    }
    let stanzas = client.tubes.stanzas().clone();
    socks5.explore(client.jid.clone(), stanzas).await;
    let known = socks5.known_proxies(&client.jid);
    if known.is_empty() {
        let why = "none: where no direct connection is possible, tubes are as slow as the server";
        return Finding::Poor(why.to_owned());
    }
    let all: Vec<_> = known.iter().map(describe).collect();
    let all = all.join("; ");
    match known.iter().any(|proxy| proxy.verdict == Verdict::Relays) {
        true => Finding::Fine(all),
        false => Finding::Poor(all),
    }
}

const NOT_USED: &str = "not used: --transports, or the configuration, leaves them out";

fn describe(proxy: &KnownProxy) -> String {
    let KnownProxy { host, verdict } = proxy;
    let (jid, port) = (&host.jid, host.port);
    let host = match host.host.contains(':') {
        true => format!("[{}]", host.host),
        false => host.host.clone(),
    };
    match verdict {
        Verdict::Withholds => format!(
            "{jid} at {host}:{port} withholds the end of a burst, so it is used only with contacts \
             that run tubes, too"
        ),
        verdict => format!("{jid} at {host}:{port} {verdict}"),
    }
}
