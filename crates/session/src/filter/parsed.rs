//! What the parser makes of what is passed on, for tests.

use xso::exports::rxml::{self, Event};

/// What the parser of tokio-xmpp makes of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) stanzas: usize,
    pub(super) deepest: usize,
    /// Nothing was wrong up to the end.
    pub(super) ends: bool,
}

pub(super) fn parsed(xml: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut depth = 0;
    let mut reader = rxml::Reader::new(xml);
    loop {
        match reader.read() {
            Ok(Some(Event::StartElement(..))) => {
                depth += 1;
                parsed.deepest = parsed.deepest.max(depth);
            }
            Ok(Some(Event::EndElement(..))) => {
                parsed.stanzas += usize::from(depth == 2);
                depth -= 1;
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                parsed.ends = true;
                return parsed;
            }
            Err(_) => return parsed,
        }
    }
}
