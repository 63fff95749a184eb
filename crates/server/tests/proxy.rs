//! The proxies for SOCKS5 bytestreams (XEP-0065) that the servers offer, seen from both sides.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod client;
mod socks;

use std::io::ErrorKind;

use client::Client;
use socks::{connect, ends, hash, refused, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OnceCell,
};
use tubes_server::{Server, ServerKind, Setup};
use xmpp_parsers::{
    disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult},
    iq::Iq,
    jid::Jid,
    minidom::Element,
    stanza_error::DefinedCondition,
};

on_every_kind![
    is_found_and_describes_itself,
    carries_a_mebibyte_each_way,
    an_end_of_file_ends_both_directions,
    is_not_activated_without_both_connections,
    is_not_activated_for_another_bytestream,
    refuses_orders_that_are_none,
    refuses_a_third_connection,
    breaks_when_the_server_is_killed_and_comes_back_with_it,
    is_not_there_unless_asked_for,
];

async fn is_found_and_describes_itself(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    assert!(
        services(stage.server, &mut stage.alice)
            .await
            .contains(&stage.proxy)
    );
    let question = Iq::from_get("info", DiscoInfoQuery { node: None });
    let answer = stage.ask(question).await;
    let info = DiscoInfoResult::try_from(payload(answer)).unwrap();
    let is_proxy = |identity: &xmpp_parsers::disco::Identity| {
        identity.category == "proxy" && identity.type_ == "bytestreams"
    };
    assert!(info.identities.iter().any(is_proxy), "{info:?}");
    assert!(info.features.contains(BYTESTREAMS), "{info:?}");

    let question = Iq::Get {
        from: None,
        to: None,
        id: "address".to_owned(),
        payload: Element::bare("query", BYTESTREAMS),
    };
    let query = payload(stage.ask(question).await);
    let host = query.get_child("streamhost", BYTESTREAMS).unwrap();
    let address = stage.server.proxy_address().unwrap();
    let jid: Jid = host.attr("jid").unwrap().parse().unwrap();
    // ejabberd adds the number of its node.
    assert_eq!(jid.to_bare(), stage.proxy);
    assert_eq!(host.attr("host"), Some("127.0.0.1"));
    assert_eq!(host.attr("port"), Some(address.port().to_string().as_str()));
}

async fn carries_a_mebibyte_each_way(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let [mut alice, mut fernand] = stage.active("mebibyte").await;
    let (mut alice_reads, mut alice_writes) = alice.split();
    let (mut fernand_reads, mut fernand_writes) = fernand.split();
    let block = match kind {
        // What it reads beyond this may wait for more to come.
        ServerKind::Prosody => 4096,
        _ => MEBIBYTE,
    };
    let there = socks::transfer(&mut alice_writes, &mut fernand_reads, MEBIBYTE, block, 251);
    let back = socks::transfer(&mut fernand_writes, &mut alice_reads, MEBIBYTE, block, 241);
    within(async { tokio::join!(there, back) }).await;
}

async fn an_end_of_file_ends_both_directions(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let [mut alice, mut fernand] = stage.active("end").await;
    let words: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let say = async {
        alice.write_all(&words).await.unwrap();
        alice.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, read) = within(async { tokio::join!(say, fernand.read_to_end(&mut heard)) }).await;
    assert_eq!(read.unwrap(), words.len());
    assert_eq!(heard, words);
    // Fernand has not said that he is done.
    ends(alice).await;
}

async fn is_not_activated_without_both_connections(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let refusal = stage.activate("lonely").await.unwrap_err();
    assert_eq!(refusal, DefinedCondition::ItemNotFound);
    let _fernand = stage.connect("lonely").await;
    let refusal = stage.activate("lonely").await.unwrap_err();
    let expected = match kind {
        ServerKind::Prosody => DefinedCondition::NotAllowed,
        _ => DefinedCondition::ItemNotFound,
    };
    assert_eq!(refusal, expected);
    // It is not too late.
    let _alice = stage.connect("lonely").await;
    assert_eq!(stage.activate("lonely").await, Ok(()));
}

async fn is_not_activated_for_another_bytestream(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let _both = [stage.connect("this").await, stage.connect("this").await];
    let refusal = stage.activate("that").await.unwrap_err();
    assert_eq!(refusal, DefinedCondition::ItemNotFound);
    // Nor may anybody but its requester activate it.
    let fernand = stage.server.fresh_account("fernand").await.unwrap();
    let requester = Client::log_in(stage.server, &fernand, "tubes").await;
    stage.alice = requester;
    let refusal = stage.activate("this").await.unwrap_err();
    assert_eq!(refusal, DefinedCondition::ItemNotFound);
}

async fn refuses_orders_that_are_none(kind: ServerKind) {
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let orders = [
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='none'/>",
        "<query xmlns='http://jabber.org/protocol/bytestreams'><activate>a@b/c</activate></query>",
        "<query xmlns='http://jabber.org/protocol/bytestreams' sid='x'><activate>@</activate></query>",
        "<riddle xmlns='urn:example:riddles'/>",
    ];
    for order in orders {
        let payload = order.parse().unwrap();
        let answer = stage.ask(set(payload)).await;
        assert!(matches!(answer, Iq::Error { .. }), "{order}: {answer:?}");
    }
}

async fn refuses_a_third_connection(kind: ServerKind) {
    if kind == ServerKind::Prosody {
        // There the third takes the place of the second.
        return;
    }
    let Some(mut stage) = Stage::new(kind).await else {
        return;
    };
    let both = [stage.connect("third").await, stage.connect("third").await];
    refused(stage.address(), &stage.hash("third")).await;
    assert_eq!(stage.activate("third").await, Ok(()));
    refused(stage.address(), &stage.hash("third")).await;
    let [mut alice, mut fernand] = both;
    within(async {
        alice.write_all(b"undisturbed").await.unwrap();
        let mut heard = [0; 11];
        fernand.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"undisturbed");
    })
    .await;
}

async fn breaks_when_the_server_is_killed_and_comes_back_with_it(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let mut server = Server::start(kind, Setup::new().with_proxy())
        .await
        .unwrap();
    let address = server.proxy_address().unwrap();
    let waiting = connect(
        address,
        &hash("sid", "alice@tubes.test/a", "fernand@tubes.test/f"),
    )
    .await;
    server.kill().await.unwrap();
    ends(waiting).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    server.restart().await.unwrap();
    assert_eq!(server.proxy_address(), Some(address));
    let mut stage = Stage::on(&server).await;
    let _both = stage.active("again").await;
}

async fn is_not_there_unless_asked_for(kind: ServerKind) {
    if !kind.wanted().unwrap() {
        return;
    }
    let server = &Server::start(kind, Setup::new()).await.unwrap();
    assert_eq!(server.proxy_address(), None);
    let account = server.fresh_account("alice").await.unwrap();
    let mut alice = Client::log_in(server, &account, "tubes").await;
    let proxy = proxy(server);
    assert!(!services(server, &mut alice).await.contains(&proxy));
    let question = Iq::from_get("info", DiscoInfoQuery { node: None }).with_to(proxy);
    assert!(matches!(alice.ask(question).await, Iq::Error { .. }));
}

/// Alice, who is logged in to a server with a proxy and wants bytestreams to Fernand.
struct Stage<'a> {
    server: &'a Server,
    alice: Client,
    proxy: Jid,
}

impl Stage<'static> {
    async fn new(kind: ServerKind) -> Option<Self> {
        static EMBEDDED: OnceCell<Server> = OnceCell::const_new();
        static PROSODY: OnceCell<Server> = OnceCell::const_new();
        static EJABBERD: OnceCell<Server> = OnceCell::const_new();
        if !kind.wanted().unwrap() {
            return None;
        }
        let cell = match kind {
            ServerKind::Embedded => &EMBEDDED,
            ServerKind::Prosody => &PROSODY,
            ServerKind::Ejabberd => &EJABBERD,
        };
        let start = || Server::start(kind, Setup::new().with_proxy());
        Some(Stage::on(cell.get_or_try_init(start).await.unwrap()).await)
    }
}

impl<'a> Stage<'a> {
    async fn on(server: &'a Server) -> Self {
        let account = server.fresh_account("alice").await.unwrap();
        Self {
            server,
            alice: Client::log_in(server, &account, "tubes").await,
            proxy: proxy(server),
        }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.server.proxy_address().unwrap()
    }

    fn hash(&self, sid: &str) -> String {
        hash(sid, self.alice.jid.as_str(), TARGET)
    }

    async fn connect(&self, sid: &str) -> TcpStream {
        connect(self.address(), &self.hash(sid)).await
    }

    async fn active(&mut self, sid: &str) -> [TcpStream; 2] {
        let both = [self.connect(sid).await, self.connect(sid).await];
        assert_eq!(self.activate(sid).await, Ok(()));
        both
    }

    async fn activate(&mut self, sid: &str) -> Result<(), DefinedCondition> {
        let order = format!(
            "<query xmlns='{BYTESTREAMS}' sid='{sid}'><activate>{TARGET}</activate></query>"
        );
        match self.ask(set(order.parse().unwrap())).await {
            Iq::Result { .. } => Ok(()),
            Iq::Error { error, .. } => Err(error.defined_condition),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// Asks the proxy.
    async fn ask(&mut self, question: Iq) -> Iq {
        self.alice.ask(question.with_to(self.proxy.clone())).await
    }
}

fn set(payload: Element) -> Iq {
    Iq::Set {
        from: None,
        to: None,
        id: format!("{:x}", rand::random::<u64>()),
        payload,
    }
}

fn proxy(server: &Server) -> Jid {
    format!("proxy.{}", server.domain()).parse().unwrap()
}

/// What the server lists.
async fn services(server: &Server, client: &mut Client) -> Vec<Jid> {
    let question = DiscoItemsQuery {
        node: None,
        rsm: None,
    };
    let question = Iq::from_get("items", question).with_to(server.domain().clone().into());
    let items = DiscoItemsResult::try_from(payload(client.ask(question).await)).unwrap();
    items.items.into_iter().map(|item| item.jid).collect()
}

fn payload(answer: Iq) -> Element {
    match answer {
        Iq::Result {
            payload: Some(payload),
            ..
        } => payload,
        other => panic!("no result: {other:?}"),
    }
}

/// Nobody asks whether there is such a person.
const TARGET: &str = "fernand@tubes.test/tubes";

const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";

const MEBIBYTE: usize = 1024 * 1024;
