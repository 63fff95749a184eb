//! Refusing a file in answer to its offer.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::Reason;
use crate::ns;

impl Reason {
    /// The answer to the offer of a file that cannot be taken: a condition that every peer knows, and for our own
    /// kind `<failed/>`, which says more.
    pub fn to_stanza_error(self) -> StanzaError {
        let (type_, condition, text) = match self {
            // How Gabble says no (XEP-0095 §3).
            Self::Cancelled => (
                ErrorType::Cancel,
                DefinedCondition::Forbidden,
                "Offer Declined",
            ),
            Self::Exists => (
                ErrorType::Cancel,
                DefinedCondition::Conflict,
                "there is a file of that name",
            ),
            Self::Full | Self::Quota => (
                ErrorType::Wait,
                DefinedCondition::ResourceConstraint,
                "there is no room for the file",
            ),
            _ => (
                ErrorType::Cancel,
                DefinedCondition::NotAcceptable,
                "the file cannot be written there",
            ),
        };
        let mut error = StanzaError::new(type_, condition, "en", text);
        let failed = Element::builder(FAILED, ns::KIND)
            .attr(xml_ncname!("reason").into(), self.name())
            .build();
        error.other = Some(failed);
        error
    }

    /// What our own kind says with such an answer; nothing if it is another answer, or somebody else's.
    pub fn of(error: &StanzaError) -> Option<Self> {
        let failed = error.other.as_ref()?;
        let failed = failed.is(FAILED, ns::KIND).then_some(failed)?;
        Some(Self::named(failed.attr("reason")?))
    }
}

/// The name of the element.
const FAILED: &str = "failed";
