//! Offers of tubes, their parameters, closes, and requests for connections.

use tubes_protocol::tube::{Parameters, StreamFor, TubeClose, TubeError, TubeOffer, Value};
use xmpp_parsers::minidom::Element;

use crate::xml::{element, through_text};

/// Reads an element as everything that tubes say: what was read is within its bounds, is written
/// as something that reads the same, and what cannot be read has an answer that can be sent.
pub fn tube(data: &[u8]) {
    let Some(element) = element(data) else { return };
    if let Some(offer) = or_answered(TubeOffer::try_from(&element)) {
        assert!((1..=256).contains(&offer.service().len()));
        bounded(offer.parameters());
        for payload in offer.clone().payloads() {
            through_text(&payload);
        }
        let written = through_text(&offer.clone().into());
        assert_eq!(TubeOffer::try_from(&written), Ok(offer));
    }
    if let Some(close) = or_answered(TubeClose::try_from(&element)) {
        let written = through_text(&close.into());
        assert_eq!(TubeClose::try_from(&written), Ok(close));
    }
    if let Some(stream) = or_answered(StreamFor::try_from(&element)) {
        let written = through_text(&stream.into());
        assert_eq!(StreamFor::try_from(&written), Ok(stream));
    }
    if let Ok(parameters) = Parameters::try_from(&element) {
        bounded(&parameters);
    }
}

fn or_answered<T>(read: Result<T, TubeError>) -> Option<T> {
    let why = match read {
        Ok(read) => return Some(read),
        Err(why) => why,
    };
    through_text(&why.to_stanza_error().into());
    for payload in why.to_close().into_iter().flat_map(TubeClose::payloads) {
        through_text(&payload);
    }
    None
}

/// At most 64, and 64 KiB in all; every one has a name of its own, and a value.
fn bounded(parameters: &Parameters) {
    assert!(parameters.len() <= 64);
    let size = |(name, value): (&str, &Value)| {
        let value = match value {
            Value::Bytes(bytes) => bytes.len(),
            Value::Str(text) => text.len(),
            Value::Bool(_) => 1,
            Value::Int(_) | Value::Uint(_) => 4,
        };
        assert!(value > 0 && !name.is_empty());
        name.len() + value
    };
    assert!(parameters.iter().map(size).sum::<usize>() <= 64 * 1024);
    for (name, value) in parameters.iter() {
        assert_eq!(parameters.get(name), Some(value));
    }
    let read = through_text(&Element::from(parameters));
    assert_eq!(Parameters::try_from(&read).as_ref(), Ok(parameters));
}
