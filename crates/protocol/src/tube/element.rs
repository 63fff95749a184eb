//! Offering a tube, asking for a connection through it, and closing it, as XML.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;

use super::{Parameters, TubeError};
use crate::{ns, xml};

/// The number by which two peers know a tube, drawn by the offerer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TubeNumber(NonZeroU32);

impl TubeNumber {
    /// A number, unless it is zero.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Draws a number from random bits: one of 1 to 2³¹-1, as Gabble draws them.
    pub fn from_random(bits: u32) -> Self {
        // Dropping the sign bit leaves 0 only for two values of `bits`; they share 1.
        Self(NonZeroU32::new(bits >> 1).unwrap_or(NonZeroU32::MIN))
    }

    /// The number as an integer.
    pub fn value(self) -> u32 {
        self.0.get()
    }

    fn read(element: &Element, attribute: &str) -> Result<Self, TubeError> {
        match element.attr(attribute) {
            Some(number) => number.parse(),
            None => Err(TubeError::NumberMissing),
        }
    }
}

impl FromStr for TubeNumber {
    type Err = TubeError;

    fn from_str(number: &str) -> Result<Self, TubeError> {
        let number = number
            .trim()
            .parse()
            .map_err(|_| TubeError::NumberInvalid)?;
        Self::new(number).ok_or(TubeError::NumberInvalid)
    }
}

impl fmt::Display for TubeNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `<tube type='stream' service='…' id='…'/>` in a message: a service is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct TubeOffer {
    number: TubeNumber,
    service: String,
    parameters: Parameters,
}

impl TubeOffer {
    /// An offer of `service`, which has 1 to 256 bytes that XML can carry.
    pub fn new(
        number: TubeNumber,
        service: impl Into<String>,
        parameters: Parameters,
    ) -> Result<Self, TubeError> {
        let service = service.into();
        if service.is_empty() || service.len() > SERVICE || !xml::can_carry(&service) {
            return Err(TubeError::ServiceInvalid);
        }
        Ok(Self {
            number,
            service,
            parameters,
        })
    }

    /// The number by which the tube is known from now on.
    pub fn number(&self) -> TubeNumber {
        self.number
    }

    /// What is offered.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What the offerer says of it.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The payloads of the message that makes the offer, which goes to a full JID and has no
    /// type and no body.
    pub fn payloads(self) -> Vec<Element> {
        not_to_be_stored(self.into())
    }
}

impl TryFrom<&Element> for TubeOffer {
    type Error = TubeError;

    /// Reads an offer. Where it fails, [`TubeError::to_close`] says whether to answer.
    fn try_from(tube: &Element) -> Result<Self, TubeError> {
        if !tube.is("tube", ns::TUBES) {
            return Err(TubeError::Foreign);
        }
        let number = TubeNumber::read(tube, "id")?;
        if tube.attr("type") != Some("stream") {
            return Err(TubeError::UnknownType(number));
        }
        let service = tube.attr("service").ok_or(TubeError::ServiceMissing)?;
        let parameters = match tube.get_child("parameters", ns::TUBES) {
            Some(parameters) => parameters.try_into()?,
            None => Parameters::default(),
        };
        Self::new(number, service, parameters)
    }
}

impl From<TubeOffer> for Element {
    fn from(offer: TubeOffer) -> Self {
        Self::builder("tube", ns::TUBES)
            .attr(xml_ncname!("type").into(), "stream")
            .attr(xml_ncname!("service").into(), offer.service)
            .attr(xml_ncname!("id").into(), offer.number.value())
            .append(Self::from(&offer.parameters))
            .build()
    }
}

/// `<close/>` in a message: the tube is withdrawn, left or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TubeClose {
    /// Which tube.
    pub number: TubeNumber,
}

impl TubeClose {
    /// The payloads of the message that closes the tube.
    pub fn payloads(self) -> Vec<Element> {
        not_to_be_stored(self.into())
    }
}

impl TryFrom<&Element> for TubeClose {
    type Error = TubeError;

    fn try_from(close: &Element) -> Result<Self, TubeError> {
        if !close.is("close", ns::TUBES) {
            return Err(TubeError::Foreign);
        }
        let number = TubeNumber::read(close, "tube");
        let number = number.or_else(|why| TubeNumber::read(close, "id").map_err(|_| why))?;
        Ok(Self { number })
    }
}

impl From<TubeClose> for Element {
    fn from(close: TubeClose) -> Self {
        // Gabble before 0.17 reads `tube`; later ones read `id` but themselves send `tube`.
        Self::builder("close", ns::TUBES)
            .attr(xml_ncname!("tube").into(), close.number.value())
            .attr(xml_ncname!("id").into(), close.number.value())
            .build()
    }
}

/// `<stream tube='…'/>` in a Stream Initiation, `<muc-stream/>` in a room: a connection through a tube is
/// asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFor {
    /// Which tube.
    pub number: TubeNumber,
    /// Where it was offered.
    pub setting: Setting,
}

/// Where a tube is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// To a contact.
    Private,
    /// In a chat room, to everybody there.
    Room,
}

impl StreamFor {
    /// `<tube/>`, which the answer to such a Stream Initiation carries.
    pub fn answer() -> Element {
        Element::bare("tube", ns::TUBES)
    }
}

impl TryFrom<&Element> for StreamFor {
    type Error = TubeError;

    fn try_from(stream: &Element) -> Result<Self, TubeError> {
        let settings = [Setting::Private, Setting::Room];
        let setting = settings
            .into_iter()
            .find(|setting| stream.is(setting.element(), ns::TUBES))
            .ok_or(TubeError::Foreign)?;
        let number = TubeNumber::read(stream, "tube")?;
        Ok(Self { number, setting })
    }
}

impl From<StreamFor> for Element {
    fn from(stream: StreamFor) -> Self {
        Self::builder(stream.setting.element(), ns::TUBES)
            .attr(xml_ncname!("tube").into(), stream.number.value())
            .build()
    }
}

impl Setting {
    fn element(self) -> &'static str {
        match self {
            Self::Private => "stream",
            Self::Room => "muc-stream",
        }
    }
}

/// Adds what keeps servers from storing or copying a message that matters only now and only to
/// this one resource (XEP-0079, and XEP-0334 for the servers of today).
fn not_to_be_stored(payload: Element) -> Vec<Element> {
    let amp = Element::builder("amp", ns::AMP)
        .append(rule("deliver-at", "stored"))
        .append(rule("match-resource", "exact"))
        .build();
    vec![
        payload,
        amp,
        Element::bare("no-copy", ns::HINTS),
        Element::bare("no-store", ns::HINTS),
    ]
}

fn rule(condition: &str, value: &str) -> Element {
    Element::builder("rule", ns::AMP)
        .attr(xml_ncname!("condition").into(), condition)
        .attr(xml_ncname!("value").into(), value)
        .attr(xml_ncname!("action").into(), "error")
        .build()
}

/// Bytes in a service's name, which the user gets to see.
pub(crate) const SERVICE: usize = 256;
