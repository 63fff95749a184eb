//! Why something did not go well, in words and in kinds.

use std::fmt;

use tubes_secure::Fingerprint;
use xmpp_parsers::jid::BareJid;

/// Why something ended that was not meant to.
///
/// ```
/// use tubes_actors::{Failure, FailureKind};
///
/// fn advice(failure: &Failure) -> &'static str {
///     match failure.kind {
///         FailureKind::Declined => "ask why",
///         FailureKind::Gone | FailureKind::TimedOut => "try again later",
///         _ => "read the message",
///     }
/// }
///
/// let failure = Failure {
///     kind: FailureKind::Gone,
///     message: "fernand@example.net went offline".to_owned(),
///     remedy: None,
/// };
/// assert_eq!(advice(&failure), "try again later");
/// assert_eq!(failure.to_string(), "fernand@example.net went offline");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of reason.
    pub kind: FailureKind,
    /// What failed, for whom, and why; without a full stop.
    pub message: String,
    /// What would mend it, if it is for the application, or its user, to mend.
    pub remedy: Option<Remedy>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn with_remedy(mut self, remedy: Option<Remedy>) -> Self {
        self.remedy = remedy;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What would mend a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Accepting a new key of a contact in the store of keys, once it was compared.
    AcceptKey {
        /// Whose.
        contact: BareJid,
        /// Which.
        key: Fingerprint,
    },
    /// Allowing plain connections, with [`Encryption::Preferred`](tubes_secure::Encryption::Preferred).
    AllowPlain,
    /// Entering the room by another name.
    OtherName,
    /// Entering the room with its password.
    RoomPassword,
    /// Turning encryption off for whom it is about, with
    /// [`Encryption::Off`](tubes_secure::Encryption::Off), if it is right that they do not encrypt any more.
    StopEncrypting,
}

/// The kinds of reasons.
///
/// See [`Failure`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The other side closed it.
    Closed,
    /// The other side did not want it.
    Declined,
    /// The other side, or the server, is no longer there.
    Gone,
    /// A local socket failed, or this program did.
    Io,
    /// Too many at a time.
    Limit,
    /// The other side broke the protocol.
    Protocol,
    /// The other side, or the service, refused it.
    Refused,
    /// Something took too long.
    TimedOut,
    /// No way to the other side was found.
    Unreachable,
    /// The other side is not, or cannot be, who it has to be; or this side is not, to the other.
    Untrusted,
}
