//! A server that says what a test tells it to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Mechanisms without channel binding.
pub(crate) const SCRAM: &str = "<mechanism>SCRAM-SHA-1</mechanism>";

/// Listens on a free port of this machine.
pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// One client of the fake server.
pub(crate) struct Client<Io> {
    io: Io,
    heard: String,
}

impl Client<TcpStream> {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().await.unwrap().0)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Client<Io> {
    pub(crate) fn new(io: Io) -> Self {
        Self {
            io,
            heard: String::new(),
        }
    }

    pub(crate) fn into_inner(self) -> Io {
        self.io
    }

    /// Says something; a client that has hung up by now need not hear it.
    pub(crate) async fn say(&mut self, text: &str) {
        let _ = self.io.write_all(text.as_bytes()).await;
        let _ = self.io.flush().await;
    }

    /// Reads up to and including `end`.
    pub(crate) async fn hear(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(end) {
                let rest = self.heard.split_off(at + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let mut buffer = [0; 4096];
            let read = self.io.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "no {end} in {:?}", self.heard);
            let text = str::from_utf8(buffer.get(..read).unwrap()).unwrap();
            self.heard.push_str(text);
        }
    }

    /// Begins a stream with these features.
    pub(crate) async fn open(&mut self, features: &str) -> String {
        let header = self.hear("version='1.0'>").await;
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' id='1' from='tubes.test' \
             version='1.0'><stream:features>{features}</stream:features>"
        ))
        .await;
        header
    }

    /// Begins a stream that offers these mechanisms.
    pub(crate) async fn offer(&mut self, mechanisms: &str) -> String {
        self.open(&format!(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{mechanisms}</mechanisms>"
        ))
        .await
    }

    /// Says one element of SASL with this content.
    pub(crate) async fn sasl(&mut self, name: &str, content: &str) {
        self.say(&format!(
            "<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{content}</{name}>"
        ))
        .await;
    }

    /// The data of the client's next element of SASL of this name.
    pub(crate) async fn data(&mut self, name: &str) -> String {
        let text = self.hear(&format!("</{name}>")).await;
        let text = text.strip_suffix(&format!("</{name}>")).unwrap();
        let (_, data) = text.rsplit_once('>').unwrap();
        String::from_utf8(BASE64.decode(data).unwrap()).unwrap()
    }

    /// Takes the client's first message of SCRAM and challenges it.
    pub(crate) async fn challenge(&mut self) -> String {
        let first = self.data("auth").await;
        let (_, nonce) = first.split_once("r=").unwrap();
        let challenge = format!("r={nonce}server,s={},i=4096", BASE64.encode("salt"));
        self.sasl("challenge", &BASE64.encode(&challenge)).await;
        challenge
    }

    /// Goes on after a success up to the bound resource.
    pub(crate) async fn bind(&mut self) {
        self.open("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")
            .await;
        self.hear("</iq>").await;
        self.say(
            "<iq type='result' id='resource-binding'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@tubes.test/laptop</jid>\
             </bind></iq>",
        )
        .await;
    }
}
