//! Finds ports for a server, and finds out when it is ready.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::BufStream,
    net::{TcpSocket, TcpStream},
    time,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, StreamHeader, Timeouts, XmppStream, XmppStreamElement, initiate_stream,
};
use xmpp_parsers::{jid::BareJid, ns, starttls};

use crate::{Ca, ServerKind, Setup, StartError, ca::provider, supervised::Supervised};

/// Starts a server on free ports, and again on others whenever somebody was quicker.
///
/// `start` is given the ports; its own first two are to be those for StartTLS and for direct
/// TLS.
pub(crate) async fn start<const N: usize>(
    kind: ServerKind,
    setup: &Setup,
    domain: &BareJid,
    ca: &Ca,
    start: impl Fn(Ports<N>) -> io::Result<Supervised>,
) -> Result<(Supervised, Ports<N>), StartError> {
    let probe = Probe::new(domain, ca)?;
    let deadline = time::Instant::now() + START;
    loop {
        let ports = Ports::free(setup).map_err(StartError::io("looking for free ports"))?;
        let server = start(ports).map_err(StartError::io("starting the server"))?;
        let addresses = ports.all();
        if probe.wait(kind, &server, &addresses, deadline).await? == Port::Ours {
            return Ok((server, ports));
        }
    }
}

/// Starts a server again that was killed, on the ports it had.
pub(crate) async fn restart(
    kind: ServerKind,
    domain: &BareJid,
    ca: &Ca,
    server: &mut Supervised,
    addresses: &[SocketAddr],
) -> Result<(), StartError> {
    let probe = Probe::new(domain, ca)?;
    let doing = "starting the server again";
    server.start_again().map_err(StartError::io(doing))?;
    let deadline = time::Instant::now() + START;
    match probe.wait(kind, server, addresses, deadline).await? {
        Port::Ours => Ok(()),
        Port::Taken => Err(StartError::io(doing)(io::ErrorKind::AddrInUse.into())),
    }
}

/// An encrypted connection to a server that is ready.
pub(crate) async fn encrypted(
    domain: &BareJid,
    ca: &Ca,
    address: SocketAddr,
) -> Result<TlsStream<TcpStream>, StartError> {
    let probe = Probe::new(domain, ca)?;
    let encrypted = async {
        let tcp = TcpStream::connect(address).await?;
        probe.secure(probe.ask_for_tls(tcp).await?).await
    };
    encrypted.await.map_err(StartError::io("asking for TLS"))
}

/// Keeps the ports of a killed server from being given to others: bound, and nobody listens.
/// All three servers can bind them nevertheless (`SO_REUSEADDR`).
pub(crate) fn keep(addresses: &[SocketAddr]) -> Vec<TcpSocket> {
    let keep = |address: &SocketAddr| {
        let keeper = TcpSocket::new_v4().ok()?;
        keeper.set_reuseaddr(true).ok()?;
        keeper.bind(*address).ok()?;
        Some(keeper)
    };
    // Whose port cannot be kept may still be lucky.
    addresses.iter().filter_map(keep).collect()
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports<const N: usize> {
    pub(crate) host: Ipv4Addr,
    /// Those that such a server always has.
    pub(crate) own: [u16; N],
    /// That of its proxy for bytestreams.
    pub(crate) proxy: Option<u16>,
}

impl<const N: usize> Ports<N> {
    /// Ports that nobody uses at the moment, and that differ from each other. A server binds them seconds
    /// later, so they are none of those that the kernel gives to whoever connects meanwhile.
    fn free(setup: &Setup) -> io::Result<Self> {
        let mut listeners = Vec::with_capacity(N + 1);
        let mut draw = || {
            let mut drawn = Err(io::ErrorKind::AddrInUse.into());
            for _ in 0..DRAWS {
                let port = any_of(DRAWN);
                drawn = TcpListener::bind((setup.host, port)).map(|listener| (port, listener));
                if drawn.is_ok() {
                    break;
                }
            }
            let (port, listener) = drawn?;
            listeners.push(listener);
            Ok::<_, io::Error>(port)
        };
        let mut own = [0; N];
        for port in &mut own {
            *port = draw()?;
        }
        let proxy = setup.proxy.then(draw).transpose()?;
        let host = setup.host;
        Ok(Self { host, own, proxy })
    }

    /// Where it waits on one of them.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.host, port).into()
    }

    pub(crate) fn all(&self) -> Vec<SocketAddr> {
        let ports = self.own.into_iter().chain(self.proxy);
        ports.map(|port| self.at(port)).collect()
    }
}

fn any_of(ports: Range<u16>) -> u16 {
    let chance = RandomState::new().hash_one(());
    let below = chance % u64::from(ports.end - ports.start);
    // It is less than a port.
    ports.start + u16::try_from(below).unwrap_or_default()
}

/// Ports that are neither well known nor given to whoever connects: Linux gives those from 32768 on.
const DRAWN: Range<u16> = 10_000..32_000;

/// How many of them are tried before it is told that they are taken.
const DRAWS: usize = 100;

#[derive(PartialEq)]
enum Port {
    Ours,
    Taken,
}

/// Whether somebody took a port between our looking and the server's listening.
fn collided(log: &str) -> bool {
    let log = log.to_ascii_lowercase();
    let said = |words: &str| log.contains(words);
    said("address already in use") || said("port is in use by") || said("eaddrinuse")
}

/// Only a TLS handshake with our own certificate proves that it is our server that answers.
struct Probe {
    domain: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Probe {
    fn new(domain: &BareJid, ca: &Ca) -> Result<Self, StartError> {
        let certificate = |why: rustls::Error| StartError::Certificate(why.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).map_err(certificate)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(certificate)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(domain.to_string())
            .map_err(|_| StartError::Domain(domain.to_string()))?;
        Ok(Self {
            domain: domain.to_string(),
            name,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Waits until the server is ready, or has found one of its ports taken.
    async fn wait(
        &self,
        kind: ServerKind,
        server: &Supervised,
        addresses: &[SocketAddr],
        deadline: time::Instant,
    ) -> Result<Port, StartError> {
        let mut pause = POLL;
        loop {
            let why = match time::timeout_at(deadline, self.is_ready(addresses)).await {
                // Prosody runs on without a port that it did not get. When it answers it has
                // tried all of them, and whoever has that port may answer as well.
                Ok(Ok(())) if collided(&server.log()) => return Ok(Port::Taken),
                Ok(Ok(())) => return Ok(Port::Ours),
                Ok(Err(why)) => why.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            let log = server.log();
            if server.has_ended() && !collided(&log) {
                return Err(StartError::Ended { kind, log });
            }
            if time::Instant::now() >= deadline {
                let log = format!("{log}\n({why})");
                let within = START;
                return Err(StartError::TimedOut { kind, within, log });
            }
            if collided(&log) {
                return Ok(Port::Taken);
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(POLL_AT_MOST);
        }
    }

    async fn is_ready(&self, addresses: &[SocketAddr]) -> io::Result<()> {
        for (index, address) in addresses.iter().enumerate() {
            let tcp = TcpStream::connect(address).await?;
            match index {
                0 => drop(self.secure(self.ask_for_tls(tcp).await?).await?),
                1 => drop(self.secure(tcp).await?),
                _ => {}
            }
        }
        Ok(())
    }

    async fn ask_for_tls(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        let header = StreamHeader {
            from: None,
            to: Some(self.domain.as_str().into()),
            id: None,
        };
        let io = BufStream::new(tcp);
        let stream = initiate_stream(io, ns::DEFAULT_NS, header, Timeouts::tight()).await?;
        let features = stream.recv_features().await.map_err(io::Error::other)?;
        let mut stream: XmppStream<_> = features.1;
        stream
            .send(&starttls::Nonza::Request(starttls::Request))
            .await?;
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Starttls(
                starttls::Nonza::Proceed(_),
            )))) => Ok(stream.into_inner().into_inner()),
            other => Err(io::Error::other(format!("no TLS: {other:?}"))),
        }
    }

    async fn secure(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.tls.connect(self.name.clone(), tcp).await
    }
}

/// How long a server may take to start: ejabberd needs a few seconds, and many times that on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(180);

/// How soon it is asked again whether it has started, at first.
const POLL: Duration = Duration::from_millis(20);

/// And later: each time leaves lines in the server's log.
const POLL_AT_MOST: Duration = Duration::from_millis(320);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn free_ports_differ_from_each_other() {
        let ports = Ports::<2>::free(&Setup::new().with_proxy()).unwrap();
        let ([a, b], Some(c)) = (ports.own, ports.proxy) else {
            unreachable!("a proxy has a port");
        };
        assert!(a != b && b != c && a != c);
        assert_eq!(ports.all(), [a, b, c].map(|port| ports.at(port)));
    }

    #[test]
    fn recognises_what_both_servers_say_of_a_taken_port() {
        assert!(collided(
            "Failed to open server port 5222: Address already in use"
        ));
        assert!(collided(
            "Failed to open server port 40000 on 127.0.0.1, this port is in use by another application"
        ));
        assert!(collided("Failed to open socket: eaddrinuse"));
        assert!(!collided("Activated service 'c2s'"));
    }
}
