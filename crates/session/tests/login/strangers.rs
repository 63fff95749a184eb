//! What anybody can send through any server, and what must not end the session.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tubes_server::{Server, ServerKind, Setup};
use tubes_session::{Link, Session, SessionEvent};
use xmpp_parsers::jid::FullJid;

use crate::alice;
use crate::fake::{Client, listen};
use crate::real::account;

/// Each of these alone ends a parser that takes it, or the process it runs in.
fn attacks(levels: usize) -> [(&'static str, String); 5] {
    let long = "x".repeat(9000);
    let deep = format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    [
        ("deep", format!("<q xmlns='x'>{deep}</q>")),
        ("value", format!("<q xmlns='x' a='{long}'/>")),
        ("name", format!("<q xmlns='x'><{long}/></q>")),
        ("namespace", format!("<q xmlns='{long}'/>")),
        (
            "prefix",
            format!("<x:q xmlns:x='x' xmlns:y='{long}' y:a='b'/>"),
        ),
    ]
}

/// Fails if the link was lost meanwhile, even if it came back.
fn still_linked(events: &mut Receiver<SessionEvent>) {
    while let Ok(event) = events.try_recv() {
        let reset = matches!(event, SessionEvent::Link(_));
        assert!(!reset, "{event:?}");
    }
}

async fn linked(events: &mut Receiver<SessionEvent>) -> FullJid {
    match events.recv().await {
        Some(SessionEvent::Link(Link::Reset(login))) => login.jid,
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_session_outlives_what_a_parser_would_not() {
    let (listener, port) = listen().await;
    let logging_in = tokio::spawn(Session::start(alice(port), Vec::new()));
    let mut client = Client::accept(&listener).await;
    client.offer("<mechanism>PLAIN</mechanism>").await;
    client.data("auth").await;
    client.sasl("success", "").await;
    client.bind().await;
    let (_session, mut events) = logging_in.await.unwrap().unwrap();
    linked(&mut events).await;
    let long = "x".repeat(9000);
    let huge = "x".repeat(4 * 1024 * 1024);
    client
        .say(&format!(
            "<message id='{long}'/><message xmlns:p='{long}' p:a=''><p:b/></message>\
             <message><body>{huge}</body></message>"
        ))
        .await;
    for (name, attack) in attacks(5000) {
        let from = "from='fernand@tubes.test/x'";
        client
            .say(&format!(
                "<message {from}>{attack}</message>\
                 <iq {from} type='get' id='{name}'>{attack}</iq>\
                 <iq {from} type='get' id='after-{name}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await;
        client.hear(&format!("after-{name}")).await;
    }
    still_linked(&mut events);
}

#[tokio::test]
async fn a_stranger_on_the_same_server_ends_nothing() {
    // The embedded one has the same parser, and no filter.
    // ejabberd ends the stream of whoever sends it 5000 levels.
    for (kind, levels) in [(ServerKind::Prosody, 5000), (ServerKind::Ejabberd, 500)] {
        if !kind.wanted().unwrap() {
            continue;
        }
        let server = &Server::start(kind, Setup::new().with_plain())
            .await
            .unwrap();
        let alice = server.fresh_account("alice").await.unwrap();
        let started = Session::start(account(server, &alice), Vec::new()).await;
        let (_session, mut events) = started.unwrap_or_else(|why| panic!("{kind}: {why}"));
        let to = linked(&mut events).await;
        let fernand = server.fresh_account("fernand").await.unwrap();
        let mut fernand = stranger(server, &fernand).await;
        for (name, attack) in attacks(levels) {
            fernand
                .say(&format!(
                    "<message to='{to}'>{attack}</message>\
                     <iq to='{to}' type='get' id='after-{name}'><ping xmlns='urn:xmpp:ping'/></iq>"
                ))
                .await;
            fernand.hear(&format!("after-{name}")).await;
        }
        still_linked(&mut events);
    }
}

/// Logs in without any library that would not say such things.
async fn stranger(
    server: &Server,
    account: &tubes_server::Account,
) -> Client<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(server.ca().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let domain = account.jid.domain().to_string();
    let io = TcpStream::connect(server.direct_tls_address()).await;
    let name = ServerName::try_from(domain.clone()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut client = Client::new(connector.connect(name, io.unwrap()).await.unwrap());
    let header = format!(
        "<stream:stream xmlns='jabber:client' version='1.0' to='{domain}' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    client.say(&header).await;
    client.hear("</stream:features>").await;
    let name = account.jid.node().unwrap();
    let plain = BASE64.encode(format!("\0{name}\0{}", account.password));
    client
        .say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))
        .await;
    client.hear("<success").await;
    client.say(&header).await;
    client.hear("</stream:features>").await;
    client
        .say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        .await;
    client.hear("</iq>").await;
    client
}
