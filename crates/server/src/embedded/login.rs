//! From a fresh connection to a bound resource: TLS, SASL, bind (RFC 6120 §5, §6, §7).

use std::{fmt, io, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_xmpp::{
    Stanza,
    xmlstream::{
        AcceptedStream, FallibleStreamElement, PendingFeaturesSend, ReadError, StreamHeader,
        Timeouts, XmppStream, XmppStreamElement, accept_stream,
    },
};
use xmpp_parsers::{
    bind::{BindFeature, BindQuery, BindResponse},
    iq::Iq,
    jid::{BareJid, FullJid},
    minidom::Element,
    ns,
    sasl::Success,
    stanza_error::{self, ErrorType},
    starttls::{self, StartTls},
    stream_error::{DefinedCondition, StreamError},
    stream_features::StreamFeatures,
};

use super::{
    hub::{Hub, Me},
    meter::Meter,
    outbox::Outgoings,
    route, sasl,
};
use crate::setup::Encryption;

/// What a client is reached by, encrypted or not.
pub(super) type Io = Meter<BufReader<Box<dyn Socket>>>;

pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A client that has logged in.
pub(super) type LoggedIn = (XmppStream<Io>, Me, Outgoings);

/// What all connections have in common.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) hub: Arc<Hub>,
    pub(super) tls: TlsAcceptor,
    pub(super) plain: bool,
    pub(super) stanza_size: usize,
    pub(super) encryption: Encryption,
}

/// Without what is secret.
impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// Speaks plain XMPP until the client asks for TLS (RFC 6120 §5.4), or all the time if the
    /// client wants that and may.
    pub(super) async fn start_tls(&self, tcp: TcpStream) -> io::Result<LoggedIn> {
        let stream = self.open(Box::new(tcp)).await?;
        let required = self.encryption == Encryption::Required;
        let features = StreamFeatures {
            starttls: Some(StartTls { required }),
            sasl_mechanisms: match self.encryption {
                // What is secret in PLAIN is said under TLS only.
                Encryption::Offered => sasl::mechanisms(false),
                Encryption::Required => Default::default(),
            },
            ..StreamFeatures::default()
        };
        let mut stream: XmppStream<_> = stream.send_features(&features).await?;
        match next(&mut stream).await? {
            XmppStreamElement::Starttls(starttls::Nonza::Request(_)) => {}
            first if !required => return self.authenticate(stream, first, false).await,
            _ => return Err(close(stream, DefinedCondition::PolicyViolation).await),
        }
        stream
            .send(&starttls::Nonza::Proceed(starttls::Proceed))
            .await?;
        // RFC 6120 §5.4.3.3: what came before TLS and was not read yet is dropped here.
        let tcp = stream.into_inner().into_inner().into_inner();
        self.log_in(tcp).await
    }

    /// Encrypts, and lets a client log in and bind a resource.
    pub(super) async fn log_in(&self, socket: impl Socket + 'static) -> io::Result<LoggedIn> {
        let tls = self.tls.accept(socket).await?;
        let stream = self.open(Box::new(tls)).await?;
        let features = StreamFeatures {
            sasl_mechanisms: sasl::mechanisms(self.plain),
            ..StreamFeatures::default()
        };
        let mut stream = stream.send_features(&features).await?;
        let first = next(&mut stream).await?;
        self.authenticate(stream, first, self.plain).await
    }

    async fn open(&self, socket: Box<dyn Socket>) -> io::Result<PendingFeaturesSend<Io>> {
        let io = Meter::new(BufReader::new(socket), BEFORE_LOGIN);
        let stream = accept_stream(io, ns::DEFAULT_NS, TIMEOUTS).await?;
        self.greet(stream).await
    }

    async fn authenticate(
        &self,
        mut stream: XmppStream<Io>,
        first: XmppStreamElement,
        plain: bool,
    ) -> io::Result<LoggedIn> {
        let known = sasl::negotiate(&mut stream, &self.hub, plain, first).await?;
        let Some((account, data)) = known else {
            return Err(close(stream, DefinedCondition::PolicyViolation).await);
        };
        let stream = self
            .greet(stream.accept_reset(&Success { data }).await?)
            .await?;
        let features = StreamFeatures {
            bind: Some(BindFeature { required: false }),
            ..StreamFeatures::default()
        };
        let stream: XmppStream<_> = stream.send_features(&features).await?;
        stream.get_stream().set_limit(self.stanza_size);
        self.bind(stream, &account).await
    }

    async fn bind(&self, mut stream: XmppStream<Io>, account: &BareJid) -> io::Result<LoggedIn> {
        let (id, wanted) = match next(&mut stream).await? {
            XmppStreamElement::Stanza(Stanza::Iq(Iq::Set { id, payload, .. })) => {
                (id, BindQuery::try_from(payload).ok())
            }
            _ => return Err(close(stream, DefinedCondition::NotAuthorized).await),
        };
        let jid = wanted.and_then(|wanted| resource(account, wanted.resource.as_deref()));
        let Some((me, outgoings)) = jid.and_then(|jid| self.hub.enter(jid)) else {
            let error = route::stanza_error(
                ErrorType::Modify,
                stanza_error::DefinedCondition::BadRequest,
            );
            stream
                .send(&Stanza::from(Iq::from_error(id, error)))
                .await?;
            return Err(close(stream, DefinedCondition::NotAuthorized).await);
        };
        // Nothing is awaited from here on: a session that nobody serves would stay for ever.
        let jid = me.jid.clone();
        me.outbox
            .post(Iq::from_result(id, Some(BindResponse { jid })));
        Ok((stream, me, outgoings))
    }

    /// Answers a stream header; the client has to name the domain that is served.
    async fn greet<I>(&self, stream: AcceptedStream<I>) -> io::Result<PendingFeaturesSend<I>>
    where
        I: AsyncBufRead + AsyncWrite + Unpin,
    {
        let domain = self.hub.domain().as_str();
        let to = stream.header().to.and_then(|to| BareJid::new(&to).ok());
        let ours = to.is_some_and(|to| to == *self.hub.domain());
        let header = StreamHeader {
            from: Some(domain.into()),
            to: None,
            id: Some(format!("{:016x}", rand::random::<u64>()).into()),
        };
        let stream = stream.send_header(header).await?;
        if !ours {
            let error = stream_error(DefinedCondition::HostUnknown);
            stream.send_error(&error).await?;
            return Err(io::Error::other("the client wants another domain"));
        }
        Ok(stream)
    }
}

/// The next element a client sends, before it has logged in.
pub(super) async fn next<I>(stream: &mut XmppStream<I>) -> io::Result<XmppStreamElement>
where
    I: AsyncBufRead + AsyncWrite + Unpin,
{
    loop {
        match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(element))) => return Ok(element),
            Some(Ok(FallibleStreamElement::Err(error))) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            Some(Err(ReadError::SoftTimeout)) => {}
            Some(Err(ReadError::HardError(error))) => return Err(error),
            Some(Err(error)) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Ends a stream with an error, which is also what the caller is to go on with.
pub(super) async fn close<I>(mut stream: XmppStream<I>, condition: DefinedCondition) -> io::Error
where
    I: AsyncBufRead + AsyncWrite + Unpin,
{
    let why = io::Error::other(condition.to_string());
    let said = stream.send(&stream_error(condition)).await;
    match said {
        Ok(()) => stream.shutdown().await.err().unwrap_or(why),
        Err(error) => error,
    }
}

pub(super) fn stream_error(condition: DefinedCondition) -> StreamError {
    StreamError {
        condition,
        texts: Default::default(),
        application_specific: Vec::<Element>::new(),
    }
}

fn resource(account: &BareJid, wanted: Option<&str>) -> Option<FullJid> {
    match wanted {
        Some(wanted) => account.with_resource_str(wanted).ok(),
        None => {
            let drawn = format!("{:016x}", rand::random::<u64>());
            account.with_resource_str(&drawn).ok()
        }
    }
}

/// What Prosody takes from strangers.
const BEFORE_LOGIN: usize = 10_000;

/// A silent client is asked for a sign of life after a minute, and dropped after another.
const TIMEOUTS: Timeouts = Timeouts {
    read_timeout: std::time::Duration::from_secs(60),
    response_timeout: std::time::Duration::from_secs(60),
};
