//! Why a login failed, for whom, and what to do next.

use std::io;

use tokio_xmpp::xmlstream::RecvFeaturesError;
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::sasl::{DefinedCondition, Failure};
use xmpp_parsers::stream_error::{self, ReceivedStreamError};

/// Why a login failed, for whom, and what to do next.
///
/// ```
/// use tubes_session::{Account, LoginErrorKind, Session};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
/// let account = Account::new("alice@example.org".parse()?, "secret")?;
/// // Nobody listens there.
/// let account = account.with_server("127.0.0.1", nobody.port())?;
/// let why = Session::start(account, Vec::new()).await.err().ok_or("it is logged in")?;
/// assert_eq!(why.kind(), LoginErrorKind::Unavailable);
/// assert!(why.to_string().starts_with("cannot log in as alice@example.org: "));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoginError {
    account: Option<BareJid>,
    occasion: Occasion,
    reason: LoginFailure,
}

impl LoginError {
    pub(crate) fn new(account: BareJid, occasion: Occasion, reason: LoginFailure) -> Self {
        Self {
            account: Some(account),
            occasion,
            reason,
        }
    }

    /// The stream ended before a resource was bound.
    pub(crate) fn bind_failed() -> Self {
        Self::anonymous(LoginFailure::NotBound)
    }

    /// The server did not bind a resource in time.
    pub(crate) fn bind_timed_out() -> Self {
        Self::anonymous(LoginFailure::TimedOut("binding a resource"))
    }

    fn anonymous(reason: LoginFailure) -> Self {
        Self {
            account: None,
            occasion: Occasion::First,
            reason,
        }
    }

    /// What went wrong.
    pub fn reason(&self) -> &LoginFailure {
        &self.reason
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> LoginErrorKind {
        self.reason.kind()
    }

    /// Whether another try is bound to fail in the same way until somebody changes something.
    ///
    /// A refused account is final always. What may be the fault of the network in between, such
    /// as a wrong certificate, is final only as long as this connector has never logged in:
    /// behind the login page of a hotel a session waits.
    pub fn is_final(&self) -> bool {
        self.reason.concerns_account()
            || (self.occasion == Occasion::First && self.reason.concerns_server())
    }
}

impl std::fmt::Display for LoginError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.account {
            Some(account) => write!(f, "cannot log in as {account}: {}", self.reason),
            None => write!(f, "cannot log in: {}", self.reason),
        }
    }
}

impl std::error::Error for LoginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

/// What can go wrong on the way from an account to a session.
///
/// See [`LoginError`], whose reason it is, for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The server's certificate does not prove that it serves the account's domain.
    #[error("the server's certificate {0}")]
    Certificate(CertificateFault),
    /// The server lists ways to bind the login to the encryption, and none that exists here.
    #[error(
        "{0}; somebody may be reading along: try from another network, or ask the server's operator"
    )]
    ChannelBinding(&'static str),
    /// No address of the server is known. [`Account::with_server`](crate::Account::with_server) names one.
    #[error("cannot find the server {host}: {why}; check the domain, or name the server")]
    HostUnknown {
        /// Whose address was looked for.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// The connection broke.
    #[error("the connection broke while {during}: {why}")]
    Io {
        /// What was being done.
        during: &'static str,
        /// What the system says.
        why: io::Error,
    },
    /// The stream ended before a resource was bound.
    #[error("the server closed the session before it began; try again later")]
    NotBound,
    /// The server offers no encryption.
    #[error("the server offers no encryption; name one that does")]
    NoEncryption,
    /// None of the server's ways to authenticate can be used.
    #[error("the server offers no safe way to authenticate (it offers: {offered})")]
    NoMechanism {
        /// What the server offers.
        offered: String,
    },
    /// DNS says that the domain has no XMPP service (RFC 2782: the target `.`).
    #[error("{domain} says that it has no XMPP accounts; check the domain")]
    NotOffered {
        /// The account's domain.
        domain: String,
    },
    /// A session without encryption would leave this machine.
    #[error("{0} is not on this machine, so the session must be encrypted")]
    NotLoopback(String),
    /// The server accepted the login without proof that it knows the password (RFC 5802 §5).
    #[error("the server could not prove that it knows the password; it may be an impostor")]
    NotProven,
    /// What answers at the server's address does not speak TLS.
    #[error("cannot encrypt: what answers does not speak TLS; check the server and its port")]
    NotTls,
    /// The password has characters that no password can have (RFC 4013).
    #[error("the password is malformed: {0}; check the password")]
    Password(String),
    /// The server broke the protocol.
    #[error("the server broke the protocol while {during}: {why}")]
    Protocol {
        /// What was being done.
        during: &'static str,
        /// What was wrong.
        why: String,
    },
    /// The server refused the account.
    #[error("refused by the server: {0}")]
    Refused(Refusal),
    /// Another program logged in with the same resource, so the server ended this session
    /// (RFC 6120 §4.9.3.3).
    #[error(
        "another program took over this address; leave the resource out of the JID, or give each program its own"
    )]
    Replaced,
    /// The server ended the stream with an error.
    #[error("the server ended the stream: {0}")]
    Stream(Box<ReceivedStreamError>),
    /// The server cannot authenticate anybody at the moment.
    #[error("the server cannot check passwords at the moment{}; try again later", words(.0))]
    TemporaryFailure(Option<String>),
    /// A deadline passed.
    #[error("timed out while {0}")]
    TimedOut(&'static str),
    /// No encryption could be agreed on.
    #[error("cannot encrypt: {0}")]
    Tls(String),
    /// Nothing listens where the server should be.
    #[error("cannot reach {0}; check the network, or name the server")]
    Unreachable(String),
}

impl LoginFailure {
    /// A read or write failed while doing so.
    pub(crate) fn io(during: &'static str) -> impl Fn(io::Error) -> Self {
        move |why| match why.kind() {
            // tokio-xmpp 6.0.0 says so of malformed XML and of unexpected elements.
            io::ErrorKind::InvalidData => Self::protocol(during, why.to_string()),
            _ => Self::Io { during, why },
        }
    }

    pub(crate) fn protocol(during: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Protocol { during, why }
    }

    /// The features did not come.
    pub(crate) fn features(during: &'static str) -> impl Fn(RecvFeaturesError) -> Self {
        move |error| match error {
            RecvFeaturesError::Io(why) => Self::io(during)(why),
            RecvFeaturesError::StreamError(error) => Self::Stream(Box::new(error)),
        }
    }

    fn kind(&self) -> LoginErrorKind {
        match self {
            Self::NoMechanism { .. }
            | Self::NotLoopback(_)
            | Self::Password(_)
            | Self::Refused(_) => LoginErrorKind::NotAuthorised,
            Self::Certificate(_)
            | Self::ChannelBinding(_)
            | Self::NoEncryption
            | Self::NotProven => LoginErrorKind::Untrusted,
            Self::NotTls | Self::Protocol { .. } | Self::Tls(_) => LoginErrorKind::Protocol,
            _ => LoginErrorKind::Unavailable,
        }
    }

    /// Whether no other server of the domain will answer otherwise.
    pub(crate) fn concerns_account(&self) -> bool {
        matches!(
            self,
            Self::NotLoopback(_) | Self::Password(_) | Self::Refused(_)
        )
    }

    fn concerns_server(&self) -> bool {
        matches!(
            self,
            Self::Certificate(_)
                | Self::ChannelBinding(_)
                | Self::NoEncryption
                | Self::NoMechanism { .. }
                | Self::NotOffered { .. }
                | Self::NotProven
        ) || matches!(self, Self::Stream(error) if is_host_unknown(error))
    }

    /// How much this says where several servers failed, each in its own way.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::NotProven => 4,
            _ if self.concerns_server() => 3,
            Self::NotTls
            | Self::Protocol { .. }
            | Self::Stream(_)
            | Self::TemporaryFailure(_)
            | Self::Tls(_) => 2,
            Self::Unreachable(_) | Self::HostUnknown { .. } => 0,
            _ => 1,
        }
    }
}

impl From<Failure> for LoginFailure {
    fn from(failure: Failure) -> Self {
        let text = failure.texts.into_values().find(|text| !text.is_empty());
        let refused = |condition| {
            let text = text.clone();
            Self::Refused(Refusal { condition, text })
        };
        match failure.defined_condition {
            DefinedCondition::TemporaryAuthFailure => Self::TemporaryFailure(text),
            DefinedCondition::AccountDisabled => refused("the account is disabled"),
            DefinedCondition::CredentialsExpired => refused("the password has expired"),
            DefinedCondition::NotAuthorized => {
                refused("wrong name or password; check the account and the password")
            }
            DefinedCondition::EncryptionRequired => refused("it wants an encrypted session"),
            DefinedCondition::InvalidMechanism | DefinedCondition::MechanismTooWeak => {
                refused("it does not accept this way to authenticate")
            }
            DefinedCondition::Aborted
            | DefinedCondition::IncorrectEncoding
            | DefinedCondition::InvalidAuthzid
            | DefinedCondition::MalformedRequest => refused("it did not understand the login"),
        }
    }
}

/// A refusal in the server's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{condition}{}", words(.text))]
pub struct Refusal {
    condition: &'static str,
    text: Option<String>,
}

impl Refusal {
    /// A refusal whose condition nobody knows.
    pub(crate) fn unknown() -> Self {
        let (condition, text) = ("it does not say why", None);
        Self { condition, text }
    }
}

/// What is wrong with a certificate. Each reads on from "the server's certificate".
///
/// ```
/// use tubes_session::{CertificateFault, LoginFailure};
///
/// /// Whether to tell the user that the clock of this machine may be wrong.
/// fn suspects_the_clock(failure: &LoginFailure) -> bool {
///     use CertificateFault::{Expired, NotYetValid};
///     matches!(failure, LoginFailure::Certificate(Expired | NotYetValid))
/// }
///
/// let failure = LoginFailure::Certificate(CertificateFault::NotYetValid);
/// assert!(suspects_the_clock(&failure));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It was valid once.
    #[error("has expired; tell the server's operator, and check this machine's clock")]
    Expired,
    /// It is no good for another reason.
    #[error("cannot be used: {0}")]
    Invalid(String),
    /// It will be valid later.
    #[error("is not valid yet; check this machine's clock")]
    NotYetValid,
    /// Nobody who is trusted vouches for it. [`Account::with_roots_pem`](crate::Account::with_roots_pem) names
    /// whom to trust.
    #[error("is not trusted; if its CA is your own, name it")]
    UnknownIssuer,
    /// It belongs to somebody else.
    #[error("is not for {0}; check the domain and the server")]
    WrongName(String),
}

/// The kinds of failure that a program may want to tell apart.
///
/// See [`LoginError`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginErrorKind {
    /// The account was refused, or cannot be used safely here.
    NotAuthorised,
    /// The server broke the protocol.
    Protocol,
    /// The server cannot be found, reached or used at the moment.
    Unavailable,
    /// The server did not prove who it is, or offers no encryption.
    Untrusted,
}

/// Whether a connector has ever logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It has; so the settings are right.
    Again,
    /// It has not.
    First,
}

fn is_host_unknown(error: &ReceivedStreamError) -> bool {
    matches!(
        error.0.condition,
        stream_error::DefinedCondition::HostUnknown
    )
}

/// The server's own words in brackets, cut to a line.
fn words(text: &Option<String>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS)
        .collect();
    format!(" (\"{line}\")")
}

/// Characters of a server's text that fit a line.
const WORDS: usize = 200;
