//! A small client: enough to log in and to see every stanza that comes.
#![allow(
    dead_code,
    unused_macros,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test file uses its share, and fails by panicking"
)]

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use sasl::{
    client::{Mechanism, mechanisms::Scram},
    common::{ChannelBinding, scram},
};
use tokio::{io::BufStream, net::TcpSocket, net::TcpStream, time};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_xmpp::{
    Stanza,
    xmlstream::{
        FallibleStreamElement, ReadError, StreamHeader, Timeouts, XmppStream, XmppStreamElement,
        initiate_stream,
    },
};
use tubes_server::{Account, Server, ServerKind};
use xmpp_parsers::{
    bind::{BindQuery, BindResponse},
    iq::Iq,
    jid::{FullJid, Jid},
    ns,
    presence::Presence,
    sasl::{Auth, Failure, Nonza, Response},
    starttls,
    stream_error::DefinedCondition,
    stream_features::StreamFeatures,
};

/// The same tests for every kind of server.
macro_rules! on_every_kind {
    ($($name:ident),+ $(,)?) => {
        on_every_kind!(@ embedded Embedded $($name)+);
        on_every_kind!(@ prosody Prosody $($name)+);
        on_every_kind!(@ ejabberd Ejabberd $($name)+);
    };
    (@ $folder:ident $kind:ident $($name:ident)+) => {
        mod $folder {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::ServerKind::$kind).await;
                }
            )+
        }
    };
}

/// The server that the tests of a file share, unless it is missing and may be.
pub(crate) async fn shared(kind: ServerKind) -> Option<&'static Server> {
    if !kind.wanted().unwrap() {
        return None;
    }
    Some(Server::shared(kind).await.unwrap())
}

pub(crate) type Io = BufStream<TlsStream<TcpStream>>;

/// A logged-in client.
pub(crate) struct Client {
    pub(crate) jid: FullJid,
    pub(crate) stream: XmppStream<Io>,
    skipped: VecDeque<Stanza>,
}

/// The two hash functions of SCRAM, and no SCRAM at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Plain,
    Sha1,
    Sha256,
}

impl Client {
    /// Logs in by StartTLS and SCRAM-SHA-256.
    pub(crate) async fn log_in(server: &Server, account: &Account, resource: &str) -> Self {
        let tls = start_tls(server).await;
        Self::log_in_over(tls, server, account, How::Sha256, resource)
            .await
            .expect("a login")
    }

    pub(crate) async fn log_in_over(
        tls: TlsStream<TcpStream>,
        server: &Server,
        account: &Account,
        how: How,
        resource: &str,
    ) -> Result<Self, Failure> {
        let (_, mut stream) = open(BufStream::new(tls), server).await;
        authenticate(&mut stream, account, how).await?;
        let header = StreamHeader {
            to: Some(server.domain().to_string().into()),
            ..StreamHeader::default()
        };
        let stream = stream.initiate_reset().send_header(header).await.unwrap();
        let (features, stream): (StreamFeatures, XmppStream<Io>) =
            stream.recv_features().await.unwrap();
        assert!(features.can_bind());
        let resource = (!resource.is_empty()).then(|| resource.to_owned());
        let mut client = Self {
            jid: account.jid.with_resource_str("unbound").unwrap(),
            stream,
            skipped: VecDeque::new(),
        };
        client
            .send(Iq::from_set("bind", BindQuery { resource }))
            .await;
        match client.next().await {
            Stanza::Iq(Iq::Result { payload, .. }) => {
                client.jid = BindResponse::try_from(payload.unwrap()).unwrap().jid;
            }
            other => panic!("not bound: {other:?}"),
        }
        Ok(client)
    }

    /// Logs in, asks for the roster and sends its first presence, whose echo is consumed.
    pub(crate) async fn come_online(server: &Server, account: &Account, resource: &str) -> Self {
        let mut client = Self::log_in(server, account, resource).await;
        client.be_present(Presence::available()).await;
        client
    }

    pub(crate) async fn be_present(&mut self, presence: Presence) {
        let roster = xmpp_parsers::roster::Roster {
            ver: None,
            items: Vec::new(),
        };
        let answer = self.ask(Iq::from_get("roster", roster)).await;
        assert!(matches!(answer, Iq::Result { .. }), "{answer:?}");
        self.send(presence).await;
        let me = Jid::from(self.jid.clone());
        self.presence(|presence| presence.from.as_ref() == Some(&me))
            .await;
    }

    pub(crate) async fn send(&mut self, stanza: impl Into<Stanza>) {
        self.stream.send(&stanza.into()).await.expect("to send");
    }

    /// The next stanza that was not skipped already.
    pub(crate) async fn next(&mut self) -> Stanza {
        loop {
            match self.element().await {
                Ok(XmppStreamElement::Stanza(stanza)) => return stanza,
                Ok(_) => {}
                Err(error) => panic!("the stream ended: {error:?}"),
            }
        }
    }

    /// The condition that the server ends the stream with.
    pub(crate) async fn end(&mut self) -> DefinedCondition {
        loop {
            match self.element().await {
                Ok(XmppStreamElement::StreamError(error)) => return error.0.condition,
                Ok(_) => {}
                Err(error) => panic!("the stream ended without a reason: {error:?}"),
            }
        }
    }

    /// Waits until the connection is lost, without a word about why.
    pub(crate) async fn lost(&mut self) {
        loop {
            match self.element().await {
                Ok(XmppStreamElement::Stanza(_)) => {}
                Ok(other) => panic!("lost with many words: {other:?}"),
                Err(_) => return,
            }
        }
    }

    async fn element(&mut self) -> Result<XmppStreamElement, Option<ReadError>> {
        match time::timeout(PATIENCE, self.stream.next())
            .await
            .expect("something to come")
        {
            Some(Ok(FallibleStreamElement::Ok(element))) => Ok(element),
            Some(Ok(FallibleStreamElement::Err(error))) => panic!("invalid: {error:?}"),
            Some(Err(error)) => Err(Some(error)),
            None => Err(None),
        }
    }

    /// The first stanza, of those skipped and those to come, that `wanted` makes something of.
    pub(crate) async fn find<T>(&mut self, mut wanted: impl FnMut(&Stanza) -> Option<T>) -> T {
        for index in 0..self.skipped.len() {
            if let Some(found) = wanted(&self.skipped[index]) {
                self.skipped.remove(index);
                return found;
            }
        }
        loop {
            let stanza = self.next().await;
            if let Some(found) = wanted(&stanza) {
                return found;
            }
            self.skipped.push_back(stanza);
        }
    }

    pub(crate) async fn presence(&mut self, wanted: impl Fn(&Presence) -> bool) -> Presence {
        self.find(|stanza| match stanza {
            Stanza::Presence(presence) if wanted(presence) => Some(presence.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a question and waits for its answer.
    pub(crate) async fn ask(&mut self, question: Iq) -> Iq {
        let id = question.id().to_owned();
        self.send(question).await;
        self.find(|stanza| match stanza {
            Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) if iq.id() == id => {
                Some(iq.clone())
            }
            _ => None,
        })
        .await
    }

    /// What has come before the server answers a ping: with it everything that was sent to this
    /// client before is known, also that nothing was.
    pub(crate) async fn all_so_far(&mut self) -> Vec<Stanza> {
        let ping = Iq::from_get(
            format!("{:x}", rand::random::<u64>()),
            xmpp_parsers::ping::Ping,
        );
        self.ask(ping).await;
        self.skipped.drain(..).collect()
    }

    /// Cuts the connection without a word.
    pub(crate) fn cut(self) {
        drop(self);
    }
}

pub(crate) fn tls(server: &Server) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.ca().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A connection that takes little before it is read.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(65_536).unwrap();
    let tcp = socket.connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

pub(crate) async fn direct_tls(server: &Server) -> TlsStream<TcpStream> {
    let tcp = connect(server.direct_tls_address()).await;
    secure(server, tcp).await
}

pub(crate) async fn start_tls(server: &Server) -> TlsStream<TcpStream> {
    let tcp = connect(server.address()).await;
    let (features, mut stream) = open(BufStream::new(tcp), server).await;
    assert!(features.starttls.expect("StartTLS").required);
    assert!(features.sasl_mechanisms.is_empty());
    stream
        .send(&starttls::Nonza::Request(starttls::Request))
        .await
        .unwrap();
    match stream.next().await {
        Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Starttls(
            starttls::Nonza::Proceed(_),
        )))) => {}
        other => panic!("no TLS: {other:?}"),
    }
    secure(server, stream.into_inner().into_inner()).await
}

async fn secure(server: &Server, tcp: TcpStream) -> TlsStream<TcpStream> {
    let name = server.domain().to_string().try_into().unwrap();
    tls(server).connect(name, tcp).await.expect("a handshake")
}

pub(crate) async fn open<I>(io: I, server: &Server) -> (StreamFeatures, XmppStream<I>)
where
    I: tokio::io::AsyncBufRead + tokio::io::AsyncWrite + Unpin,
{
    let header = StreamHeader {
        to: Some(server.domain().to_string().into()),
        ..StreamHeader::default()
    };
    let stream = initiate_stream(io, ns::DEFAULT_NS, header, Timeouts::default())
        .await
        .unwrap();
    stream.recv_features().await.unwrap()
}

async fn authenticate(
    stream: &mut XmppStream<Io>,
    account: &Account,
    how: How,
) -> Result<(), Failure> {
    let name = account.jid.node().unwrap().to_string();
    let password = account.password.clone();
    let none = ChannelBinding::None;
    let mut mechanism: Box<dyn Mechanism + Send> = match how {
        How::Plain => Box::new(sasl::client::mechanisms::Plain::new(name, password)),
        How::Sha1 => Box::new(Scram::<scram::Sha1>::new(escape(&name), password, none).unwrap()),
        How::Sha256 => {
            Box::new(Scram::<scram::Sha256>::new(escape(&name), password, none).unwrap())
        }
    };
    let auth = Auth {
        mechanism: mechanism.name().parse().unwrap(),
        data: mechanism.initial(),
    };
    stream.send(&Nonza::Auth(auth)).await.unwrap();
    loop {
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Sasl(nonza)))) => match nonza {
                Nonza::Challenge(challenge) => {
                    let data = mechanism.response(&challenge.data).unwrap();
                    stream
                        .send(&Nonza::Response(Response { data }))
                        .await
                        .unwrap();
                }
                Nonza::Success(success) => {
                    mechanism
                        .success(&success.data)
                        .expect("the server's signature");
                    return Ok(());
                }
                Nonza::Failure(failure) => return Err(failure),
                other => panic!("unexpected: {other:?}"),
            },
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// RFC 5802 §5.1, which the `sasl` crate leaves to its caller.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Longer than anything takes, on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(60);
