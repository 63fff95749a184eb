//! The beginning of a stream, from the first header to the point where a resource can be bound.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_xmpp::stanzastream::Connection;
use tokio_xmpp::xmlstream::{
    FallibleStreamElement, ReadError, StreamHeader, Timeouts, XmppStream, XmppStreamElement,
    initiate_stream,
};
use tubes_transport::Io;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::starttls::{Nonza, Request};
use xmpp_parsers::stream_features::StreamFeatures;

use crate::account::Account;
use crate::event::{StreamManagement, Terms};
use crate::filter::{CutAnswers, LastWords, Line};
use crate::login_error::LoginFailure;
use crate::sasl::{self, Names, Security};

/// Asks the server to encrypt from here on (RFC 6120 §5). Done within 10 s.
pub(crate) async fn start_tls(
    io: Box<dyn Io>,
    account: &Account,
) -> Result<Box<dyn Io>, LoginFailure> {
    // RFC 6120 §4.7.1: who we are is nobody's business before the stream is encrypted.
    let (features, mut stream) = open(io, header(account), CutAnswers::default()).await?;
    if !features.can_starttls() {
        return Err(LoginFailure::NoEncryption);
    }
    within(STREAM, ENCRYPTING, async {
        let request = XmppStreamElement::Starttls(Nonza::Request(Request));
        let sent = stream.send(&request).await;
        sent.map_err(LoginFailure::io(ENCRYPTING))?;
        proceed(&mut stream).await
    })
    .await?;
    // RFC 6120 §5.4.3.3: what somebody put behind the server's words in the clear would else
    // pass for encrypted.
    if !stream.get_stream().is_drained() {
        return Err(LoginFailure::protocol(
            ENCRYPTING,
            "something was said in the clear after encryption was agreed on",
        ));
    }
    Ok(stream.into_inner().into_inner())
}

/// A stream on which a resource can be bound.
pub(crate) struct LoggedIn {
    pub(crate) connection: Connection,
    /// Why the server will have ended it.
    pub(crate) last_words: LastWords,
    /// What was agreed on.
    pub(crate) terms: Terms,
}

/// Authenticates, and restarts the stream up to the point where a resource can be bound.
/// Done within 50 s. Beside the connection comes why it will have ended; `cut` will know which answers are not
/// the whole.
pub(crate) async fn log_in(
    io: Box<dyn Io>,
    security: &Security,
    account: &Account,
    cut: CutAnswers,
) -> Result<LoggedIn, LoginFailure> {
    let header = match security {
        Security::Loopback => header,
        Security::Tls(_) => identified,
    };
    let (features, mut stream) = open(io, header(account), cut).await?;
    let authenticated = sasl::authenticate(&mut stream, &features, security, account);
    let Names { mechanism, binding } =
        within(AUTHENTICATION, "authenticating", authenticated).await?;
    let (features, stream) = within(STREAM, RESTARTING, async {
        let pending = stream.initiate_reset().send_header(header(account)).await;
        let pending = pending.map_err(LoginFailure::io(RESTARTING))?;
        let features = pending.recv_features().await;
        features.map_err(LoginFailure::features(RESTARTING))
    })
    .await?;
    // tokio-xmpp 6.0.0 panics on a stream that offers nothing to negotiate.
    if !features.can_bind() {
        return Err(LoginFailure::protocol(
            RESTARTING,
            "it lets nobody bind a resource",
        ));
    }
    let last_words = stream.get_stream().last_words();
    let terms = Terms {
        mechanism,
        binding,
        stream_management: StreamManagement::of(&features),
        largest_stanza: features.limits.as_ref().and_then(|limits| limits.max_bytes),
    };
    let connection = Connection {
        stream: stream.box_stream(),
        features,
        identity: account.jid().clone(),
    };
    Ok(LoggedIn {
        connection,
        last_words,
        terms,
    })
}

/// A connection that has ended before anything could be said on it.
pub(crate) async fn ended() -> Option<Connection> {
    let (near, mut far) = tokio::io::duplex(2 * ENDED.len());
    far.write_all(ENDED.as_bytes()).await.ok()?;
    let (features, stream) = open(
        Box::new(near),
        StreamHeader::default(),
        CutAnswers::default(),
    )
    .await
    .ok()?;
    Some(Connection {
        stream: stream.box_stream(),
        features,
        identity: Jid::new("nobody@localhost").ok()?,
    })
}

/// What a server says at the beginning.
const ENDED: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='ended' version='1.0'>\
    <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";

/// Exchanges headers and reads what the server offers.
async fn open(
    io: Box<dyn Io>,
    header: StreamHeader<'_>,
    cut: CutAnswers,
) -> Result<(StreamFeatures, XmppStream<Line>), LoginFailure> {
    within(STREAM, OPENING, async {
        let line = Line::new(io, cut);
        let pending = initiate_stream(line, ns::JABBER_CLIENT, header, TIMEOUTS).await;
        let pending = pending.map_err(LoginFailure::io(OPENING))?;
        let features = pending.recv_features().await;
        features.map_err(LoginFailure::features(OPENING))
    })
    .await
}

async fn proceed(stream: &mut XmppStream<Line>) -> Result<(), LoginFailure> {
    loop {
        return match stream.next().await {
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::Starttls(nonza)))) => {
                match nonza {
                    Nonza::Proceed(_) => Ok(()),
                    _ => Err(LoginFailure::Tls("the server is not able to".to_owned())),
                }
            }
            Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)))) => {
                Err(LoginFailure::Stream(Box::new(error)))
            }
            Some(Ok(_)) => Err(LoginFailure::protocol(
                ENCRYPTING,
                "it talks of something else",
            )),
            // The deadline counts.
            Some(Err(ReadError::SoftTimeout)) => continue,
            Some(Err(ReadError::HardError(error))) => Err(LoginFailure::io(ENCRYPTING)(error)),
            Some(Err(ReadError::ParseError(error))) => {
                Err(LoginFailure::protocol(ENCRYPTING, error.to_string()))
            }
            Some(Err(ReadError::StreamFooterReceived)) | None => {
                Err(LoginFailure::protocol(ENCRYPTING, "it ended the stream"))
            }
        };
    }
}

/// A header that says which server is wanted.
fn header(account: &Account) -> StreamHeader<'static> {
    StreamHeader {
        to: Some(Cow::Owned(account.jid().domain().to_string())),
        ..StreamHeader::default()
    }
}

/// A header that moreover says by whom (RFC 6120 §4.7.1: over an encrypted stream only).
fn identified(account: &Account) -> StreamHeader<'static> {
    StreamHeader {
        from: Some(Cow::Owned(account.jid().to_bare().to_string())),
        ..header(account)
    }
}

/// Gives up after a while.
pub(crate) async fn within<T>(
    deadline: Duration,
    during: &'static str,
    step: impl Future<Output = Result<T, LoginFailure>>,
) -> Result<T, LoginFailure> {
    match timeout(deadline, step).await {
        Ok(result) => result,
        Err(_) => Err(LoginFailure::TimedOut(during)),
    }
}

/// After 20 s of silence the server is pinged, 15 s later the connection is given up, at the price
/// of a few bytes now and then. A stall of 20 s is thus survived as it is; a connection that died
/// unnoticed is replaced soon enough for the session to be resumed.
const TIMEOUTS: Timeouts = Timeouts {
    read_timeout: Duration::from_secs(20),
    response_timeout: Duration::from_secs(15),
};

/// The server has nothing to do but to answer.
const STREAM: Duration = Duration::from_secs(10);

/// The password has to be hashed as often as the server demands, and it may ask others.
const AUTHENTICATION: Duration = Duration::from_secs(30);

const ENCRYPTING: &str = "asking for encryption";
const OPENING: &str = "waiting for the server's first words";
const RESTARTING: &str = "restarting the stream";

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
