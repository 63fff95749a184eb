//! Bytes as the elements that a session hands on.

use xmpp_parsers::minidom::Element;

/// One element, if the bytes are one.
pub(crate) fn element(data: &[u8]) -> Option<Element> {
    str::from_utf8(data).ok()?.parse().ok()
}

/// What the other side reads of an element that is sent.
pub(crate) fn through_text(element: &Element) -> Element {
    let text = String::from(element);
    match text.parse() {
        Ok(read) => read,
        Err(why) => panic!("{why}: {text}"),
    }
}
