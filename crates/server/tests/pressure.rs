//! Clients that do not read, and clients that write much.
#![allow(clippy::unwrap_used, reason = "tests")]

mod client;

use client::Client;
use futures_util::{SinkExt, StreamExt};
use tokio_xmpp::{
    Stanza,
    xmlstream::{FallibleStreamElement, XmppStreamElement},
};
use tubes_server::{Server, ServerKind, Setup};
use xmpp_parsers::{
    iq::Iq,
    jid::Jid,
    message::{Message, MessageType},
    ping::Ping,
};

async fn online(server: &Server, name: &str) -> Client {
    let account = server.fresh_account(name).await.unwrap();
    Client::come_online(server, &account, "tubes").await
}

fn message(to: &Client, size: usize) -> Stanza {
    let to = Jid::from(to.jid.clone());
    Message::chat(to)
        .with_body("".into(), "x".repeat(size))
        .into()
}

#[tokio::test]
async fn who_never_reads_is_sent_away_and_blocks_nobody() {
    let server = Server::start(ServerKind::Embedded, Setup::new())
        .await
        .unwrap();
    let deaf = online(&server, "fernand").await;
    let mut talker = online(&server, "alice").await;
    let mut bystander = online(&server, "alice").await;
    let large = message(&deaf, 200_000);
    // More than sockets and the server's queue hold together: at some point one comes back.
    let refused = loop {
        talker.stream.send(&large).await.unwrap();
        let pinged = bystander.ask(Iq::from_get("ping", Ping)).await;
        assert!(matches!(pinged, Iq::Result { .. }));
        let so_far = talker.all_so_far().await;
        if let Some(Stanza::Message(refused)) = so_far.into_iter().next() {
            break refused;
        }
    };
    assert_eq!(refused.type_, MessageType::Error);
    let absent = Iq::from_get("absent", Ping).with_to(deaf.jid.clone().into());
    assert!(matches!(talker.ask(absent).await, Iq::Error { .. }));
}

#[tokio::test]
async fn two_busy_clients_do_not_stop_each_other() {
    let server = Server::start(ServerKind::Embedded, Setup::new())
        .await
        .unwrap();
    let (alice, fernand) = (
        online(&server, "alice").await,
        online(&server, "fernand").await,
    );
    let (to_alice, to_fernand) = (message(&alice, 20_000), message(&fernand, 20_000));
    tokio::join!(busy(alice, to_fernand), busy(fernand, to_alice));
}

/// Sends many messages and takes as many, both at once.
async fn busy(client: Client, message: Stanza) {
    let (mut sink, mut stream) = client.stream.split();
    let send = async {
        for _ in 0..MANY {
            sink.send(&message).await.unwrap();
        }
    };
    let receive = async {
        let mut received = 0;
        while received < MANY {
            let element = stream.next().await.unwrap().unwrap();
            let FallibleStreamElement::Ok(XmppStreamElement::Stanza(stanza)) = element else {
                continue;
            };
            received += usize::from(matches!(stanza, Stanza::Message(_)));
        }
    };
    tokio::join!(send, receive);
}

/// Several times what the sockets and the server hold.
const MANY: usize = 600;
