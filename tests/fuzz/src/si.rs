//! Requests and answers of Stream Initiation.

use tubes_protocol::ns;
use tubes_protocol::si::{SiAnswer, SiRequest};
use xmpp_parsers::minidom::Element;

use crate::xml::{element, through_text};

/// Reads an element as either half: what was read is within its bounds, is written as something
/// that reads the same, and what cannot be read has an answer that can be sent.
pub fn si(data: &[u8]) {
    let Some(element) = element(data) else { return };
    request(&element);
    answer(&element, ns::TUBES);
    for child in element.children() {
        answer(&element, &child.ns());
    }
}

fn request(element: &Element) {
    let request = match SiRequest::try_from(element) {
        Ok(request) => request,
        Err(why) => {
            through_text(&why.to_stanza_error().into());
            return;
        }
    };
    assert!((1..=256).contains(&request.id.len()));
    assert!((1..=16).contains(&request.methods.len()));
    assert!(request.methods.iter().all(|method| !method.is_empty()));
    assert!(request.extensions.len() <= 16);
    let written = through_text(&request.clone().into());
    assert_eq!(SiRequest::try_from(&written), Ok(request));
}

fn answer(element: &Element, profile: &str) {
    let Ok(answer) = SiAnswer::read(element, profile) else {
        return;
    };
    assert!(answer.methods.len() <= 16);
    assert!(answer.multiple || answer.methods.len() == 1);
    assert!(answer.extensions.len() <= 16);
    let purpose = answer.purpose.as_ref();
    assert!(purpose.is_none_or(|purpose| purpose.has_ns(profile)));
    let written = through_text(&answer.clone().into());
    assert_eq!(SiAnswer::read(&written, profile), Ok(answer));
}
