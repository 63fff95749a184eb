//! One whole login, before anybody else logs in.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use sasl::{
    client::{Mechanism, mechanisms::Scram},
    common::{ChannelBinding, scram::Sha256},
};
use tokio::{io::BufStream, net::TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_xmpp::{
    Stanza,
    xmlstream::{
        FallibleStreamElement, ReadError, StreamHeader, Timeouts, XmppStream, XmppStreamElement,
        initiate_stream,
    },
};
use xmpp_parsers::{
    bind::BindQuery,
    iq::Iq,
    jid::Jid,
    ns,
    presence::Presence,
    roster::Roster,
    sasl::{Auth, Nonza, Response},
    stream_features::StreamFeatures,
};

use crate::Account;

/// Logs in over a connection that is encrypted already, comes online and leaves.
///
/// ejabberd loads the code of most steps when the first client takes them, for which a busy machine needs
/// seconds: more than clients wait that were all let in at that moment.
pub(crate) async fn run(tls: TlsStream<TcpStream>, account: &Account) -> io::Result<()> {
    let header = || StreamHeader {
        to: Some(account.jid.domain().to_string().into()),
        ..StreamHeader::default()
    };
    let io = BufStream::new(tls);
    let stream = initiate_stream(io, ns::DEFAULT_NS, header(), PATIENT).await?;
    let features = stream.recv_features().await.map_err(io::Error::other)?;
    let (_, mut stream): (StreamFeatures, _) = features;
    authenticate(&mut stream, account).await?;
    let stream = stream.initiate_reset().send_header(header()).await?;
    let features = stream.recv_features().await.map_err(io::Error::other)?;
    let (_, mut stream): (StreamFeatures, XmppStream<Io>) = features;
    let bind = Iq::from_set("bind", BindQuery { resource: None });
    ask(&mut stream, bind).await?;
    let roster = Roster {
        ver: None,
        items: Vec::new(),
    };
    ask(&mut stream, Iq::from_get("roster", roster)).await?;
    say(&mut stream, Presence::available().into()).await?;
    let own = |from: &Jid| from.to_bare() == account.jid;
    until(&mut stream, |stanza| match stanza {
        Stanza::Presence(presence) => presence.from.as_ref().is_some_and(own),
        _ => false,
    })
    .await?;
    SinkExt::<&Stanza>::close(&mut stream).await
}

async fn authenticate(stream: &mut XmppStream<Io>, account: &Account) -> io::Result<()> {
    // Names of fresh accounts have nothing that RFC 5802 §5.1 wants to be escaped.
    let name = account.jid.node().map(ToString::to_string);
    let (name, password) = (name.unwrap_or_default(), account.password.clone());
    let mut scram = Scram::<Sha256>::new(name, password, ChannelBinding::None)
        .map_err(|_| io::Error::other("no randomness"))?;
    let auth = Auth {
        mechanism: xmpp_parsers::sasl::Mechanism::ScramSha256,
        data: scram.initial(),
    };
    stream.send(&Nonza::Auth(auth)).await?;
    loop {
        match next(stream).await? {
            XmppStreamElement::Sasl(Nonza::Challenge(challenge)) => {
                let data = scram.response(&challenge.data);
                let data = data.map_err(|why| io::Error::other(why.to_string()))?;
                stream.send(&Nonza::Response(Response { data })).await?;
            }
            XmppStreamElement::Sasl(Nonza::Success(_)) => return Ok(()),
            other => return Err(io::Error::other(format!("no login: {other:?}"))),
        }
    }
}

/// Asks, and waits for the answer.
async fn ask(stream: &mut XmppStream<Io>, question: Iq) -> io::Result<()> {
    let id = question.id().to_owned();
    say(stream, question.into()).await?;
    until(
        stream,
        |stanza| matches!(stanza, Stanza::Iq(Iq::Result { id: of, .. }) if *of == id),
    )
    .await
}

async fn say(stream: &mut XmppStream<Io>, stanza: Stanza) -> io::Result<()> {
    stream.send(&stanza).await
}

async fn until(stream: &mut XmppStream<Io>, wanted: impl Fn(&Stanza) -> bool) -> io::Result<()> {
    loop {
        match next(stream).await? {
            XmppStreamElement::Stanza(stanza) if wanted(&stanza) => return Ok(()),
            XmppStreamElement::Stanza(Stanza::Iq(refused @ Iq::Error { .. })) => {
                return Err(io::Error::other(format!("refused: {refused:?}")));
            }
            _ => {}
        }
    }
}

async fn next(stream: &mut XmppStream<Io>) -> io::Result<XmppStreamElement> {
    loop {
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(element))) => return Ok(element),
            Some(Err(ReadError::SoftTimeout)) => {}
            other => return Err(io::Error::other(format!("the stream ended: {other:?}"))),
        }
    }
}

type Io = BufStream<TlsStream<TcpStream>>;

/// The bound is that of the whole.
const PATIENT: Timeouts = Timeouts {
    read_timeout: Duration::from_secs(600),
    response_timeout: Duration::from_secs(600),
};
