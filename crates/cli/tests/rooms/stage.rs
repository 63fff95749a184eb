//! A room, who has made it, and what is shared there.

use std::net::SocketAddr;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tubes::transport::{Patience, Question};
use tubes::{BareJid, Event, Events, FullJid, Tubes};
use tubes_server::{Server, ServerKind};

use crate::program::{Account, PATIENCE, Program, words};

/// A room, and who has made it and watches it.
pub(crate) struct Room {
    pub(crate) jid: String,
    pub(crate) server: &'static Server,
    host: Tubes,
    events: Events,
    _keys: TempDir,
}

impl Room {
    pub(crate) async fn new(kind: ServerKind) -> Option<Self> {
        if !kind.wanted().unwrap() {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let server = Server::shared(kind).await.unwrap();
        let made = server.fresh_account("host").await.unwrap();
        let address = server.address();
        let account = tubes::Account::new(made.jid.into(), made.password).unwrap();
        let account = account
            .with_server(&address.ip().to_string(), address.port())
            .unwrap()
            .with_roots_pem(server.ca().pem().as_bytes())
            .unwrap();
        let keys = TempDir::new().unwrap();
        let builder = Tubes::builder(account).keys_in(keys.path());
        let (host, events) = builder.start().await.unwrap();
        let room = Self {
            jid: format!("room-{}-{count}@{}", process::id(), server.rooms()),
            server,
            host,
            events,
            _keys: keys,
        };
        room.host.enter(room.occupant("host")).await.unwrap();
        Some(room)
    }

    /// Two accounts that have never met.
    pub(crate) async fn two(&self) -> (Account, Account) {
        let alice = Account::new(self.server, "alice").await;
        (alice, Account::new(self.server, "fernand").await)
    }

    pub(crate) fn occupant(&self, nick: &str) -> FullJid {
        let room: BareJid = self.jid.parse().unwrap();
        room.with_resource_str(nick).unwrap()
    }

    /// Offers an echo to all.
    pub(crate) async fn offer(&self, account: &Account, more: &[&str]) -> Program {
        let address = echo().await;
        let command = [
            "offer",
            &address,
            "--room",
            &self.jid,
            "--service",
            "x-echo",
        ];
        let command = [&command, &["--param", "n:uint=7"][..], more].concat();
        Program::start(&words(&account.with(&command)))
    }

    pub(crate) fn acceptance(&self, more: &[&str]) -> Vec<String> {
        let command = ["accept", "--room", &self.jid, "--service", "x-echo"];
        let command = [&command, &["--listen", "127.0.0.1:0"][..], more].concat();
        command.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn accept(&self, account: &Account, more: &[&str]) -> Program {
        let command = self.acceptance(more);
        Program::start(&words(&account.with(&words(&command))))
    }

    pub(crate) async fn protect(&self, password: &str) {
        self.configure(&[
            ("muc#roomconfig_passwordprotectedroom", "1"),
            ("muc#roomconfig_roomsecret", password),
        ])
        .await;
    }

    /// Sets these fields of the room's form.
    pub(crate) async fn configure(&self, fields: &[(&str, &str)]) {
        let form = ("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig");
        let fields: String = [&[form], fields]
            .concat()
            .into_iter()
            .map(|(name, value)| format!("<field var='{name}'><value>{value}</value></field>"))
            .collect();
        self.command(&format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'>{fields}</x></query>"
        ))
        .await;
    }

    pub(crate) async fn kick(&self, nick: &str) {
        self.administer(&format!(
            "<item nick='{nick}' role='none'><reason>enough</reason></item>"
        ))
        .await;
    }

    pub(crate) async fn administer(&self, item: &str) {
        self.command(&format!(
            "<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>"
        ))
        .await;
    }

    pub(crate) async fn destroy(&self) {
        self.command("<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>")
            .await;
    }

    /// What only those may who have made the room.
    pub(crate) async fn command(&self, what: &str) {
        let room: BareJid = self.jid.parse().unwrap();
        let (room, what) = (Some(room.into()), what.parse().unwrap());
        let stanzas = self.host.stanzas();
        let asked = stanzas.ask(room, Question::Set, what, Patience::default());
        let answer = timeout(PATIENCE, async { asked.await.unwrap().await });
        answer.await.expect("the room answers").unwrap();
    }

    /// Waits until the host hears this.
    pub(crate) async fn hears(&mut self, wanted: impl Fn(&Event) -> bool) {
        loop {
            let event = timeout(PATIENCE, self.events.next()).await;
            let event = event.expect("the host hears it").unwrap();
            if wanted(&event) {
                return;
            }
        }
    }
}

/// A service that says everything back.
pub(crate) async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = socket.split();
                // The other side may break it off.
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    format!("tcp:{address}")
}

/// Where programs find the tube, from a `listening` event.
pub(crate) fn address(listening: &Value) -> SocketAddr {
    let address = listening["address"].as_str().unwrap();
    address.strip_prefix("tcp:").unwrap().parse().unwrap()
}

/// What a program gets back for these bytes.
pub(crate) async fn ask(tube: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(tube).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let read = socket.read_to_end(&mut reply);
    timeout(PATIENCE, read).await.expect("a reply").unwrap();
    reply
}

/// An event without its time.
pub(crate) fn bare(event: &Value) -> Value {
    let mut event = event.clone();
    event.as_object_mut().unwrap().remove("time");
    event
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
