//! Alice and Fernand.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use tokio::time::timeout;
use tubes::transport::Transport;
use tubes::{
    Account, BareJid, Builder, Direction, Encryption, Event, Events, Failure, FullJid, Socks5,
    StartError, TransportName, TubeId, Tubes,
};
use tubes_server::Server;
use tubes_testkit::Link;

use super::{PATIENCE, encryption, patiently, transport};

/// One of the two: an account with its handle and events.
pub(crate) struct Person {
    pub(crate) jid: BareJid,
    pub(crate) tubes: Tubes,
    events: Events,
    /// What happened and was not asked for yet.
    passed: VecDeque<Event>,
}

impl Person {
    /// Makes an account on the server and logs in.
    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let credentials = credentials(server, &account);
        Self::with(credentials).await.unwrap()
    }

    /// Logs in.
    pub(crate) async fn with(credentials: Account) -> Result<Self, StartError> {
        let jid = credentials.jid().to_bare();
        let builder = Tubes::builder(credentials)
            .transports([transport()])
            .encryption(encryption());
        Self::built(jid, builder).await
    }

    /// Makes an account on the server and logs in; takes files.
    pub(crate) async fn taking_files(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let builder = Tubes::builder(credentials(server, &account))
            .transports([transport()])
            .encryption(encryption())
            .receive_files();
        Self::built(account.jid, builder).await.unwrap()
    }

    /// Makes an account on the server and logs in; takes files, by a transport of its own.
    pub(crate) async fn taking_files_by(
        server: &Server,
        name: &str,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let builder = Tubes::builder(credentials(server, &account))
            .ladder([transport])
            .encryption(encryption())
            .receive_files();
        Self::built(account.jid, builder).await.unwrap()
    }

    /// Makes an account on the server and logs in; deals also with who does not encrypt.
    pub(crate) async fn lenient(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let builder = Tubes::builder(credentials(server, &account))
            .transports([transport()])
            .encryption(Encryption::Preferred);
        Self::built(account.jid, builder).await.unwrap()
    }

    /// Makes an account on the server and logs in over a link, with the account put right before.
    pub(crate) async fn linked(
        server: &Server,
        name: &str,
        put_right: impl FnOnce(Account) -> Account,
    ) -> (Self, Link) {
        let account = server.fresh_account(name).await.unwrap();
        let link = Link::to(server.address()).await.unwrap();
        let credentials = put_right(lead(&link, credentials(server, &account)));
        (Self::with(credentials).await.unwrap(), link)
    }

    /// Makes an account on the server and logs in with transports of its own.
    pub(crate) async fn with_ladder(
        server: &Server,
        name: &str,
        ladder: Vec<Arc<dyn Transport>>,
    ) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let credentials = credentials(server, &account);
        let jid = credentials.jid().to_bare();
        let builder = Tubes::builder(credentials)
            .ladder(ladder)
            .encryption(encryption());
        Self::built(jid, builder).await.unwrap()
    }

    /// Makes an account on the server and logs in with all transports, SOCKS5 as it is given; deals
    /// also with who does not encrypt.
    pub(crate) async fn with_all(server: &Server, name: &str, socks5: Socks5) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let credentials = credentials(server, &account);
        let jid = credentials.jid().to_bare();
        let builder = Tubes::builder(credentials)
            .transports(TransportName::ALL.iter().copied())
            .encryption(Encryption::Preferred)
            .socks5(socks5);
        Self::built(jid, builder).await.unwrap()
    }

    /// Logs in as this one was put together.
    pub(crate) async fn built(jid: BareJid, builder: Builder) -> Result<Self, StartError> {
        Self::with_keys(jid, builder, Path::new(KEYS)).await
    }

    /// Logs in as this one was put together, with the keys that are kept in this folder.
    pub(crate) async fn with_keys(
        jid: BareJid,
        builder: Builder,
        keys: &Path,
    ) -> Result<Self, StartError> {
        let starting = builder.keys_in(keys).start();
        let (tubes, events) = patiently("the login is done", starting).await?;
        Ok(Self {
            jid,
            tubes,
            events,
            passed: VecDeque::new(),
        })
    }

    /// The first event that `wanted` makes something of. Others are kept for later.
    pub(crate) async fn event<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let mut next = 0;
        let waiting = async {
            loop {
                while let Some(event) = self.passed.get(next) {
                    if let Some(found) = wanted(event) {
                        self.passed.remove(next);
                        return Some(found);
                    }
                    next += 1;
                }
                self.passed.push_back(self.events.next().await?);
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => panic!("{} waited in vain; seen: {:#?}", self.jid, self.passed),
        }
    }

    /// The address of this client.
    pub(crate) async fn online(&mut self) -> FullJid {
        self.event(|event| match event {
            Event::Online { jid, .. } => Some(jid.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the link to be up again; whether it is the same session that goes on. Ask for
    /// [`online`](Self::online) before.
    pub(crate) async fn is_resumed(&mut self) -> bool {
        self.event(|event| match event {
            Event::Online { resumed, .. } => Some(*resumed),
            _ => None,
        })
        .await
    }

    /// Somebody offers a tube.
    pub(crate) async fn offered(&mut self) -> TubeId {
        self.event(|event| match event {
            Event::TubeOffered {
                tube,
                direction: Direction::In,
                ..
            } => Some(*tube),
            _ => None,
        })
        .await
    }

    /// A connection ended: bytes sent and received, and why.
    pub(crate) async fn connection_closed(&mut self) -> (u64, u64, Option<Failure>) {
        self.event(|event| match event {
            Event::ConnectionClosed {
                sent,
                received,
                error,
                ..
            } => Some((*sent, *received, error.clone())),
            _ => None,
        })
        .await
    }

    /// A tube was closed, and why.
    pub(crate) async fn tube_closed(&mut self) -> Option<Failure> {
        self.event(|event| match event {
            Event::TubeClosed { error, .. } => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// Logs out, and hands over all that happened and was not asked for.
    pub(crate) async fn leave(mut self) -> Vec<Event> {
        patiently("the account is left", self.tubes.leave()).await;
        let rest = async {
            while let Some(event) = self.events.next().await {
                self.passed.push_back(event);
            }
        };
        patiently("nothing more can happen", rest).await;
        self.passed.into()
    }
}

/// By what the next connection was opened, and how many ways failed before.
pub(crate) async fn opened(person: &mut Person) -> (&'static str, usize) {
    let opened = person.event(|event| match event {
        Event::ConnectionOpened {
            transport,
            fell_back_from,
            ..
        } => Some((*transport, fell_back_from.len())),
        _ => None,
    });
    opened.await
}

/// Where people keep their keys, if nothing else is said; each account has its own.
pub(crate) const KEYS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/keys");

/// How to log in to this server.
pub(crate) fn credentials(server: &Server, account: &tubes_server::Account) -> Account {
    let address = server.address();
    Account::new(account.jid.clone().into(), account.password.clone())
        .unwrap()
        .with_server(&address.ip().to_string(), address.port())
        .unwrap()
        .with_roots_pem(server.ca().pem().as_bytes())
        .unwrap()
}

/// The same account, over this link.
pub(crate) fn lead(link: &Link, account: Account) -> Account {
    let address = link.address();
    let host = address.ip().to_string();
    account.with_server(&host, address.port()).unwrap()
}

/// Alice and Fernand, who deal with each other.
pub(crate) async fn pair(server: &Server) -> (Person, Person) {
    let (alice, fernand) = tokio::join!(Person::on(server, "alice"), Person::on(server, "fernand"));
    befriended(alice, fernand).await
}

/// Both of them, dealing with each other from now on.
pub(crate) async fn befriended(alice: Person, fernand: Person) -> (Person, Person) {
    alice.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&alice.jid).await;
    (alice, fernand)
}
