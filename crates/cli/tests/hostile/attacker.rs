//! A client by hand: it logs in as any other, and says from then on whatever it is told to.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tubes_server::Server;

use crate::program::PATIENCE;
use crate::stanzas::Stanzas;
use crate::words::{IBB, Through, initiation, open};

/// Somebody who speaks XMPP by hand. What comes is read all the time, and kept until it is asked for.
pub(crate) struct Attacker {
    /// Its full JID.
    pub(crate) jid: String,
    writer: WriteHalf<TlsStream<TcpStream>>,
    heard: mpsc::UnboundedReceiver<String>,
    reading: JoinHandle<()>,
    /// What was heard on the way to something else.
    passed: Vec<String>,
    asked: u64,
}

impl Attacker {
    /// Logs in to an account, without presence.
    pub(crate) async fn log_in(server: &Server, jid: &str, password: &str, resource: &str) -> Self {
        let logging_in = Self::try_log_in(server, jid, password, resource);
        timeout(PATIENCE, logging_in).await.expect("it logs in")
    }

    async fn try_log_in(server: &Server, jid: &str, password: &str, resource: &str) -> Self {
        let (mut reader, mut writer) = split(secure(server).await);
        let (node, domain) = jid.split_once('@').unwrap();
        let header = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             version='1.0' to='{domain}'>"
        );
        let secret = STANDARD.encode(format!("\0{node}\0{password}"));
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
        );
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        );
        for (said, awaited) in [
            (&header, "</stream:features>"),
            (&auth, "<success"),
            (&header, "</stream:features>"),
            (&bind, "</iq>"),
        ] {
            writer.write_all(said.as_bytes()).await.unwrap();
            writer.flush().await.unwrap();
            hear_until(&mut reader, awaited).await;
        }
        let (tell, heard) = mpsc::unbounded_channel();
        Self {
            jid: format!("{jid}/{resource}"),
            writer,
            heard,
            reading: tokio::spawn(read(reader, tell)),
            passed: Vec::new(),
            asked: 0,
        }
    }

    /// Asks for the roster and shows itself, so that it hears what its account hears.
    pub(crate) async fn come_online(&mut self) {
        self.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
            .await;
        self.settle().await;
    }

    /// Comes into a room by this name; whoever is there has shown itself then.
    pub(crate) async fn enter(&mut self, room: &str, nick: &str) {
        self.say(format!(
            "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
        self.hears(&["<presence", "110"]).await;
    }

    /// Says exactly this.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has had enough hangs up; what follows says whether that was right.
        let saying = async {
            self.writer.write_all(bytes.as_ref()).await?;
            self.writer.flush().await
        };
        let _ = timeout(PATIENCE, saying).await.expect("the server reads");
    }

    /// Asks somebody something, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, to: &str, kind: &str, what: &str) -> String {
        self.asked += 1;
        let id = format!("asked-{}", self.asked);
        self.say(format!("<iq type='{kind}' id='{id}' to='{to}'>{what}</iq>"))
            .await;
        self.hears(&[&format!("id='{id}'")]).await
    }

    /// Gets a bytestream through a tube of somebody's, in-band.
    pub(crate) async fn open(&mut self, to: &str, through: Through, tube: u64, sid: &str) {
        let si = initiation(sid, through, tube, &[IBB]);
        for what in [si, open(sid, BLOCK)] {
            let answer = self.ask(to, "set", &what).await;
            assert!(answer.contains("type='result'"), "{what}: {answer}");
        }
    }

    /// Waits until the server has taken all that was said.
    pub(crate) async fn settle(&mut self) {
        let (_, domain) = self.jid.split_once('@').unwrap();
        let (domain, _) = domain.split_once('/').unwrap();
        let domain = domain.to_owned();
        self.ask(&domain, "get", PING).await;
    }

    /// Waits until somebody has heard all that was said to it before.
    pub(crate) async fn reaches(&mut self, whom: &str) {
        self.ask(whom, "get", PING).await;
    }

    /// The next stanza in which all of this stands, with its quotation marks made simple ones; others are
    /// passed over.
    pub(crate) async fn hears(&mut self, words: &[&str]) -> String {
        let heard = timeout(PATIENCE, self.next(words)).await;
        let heard = heard.unwrap_or_else(|_| panic!("{words:?} is not heard"));
        heard.expect("it is connected")
    }

    /// The same, however long it takes; none at the end of the connection.
    pub(crate) async fn next(&mut self, words: &[&str]) -> Option<String> {
        loop {
            let heard = self.heard.recv().await?.replace('"', "'");
            if words.iter().all(|word| heard.contains(word)) {
                return Some(heard);
            }
            self.passed.push(heard);
        }
    }

    /// What was heard since this was asked for, and nobody has waited for.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut rest = std::mem::take(&mut self.passed);
        while let Ok(heard) = self.heard.try_recv() {
            rest.push(heard.replace('"', "'"));
        }
        rest
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Two accounts become contacts, so that each sees the other's presence.
pub(crate) async fn befriend(one: &mut Attacker, other: &mut Attacker) {
    for (asking, granting) in [(0, 1), (1, 0)] {
        let both = [&mut *one, &mut *other];
        let [asker, granter] = [asking, granting].map(|at: usize| bare(&both[at].jid));
        let subscribe = format!("<presence type='subscribe' to='{granter}'/>");
        both[asking].say(subscribe).await;
        both[asking].settle().await;
        let subscribed = format!("<presence type='subscribed' to='{asker}'/>");
        both[granting].say(subscribed).await;
        both[granting].settle().await;
    }
}

/// Without the resource.
pub(crate) fn bare(jid: &str) -> String {
    jid.split('/').next().unwrap().to_owned()
}

async fn secure(server: &Server) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(server.ca().der().clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(server.direct_tls_address())
        .await
        .unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = server.domain().to_string().try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

async fn hear_until(reader: &mut ReadHalf<TlsStream<TcpStream>>, awaited: &str) {
    let mut heard = String::new();
    while !heard.contains(awaited) {
        let mut bytes = vec![0; PIECE];
        let length = reader.read(&mut bytes).await.unwrap();
        assert_ne!(length, 0, "{awaited} does not come: {heard}");
        heard.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
}

async fn read(mut reader: ReadHalf<TlsStream<TcpStream>>, tell: mpsc::UnboundedSender<String>) {
    let mut stanzas = Stanzas::default();
    let mut bytes = vec![0; PIECE];
    while let Ok(length @ 1..) = reader.read(&mut bytes).await {
        for stanza in stanzas.cut(&bytes[..length]) {
            // Nobody may want to know any more.
            let _ = tell.send(stanza);
        }
    }
}

/// Bytes that a block of its own bytestreams may have.
pub(crate) const BLOCK: u32 = 4096;

/// XEP-0199.
const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
