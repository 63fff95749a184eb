//! Why a Stream Initiation comes to nothing.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::ns;

/// Why a Stream Initiation comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiError {
    /// The profile is not understood, or its element is missing.
    #[error("the profile is not understood")]
    BadProfile,
    /// The user, or a rule of the user's, does not want it.
    #[error("declined")]
    Declined,
    /// Something that has to be there is missing or out of bounds.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// None of the transports is known to this side.
    #[error("no transport in common")]
    NoValidStreams,
}

impl SiError {
    /// The answer to the peer: the conditions and words of XEP-0095 and of Gabble.
    pub fn to_stanza_error(&self) -> StanzaError {
        use DefinedCondition::{BadRequest, Forbidden};
        use ErrorType::{Cancel, Modify};
        match self {
            Self::BadProfile => special(Modify, "bad-profile"),
            Self::Declined => StanzaError::new(Cancel, Forbidden, "en", "Offer Declined"),
            Self::Malformed(what) => {
                let text = format!("failed to parse SI request: {what}");
                StanzaError::new(Modify, BadRequest, "en", text)
            }
            Self::NoValidStreams => special(Cancel, "no-valid-streams"),
        }
    }

    /// Whether a peer's error says that it does not do what the bytestream is for.
    pub fn is_bad_profile(error: &StanzaError) -> bool {
        is_special(error, "bad-profile")
    }

    /// Whether a peer's error says that it knows none of the offered transports.
    pub fn is_no_valid_streams(error: &StanzaError) -> bool {
        is_special(error, "no-valid-streams")
    }
}

fn is_special(error: &StanzaError, condition: &str) -> bool {
    let special = error.other.as_ref();
    special.is_some_and(|element| element.is(condition, ns::SI))
}

/// A `bad-request` with a condition of Stream Initiation's own.
fn special(type_: ErrorType, condition: &str) -> StanzaError {
    let mut error = StanzaError::new(type_, DefinedCondition::BadRequest, "en", "");
    error.texts.clear();
    error.other = Some(Element::bare(condition, ns::SI));
    error
}
