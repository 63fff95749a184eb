//! Giving a file up before, or beside, its bytestream.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use super::{FileError, Reason};
use crate::ns;

/// `<withdraw stream='…' reason='…'/>` in a message between our own kind: the sender has given the file
/// up. Stream Initiation has no word for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The bytestream's identifier.
    pub stream: String,
    /// Why.
    pub reason: Reason,
}

impl Withdrawal {
    /// Whether an element is one, well-formed or not.
    pub fn is(element: &Element) -> bool {
        element.is(NAME, ns::KIND)
    }

    /// The payloads of the message.
    pub fn payloads(self) -> Vec<Element> {
        let hints = ["no-copy", "no-store"].map(|hint| Element::bare(hint, ns::HINTS));
        [self.into()].into_iter().chain(hints).collect()
    }
}

impl TryFrom<&Element> for Withdrawal {
    type Error = FileError;

    fn try_from(withdraw: &Element) -> Result<Self, FileError> {
        if !Self::is(withdraw) {
            return Err(FileError::Foreign);
        }
        let stream = withdraw.attr("stream").ok_or(FileError::StreamMissing)?;
        let reason = withdraw.attr("reason").unwrap_or_default();
        Ok(Self {
            stream: stream.to_owned(),
            reason: Reason::named(reason),
        })
    }
}

impl From<Withdrawal> for Element {
    fn from(withdrawal: Withdrawal) -> Self {
        Self::builder(NAME, ns::KIND)
            .attr(xml_ncname!("stream").into(), withdrawal.stream)
            .attr(xml_ncname!("reason").into(), withdrawal.reason.name())
            .build()
    }
}

/// The name of the element.
const NAME: &str = "withdraw";
