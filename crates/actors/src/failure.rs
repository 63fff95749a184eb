//! From the errors of the layers below to what the application is told.

use std::io::ErrorKind;

use tubes_local::{DialError, SpliceError};
use tubes_protocol::room::{Exit, Removal};
use tubes_protocol::tube::Ended;
use tubes_secure::{Distrust, SecureError};
use tubes_transport::foreign::{named, said};
use tubes_transport::{OpenError, Tried};
use xmpp_parsers::jid::{BareJid, FullJid};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::event::{Failure, FailureKind, Remedy};

/// A negotiation that came to nothing.
pub(crate) fn open(error: &OpenError) -> Failure {
    let kind = match error {
        OpenError::Exhausted(_) => FailureKind::Unreachable,
        OpenError::Gone(_) => FailureKind::Gone,
        OpenError::Protocol(_) => FailureKind::Protocol,
        OpenError::Refused(why) if why.defined_condition == DefinedCondition::Forbidden => {
            FailureKind::Declined
        }
        OpenError::Refused(why) if why.defined_condition == DefinedCondition::PolicyViolation => {
            FailureKind::Untrusted
        }
        OpenError::Refused(why) if is_absence(&why.defined_condition) => FailureKind::Unreachable,
        OpenError::Refused(_) => FailureKind::Refused,
        OpenError::TimedOut(_) => FailureKind::TimedOut,
        _ => FailureKind::Io,
    };
    Failure::new(kind, error.to_string())
}

/// The same in a room, which may forbid what tubes are made of.
pub(crate) fn open_in_room(room: &BareJid, error: &OpenError) -> Failure {
    match error {
        // Occupants refuse in other ways, Gabble, too.
        OpenError::Refused(why) if why.defined_condition == DefinedCondition::NotAllowed => {
            let why = format!(
                "{room} forbids private queries between occupants, and with them tubes: its owner has \
                 to allow them (allow_query_users in ejabberd)"
            );
            Failure::new(FailureKind::Refused, why)
        }
        error => open(error),
    }
}

/// Whether the peer does not know the tube: our own kind and Gabble both answer so.
pub(crate) fn is_disowned(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Refused(why) if why.defined_condition == DefinedCondition::BadRequest
    )
}

/// A local socket that programs can no longer connect to.
pub(crate) fn listener(why: &str) -> Failure {
    Failure::new(FailureKind::Io, format!("the local socket failed: {why}"))
}

/// Whether somebody, or the service, is not there, as opposed to unwilling.
fn is_absence(condition: &DefinedCondition) -> bool {
    matches!(
        condition,
        DefinedCondition::RecipientUnavailable
            | DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
            | DefinedCondition::ServiceUnavailable
    )
}

/// A service that was not reached.
pub(crate) fn dial(error: &DialError) -> Failure {
    let kind = match error {
        DialError::Exhausted { .. } => FailureKind::Limit,
        DialError::TimedOut { .. } => FailureKind::TimedOut,
        DialError::Refused { .. } => FailureKind::Refused,
        _ => FailureKind::Unreachable,
    };
    Failure::new(kind, error.to_string())
}

/// A service that takes one connection, and had it.
pub(crate) fn spent() -> Failure {
    let why = "standard input and output are in use by another connection";
    Failure::new(FailureKind::Limit, why)
}

/// A contact that is not trusted.
pub(crate) fn distrust(why: &Distrust) -> Failure {
    let kind = match why {
        Distrust::Store(_) => FailureKind::Io,
        Distrust::Malformed(_) => FailureKind::Protocol,
        _ => FailureKind::Untrusted,
    };
    let remedy = match why {
        Distrust::Downgrade(_) => Some(Remedy::StopEncrypting),
        Distrust::OtherKey { contact, key } => Some(Remedy::AcceptKey {
            contact: contact.clone(),
            key: key.clone(),
        }),
        Distrust::Plain(_) => Some(Remedy::AllowPlain),
        _ => None,
    };
    Failure::new(kind, why.to_string()).with_remedy(remedy)
}

/// The same in words for the contact, who is told no more than it needs.
pub(crate) fn distrust_for_peer(why: &Distrust) -> StanzaError {
    let text = match why {
        Distrust::Plain(_) | Distrust::Downgrade(_) => "end-to-end encryption is required here",
        Distrust::OtherKey { .. } | Distrust::OtherOccupant { .. } => {
            "the key of this device is not known there, and was not accepted yet"
        }
        Distrust::Revoked { .. } => "this device was revoked",
        _ => "keys cannot be checked there",
    };
    StanzaError::new(
        ErrorType::Modify,
        DefinedCondition::PolicyViolation,
        "en",
        text,
    )
}

/// A bytestream that could not be encrypted.
pub(crate) fn secure(why: &SecureError) -> Failure {
    let kind = match why {
        SecureError::Distrust(why) => return distrust(why),
        SecureError::Untrusted(_) => FailureKind::Untrusted,
        SecureError::TimedOut => FailureKind::TimedOut,
        SecureError::Io(_) => FailureKind::Gone,
        _ => FailureKind::Io,
    };
    Failure::new(kind, why.to_string())
}

/// A connection that broke.
pub(crate) fn splice(error: &SpliceError) -> Failure {
    let kind = match error {
        SpliceError::Remote(error) if tubes_secure::is_untrusted(error) => FailureKind::Untrusted,
        SpliceError::Remote(error) => match error.kind() {
            ErrorKind::ConnectionAborted => FailureKind::Gone,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => FailureKind::Closed,
            ErrorKind::InvalidData => FailureKind::Protocol,
            ErrorKind::TimedOut => FailureKind::TimedOut,
            _ => FailureKind::Io,
        },
        SpliceError::Stopped => return abandoned(),
        _ => FailureKind::Io,
    };
    Failure::new(kind, error.to_string())
}

/// A tube that ended against this side's will.
pub(crate) fn ended(ended: Ended, peer: &str) -> Failure {
    let peer = named(peer);
    match ended {
        Ended::ByPeer => Failure::new(FailureKind::Closed, format!("{peer} closed the tube")),
        Ended::Declined => Failure::new(FailureKind::Declined, format!("{peer} declined the tube")),
        Ended::Left => Failure::new(FailureKind::Gone, format!("{peer} left the room")),
        Ended::PeerGone => Failure::new(
            FailureKind::Gone,
            format!("{peer} went offline and did not return"),
        ),
    }
}

/// A room that this side is not in.
pub(crate) fn room(room: &BareJid, why: &Exit, reason: Option<&str>) -> Failure {
    let (kind, what) = match why {
        Exit::Removed(removal) => removed(*removal),
        Exit::Refused(condition) => refused(condition),
        Exit::Silent => (FailureKind::TimedOut, "does not answer"),
    };
    let remedy = match why {
        Exit::Refused(DefinedCondition::Conflict) => Some(Remedy::OtherName),
        Exit::Refused(DefinedCondition::NotAuthorized) => Some(Remedy::RoomPassword),
        _ => None,
    };
    let words = reason.map(|reason| format!(": {}", said(reason)));
    let message = format!("{room} {what}{}", words.unwrap_or_default());
    Failure::new(kind, message).with_remedy(remedy)
}

/// Somebody did not want this side there any more, or there is no room any more.
fn removed(removal: Removal) -> (FailureKind, &'static str) {
    match removal {
        Removal::Banned => (FailureKind::Refused, "has banned this account"),
        Removal::Destroyed => (FailureKind::Gone, "was destroyed"),
        Removal::Failed => (FailureKind::Gone, "was lost by its service"),
        Removal::Kicked => (
            FailureKind::Refused,
            "has put this account out: it was kicked",
        ),
        Removal::NotAMember => (
            FailureKind::Refused,
            "is for members only, and this account is none",
        ),
        Removal::ShutDown => (FailureKind::Gone, "went down with its service"),
    }
}

/// What the refusals of XEP-0045 §7.2 stand for.
fn refused(condition: &DefinedCondition) -> (FailureKind, &'static str) {
    match condition {
        DefinedCondition::NotAuthorized => (
            FailureKind::Declined,
            "wants a password, or another one: enter it with that",
        ),
        DefinedCondition::Forbidden => {
            let what = "has banned this account, or the server does not reach its service";
            (FailureKind::Declined, what)
        }
        DefinedCondition::RegistrationRequired => {
            let what = "is for members only: ask its owner to be made one";
            (FailureKind::Declined, what)
        }
        DefinedCondition::NotAllowed => (
            FailureKind::Declined,
            "does not exist and may not be made by this account, or the server does not reach its service",
        ),
        DefinedCondition::ItemNotFound => (
            FailureKind::Unreachable,
            "is being made by somebody else: try again in a moment",
        ),
        DefinedCondition::Conflict => (
            FailureKind::Limit,
            "has others by all names that were tried: choose another one",
        ),
        DefinedCondition::ServiceUnavailable => (FailureKind::Limit, "is full"),
        DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout => (
            FailureKind::Unreachable,
            "is not reached: is its name right?",
        ),
        _ => (FailureKind::Refused, "refuses this account"),
    }
}

/// Somebody who is in the room no more.
pub(crate) fn not_there(peer: &FullJid) -> Failure {
    Failure::new(
        FailureKind::Gone,
        format!("{} is not in the room", named(peer)),
    )
}

/// Somebody who went offline before its offer was decided on.
pub(crate) fn offerer_gone(peer: &FullJid) -> Failure {
    Failure::new(FailureKind::Gone, format!("{} went offline", named(peer)))
}

/// The account went down with everything on it.
pub(crate) fn session(why: &str) -> Failure {
    Failure::new(FailureKind::Gone, why)
}

/// A connection that was still busy when its tube had to close.
pub(crate) fn abandoned() -> Failure {
    Failure::new(FailureKind::Closed, "cut off: the tube was closed")
}

/// Something in this program went wrong.
pub(crate) fn internal() -> Failure {
    Failure::new(
        FailureKind::Io,
        "an internal error ended it; the log says more",
    )
}

/// What ended while its events were missed.
pub(crate) fn missed() -> Failure {
    let why = "it ended while events were missed: why is not known";
    Failure::new(FailureKind::Limit, why)
}

/// An attempt that failed, as names and reasons for people.
pub(crate) fn tried(tried: &Tried) -> (String, String) {
    let name = tried
        .transport
        .rsplit('/')
        .next()
        .unwrap_or(tried.transport);
    (name.to_owned(), tried.reason.to_string())
}
