//! Why something said of a tube cannot be followed.

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::{ParameterError, TubeClose, TubeNumber};

/// Why something said of a tube cannot be followed.
///
/// ```
/// use tubes_protocol::tube::{Parameters, TubeError, TubeNumber, TubeOffer};
///
/// let nameless = TubeOffer::new(TubeNumber::from_random(14), "", Parameters::default());
/// assert_eq!(nameless.unwrap_err(), TubeError::ServiceInvalid);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TubeError {
    /// The element is another one.
    #[error("not an element of tubes")]
    Foreign,
    /// The number does not name a tube: no decimal number of 32 bits, or zero.
    #[error("the tube's number is not valid")]
    NumberInvalid,
    /// No number says which tube is meant.
    #[error("the tube's number is missing")]
    NumberMissing,
    /// The parameters are more than this side takes.
    #[error("the tube's parameters: {0}")]
    Parameters(#[from] ParameterError),
    /// The service's name is empty, too long, or cannot stand in XML.
    #[error("the service's name is not valid")]
    ServiceInvalid,
    /// No service is named.
    #[error("the service's name is missing")]
    ServiceMissing,
    /// The number names no tube between these two.
    #[error("no such tube")]
    Unknown,
    /// The tube carries something other than streams: D-Bus.
    #[error("a tube of another type")]
    UnknownType(TubeNumber),
}

impl TubeError {
    /// The answer to a Stream Initiation that names the tube so: Gabble's `bad-request`.
    pub fn to_stanza_error(&self) -> StanzaError {
        let condition = DefinedCondition::BadRequest;
        StanzaError::new(ErrorType::Modify, condition, "en", self.to_string())
    }

    /// Whether it is a fault of who said it, and not merely something else than a stream tube.
    pub fn is_nonsense(&self) -> bool {
        !matches!(self, Self::Foreign | Self::UnknownType(_))
    }

    /// What an offer of this sort is answered with, if anything: Gabble closes a tube of an
    /// unknown type at once.
    pub fn to_close(&self) -> Option<TubeClose> {
        match *self {
            Self::UnknownType(number) => Some(TubeClose { number }),
            _ => None,
        }
    }
}
