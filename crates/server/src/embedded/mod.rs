//! An XMPP server inside this process: enough of RFC 6120 and RFC 6121 to try things on.
//!
//! - `login`, `sasl`, `scram`: TLS, authentication, binding
//! - `client`, `meter`, `outbox`: one connection, and what waits for it
//! - `hub`, `route`, `disco`: who is there, and where stanzas go
//! - `presence`, `subscription`, `roster`: who may see whom
//! - `rooms`: the room service that it offers (XEP-0045)
//! - `listeners`, `bytestreams`: where it listens, and the proxy that it offers (XEP-0065)
//!
//! Deliberately absent so far: stream management (XEP-0198), a store for messages to nobody, pre-approved subscriptions, privacy lists, other servers. A subscription
//! request is kept without what else was in its stanza.

mod bytestreams;
mod client;
mod disco;
mod hub;
mod listeners;
mod login;
mod meter;
mod outbox;
mod presence;
mod rooms;
mod roster;
mod route;
mod sasl;
mod scram;
mod subscription;

use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
    task::JoinSet,
    time,
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};
use xmpp_parsers::jid::BareJid;

use self::{
    bytestreams::Bytestreams,
    hub::Hub,
    listeners::{Addresses, Listeners},
    login::Door,
};
use crate::{AccountError, Proxy, Setup, StartError, ca::Identity};

/// The server, on a thread and a runtime of its own: a runtime of a test ends with the test.
#[derive(Debug)]
pub(crate) struct Embedded {
    door: Door,
    addresses: Addresses,
    running: Option<Running>,
}

impl Embedded {
    pub(crate) fn start(
        setup: &Setup,
        domain: &BareJid,
        rooms: &BareJid,
        identity: &Identity,
    ) -> Result<Self, StartError> {
        let door = Door {
            hub: Arc::new(Hub::new(domain.clone(), rooms.clone())),
            tls: TlsAcceptor::from(Arc::new(identity.tls()?)),
            plain: setup.plain,
            stanza_size: setup.stanza_size,
            encryption: setup.encryption,
        };
        let free = Addresses::free(setup, domain)?;
        let listeners = Listeners::bind(&free).map_err(StartError::io("listening"))?;
        let addresses = listeners.addresses().map_err(StartError::io("listening"))?;
        let running = Running::start(door.clone(), listeners)?;
        Ok(Self {
            door,
            addresses,
            running: Some(running),
        })
    }

    /// Ends all connections without a word. Accounts and rosters stay.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Stop::Kill);
            self.door.hub.forget_sessions();
        }
    }

    /// Listens again where it did before it was killed.
    pub(crate) fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        let listeners = Listeners::bind(&self.addresses).map_err(StartError::io("listening"))?;
        self.running = Some(Running::start(self.door.clone(), listeners)?);
        Ok(())
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.all()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.start_tls
    }

    pub(crate) fn direct_tls_address(&self) -> SocketAddr {
        self.addresses.direct_tls
    }

    pub(crate) fn proxy_address(&self) -> Option<SocketAddr> {
        Some(self.addresses.proxy.as_ref()?.1)
    }

    /// Forgets a room without a word to anybody, and says whether there was one.
    pub(crate) fn forget_room(&self, room: &BareJid) -> bool {
        self.door.hub.forget_room(room)
    }

    pub(crate) fn add_account(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        self.door.hub.add_account(jid, password)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Stop::ShutDown);
        }
    }
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<Stop>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(door: Door, listeners: Listeners) -> Result<Self, StartError> {
        let (stop, stopped) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::io("making a runtime"))?;
        let thread = std::thread::Builder::new()
            .name("xmpp-server".to_owned())
            .spawn(move || runtime.block_on(serve(door, listeners, stopped)))
            .map_err(StartError::io("starting a thread"))?;
        Ok(Self { stop, thread })
    }

    fn end(self, how: Stop) {
        // A thread that has ended already would have to have panicked, and has said so then.
        let _ = self.stop.send(how);
        let _ = self.thread.join();
    }
}

/// How the server ends.
#[derive(Debug)]
enum Stop {
    /// As if the process had been killed.
    Kill,
    /// Everybody is told.
    ShutDown,
}

/// Accepts clients until `stopped`; then sends all of them away, or drops them.
async fn serve(door: Door, listeners: Listeners, stopped: oneshot::Receiver<Stop>) {
    let (plain, tls) = match take_over(&door.hub, listeners) {
        Ok(listeners) => listeners,
        Err(why) => {
            warn!(%why, "the runtime refuses the listening sockets");
            return;
        }
    };
    let mut clients = JoinSet::new();
    tokio::pin!(stopped);
    let stop = loop {
        let room = clients.len() < CLIENTS;
        let (accepted, mode) = tokio::select! {
            stop = &mut stopped => break stop,
            Some(_) = clients.join_next() => continue,
            accepted = plain.accept(), if room => (accepted, Mode::StartTls),
            accepted = tls.accept(), if room => (accepted, Mode::Direct),
        };
        match accepted {
            Ok((tcp, _)) => {
                clients.spawn(client(door.clone(), tcp, mode));
            }
            Err(why) => {
                // Out of descriptors, most likely: there is no event for that being over.
                warn!(%why, "no connection accepted");
                time::sleep(RETRY).await;
            }
        }
    };
    if let Ok(Stop::Kill) = stop {
        return;
    }
    door.hub.shut_down();
    let all_gone = async { while clients.join_next().await.is_some() {} };
    if time::timeout(SHUTDOWN, all_gone).await.is_err() {
        debug!("clients were cut off");
    }
}

/// Takes the sockets over into the runtime, and offers the proxy on the third.
fn take_over(hub: &Hub, listeners: Listeners) -> io::Result<(TcpListener, TcpListener)> {
    if let Some((jid, listener)) = listeners.proxy {
        let proxy = Proxy::on(TcpListener::from_std(listener)?)?;
        hub.offer(Bytestreams::new(jid, proxy));
    }
    let plain = TcpListener::from_std(listeners.start_tls)?;
    let tls = TcpListener::from_std(listeners.direct_tls)?;
    Ok((plain, tls))
}

#[derive(Clone, Copy)]
enum Mode {
    Direct,
    StartTls,
}

async fn client(door: Door, tcp: TcpStream, mode: Mode) {
    let login = async {
        // Answers are small and awaited: 5,069 instead of 34 round trips a second.
        tcp.set_nodelay(true)?;
        match mode {
            Mode::Direct => door.log_in(tcp).await,
            Mode::StartTls => door.start_tls(tcp).await,
        }
    };
    match time::timeout(LOGIN, login).await {
        Ok(Ok((stream, me, outgoings))) => {
            debug!(jid = %me.jid, "client has logged in");
            client::serve(door.hub, stream, me, outgoings).await;
        }
        Ok(Err(why)) => debug!(%why, "client has not logged in"),
        Err(_) => debug!("client took too long to log in"),
    }
}

/// Connections at a time; more of them wait in the kernel.
const CLIENTS: usize = 1024;

/// How long a client may take from the first byte to a bound resource.
const LOGIN: Duration = Duration::from_secs(30);

/// How long to wait after the system refused to accept.
const RETRY: Duration = Duration::from_millis(100);

/// How long all clients together are given to take the end of their streams.
const SHUTDOWN: Duration = Duration::from_secs(2);
