//! A proxy that is worse than those there are, or as bad.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tubes_socks5::handshake::{self, Server, Step};
use tubes_socks5::{Destination, NS, Streamhost};
use tubes_testkit::Hub;
use tubes_transport::{Ask, Inbound, StreamId};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

/// What becomes of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    Passed,
    /// What is past 4096 bytes of what was read at once waits until something follows, as in
    /// Prosody 0.12.
    Withheld,
}

/// A proxy whose requests arrive through a hub. It ends with this value, and so do all
/// connections through it.
pub(crate) struct Proxy {
    pub(crate) host: Streamhost,
    working: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn join(hub: &Hub, tail: Tail) -> Self {
        let jid = FullJid::new("proxy.tubes.example/flawed").unwrap();
        let _speaks_to_nobody = hub.join(jid.clone());
        let requests = hub.unclaimed(&jid);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Streamhost {
            jid: jid.into(),
            host: address.ip().to_string(),
            port: address.port(),
        };
        let working = tokio::spawn(work(listener, requests, host.clone(), tail));
        Self { host, working }
    }
}

impl Proxy {
    /// When this returns nobody listens, and all connections have ended.
    pub(crate) async fn end(mut self) {
        self.working.abort();
        assert!((&mut self.working).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.working.abort();
    }
}

async fn work(
    listener: TcpListener,
    mut requests: mpsc::Receiver<Inbound>,
    host: Streamhost,
    tail: Tail,
) {
    let mut waiting: HashMap<String, Vec<TcpStream>> = HashMap::new();
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            Ok((mut visitor, _)) = listener.accept() => {
                if let Some(destination) = receive(&mut visitor).await {
                    let waiting = waiting.entry(destination.to_string());
                    waiting.or_default().push(visitor);
                }
            }
            Some(Inbound::Ask(ask)) = requests.recv() => {
                if ask.payload().attr("sid").is_none() {
                    let hosts = Element::builder("query", NS).append(host.to_element());
                    ask.grant(Some(hosts.build()));
                    continue;
                }
                let parties = wanted(&ask).and_then(|wanted| waiting.remove(&wanted.to_string()));
                let Ok([one, other]) = <[_; 2]>::try_from(parties.unwrap_or_default()) else {
                    ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
                    continue;
                };
                ask.grant(None);
                let (one, other) = (tokio::io::split(one), tokio::io::split(other));
                relays.spawn(async move {
                    tokio::select! {
                        () = relay(one.0, other.1, tail) => {}
                        () = relay(other.0, one.1, tail) => {}
                    }
                });
            }
        }
    }
}

async fn receive(visitor: &mut TcpStream) -> Option<Destination> {
    let (mut server, mut heard) = (Server::default(), Vec::new());
    loop {
        match server.step(&heard).ok()? {
            Step::Done(destination) => {
                let granted = handshake::granted(destination);
                visitor.write_all(&granted).await.ok()?;
                return Some(destination);
            }
            Step::Exchange { say, hear } => {
                visitor.write_all(&say).await.ok()?;
                heard.resize(hear, 0);
                visitor.read_exact(&mut heard).await.ok()?;
            }
        }
    }
}

/// What is to be activated.
fn wanted(ask: &Ask) -> Option<Destination> {
    let query = ask.payload();
    let stream = StreamId::from(query.attr("sid")?);
    let responder = query.get_child("activate", NS)?.text();
    let requester = ask.from().clone().try_into_full().ok()?;
    let responder = FullJid::new(&responder).ok()?;
    Some(Destination::new(&stream, &requester, &responder))
}

async fn relay(mut from: ReadHalf<TcpStream>, mut to: WriteHalf<TcpStream>, tail: Tail) {
    let (mut buffer, mut withheld) = (vec![0; 8192], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let passed = match tail {
            Tail::Passed => read,
            Tail::Withheld => read.min(4096),
        };
        withheld.extend_from_slice(&buffer[..passed]);
        if to.write_all(&withheld).await.is_err() {
            return;
        }
        withheld = buffer[passed..read].to_vec();
    }
    // What follows the end is lost with the connection.
    let _ = to.write_all(&withheld).await;
}
