//! Cuts one direction of an XMPP stream into its top-level elements, however it arrives.

use std::collections::BTreeMap;

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

/// Cuts bytes into elements; what is no XML (TLS, after a plain beginning) passes as it is.
///
/// XMPP has neither comments nor CDATA nor a DTD (RFC 6120 §11.1), so that counting tags does it.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    scanned: usize,
    depth: usize,
    place: Place,
}

/// A part of the stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// A top-level element, and how it was written.
    Element(Box<Element>, Vec<u8>),
    /// A header, white space, the end, or what is no XML.
    Raw(Vec<u8>),
}

impl Splitter {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole part. Call it until there is none.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            if self.place == Place::Opaque || self.buffer.len() > LARGEST {
                self.place = Place::Opaque;
                return self.rest();
            }
            let at = self.scanned;
            self.scanned += 1;
            let end = self.handle(byte, at);
            if let Some((length, what)) = end.filter(|(length, _)| *length > 0) {
                return Some(self.take(length, what));
            }
        }
        match self.place {
            // White space between stanzas is not kept waiting.
            Place::Text if self.depth <= 1 => self.rest(),
            Place::Opaque => self.rest(),
            _ => None,
        }
    }

    /// What is left when the stream has ended.
    pub(crate) fn rest(&mut self) -> Option<Piece> {
        self.scanned = 0;
        let rest = std::mem::take(&mut self.buffer);
        (!rest.is_empty()).then_some(Piece::Raw(rest))
    }

    /// Takes note of the byte at this place: where a part ends, and what it is.
    fn handle(&mut self, byte: u8, at: usize) -> Option<(usize, What)> {
        match &mut self.place {
            Place::Opaque => {}
            Place::Text if byte == b'<' => {
                self.place = Place::Less;
                return (self.depth <= 1).then_some((at, What::Raw));
            }
            Place::Text if self.depth <= 1 && !byte.is_ascii_whitespace() => {
                self.place = Place::Opaque;
            }
            Place::Text => {}
            Place::Less => {
                self.place = match byte {
                    b'/' => Place::Tag(Tag::End, None),
                    b'?' | b'!' => Place::Tag(Tag::Prolog, None),
                    _ => Place::Tag(Tag::Start, None),
                }
            }
            Place::Tag(_, quote) => match (*quote, byte) {
                (Some(open), _) if open == byte => *quote = None,
                (None, b'"' | b'\'') => *quote = Some(byte),
                (None, b'>') => return self.handle_tag(at),
                _ => {}
            },
        }
        None
    }

    fn handle_tag(&mut self, at: usize) -> Option<(usize, What)> {
        let tag = match &self.place {
            Place::Tag(tag, _) => *tag,
            _ => return None,
        };
        self.place = Place::Text;
        let empty = at > 0 && self.buffer.get(at - 1) == Some(&b'/');
        // RFC 6120 §4.3.3: after authentication a stream begins anew on the same connection.
        let header = self.depth == 0 || self.buffer.starts_with(b"<stream:stream");
        let what = match tag {
            Tag::Prolog => {
                self.depth = 0;
                What::Raw
            }
            Tag::Start if header => {
                self.depth = 1;
                What::Raw
            }
            Tag::Start if empty && self.depth == 1 => What::Element,
            Tag::Start if empty => return None,
            Tag::Start => {
                self.depth += 1;
                return None;
            }
            Tag::End => {
                self.depth = self.depth.saturating_sub(1);
                match self.depth {
                    0 => What::Raw,
                    1 => What::Element,
                    _ => return None,
                }
            }
        };
        Some((at + 1, what))
    }

    fn take(&mut self, length: usize, what: What) -> Piece {
        let rest = self.buffer.split_off(length);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        self.scanned -= length;
        let element = match what {
            What::Element => parse(&bytes),
            What::Raw => None,
        };
        match element {
            Some(element) => Piece::Element(Box::new(element), bytes),
            None => Piece::Raw(bytes),
        }
    }
}

/// Reads an element with the prefixes that all streams declare in their headers.
fn parse(bytes: &[u8]) -> Option<Element> {
    let prefixes = BTreeMap::from([
        (None, ns::DEFAULT_NS.to_owned()),
        (Some("stream".to_owned()), ns::STREAM.to_owned()),
    ]);
    Element::from_reader_with_prefixes(bytes, prefixes).ok()
}

#[derive(Clone, Copy, Debug)]
enum What {
    Element,
    Raw,
}

/// Where the scan stands.
#[derive(Debug, Default, PartialEq)]
enum Place {
    /// Behind a `<`.
    Less,
    /// In what is no XML.
    Opaque,
    /// In a tag, and maybe in an attribute's value between such quotes.
    Tag(Tag, Option<u8>),
    #[default]
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    End,
    Prolog,
    Start,
}

/// Four times what servers take; what is longer is no stanza.
const LARGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const STREAM: &str = "<?xml version='1.0'?>\
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
        <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>\
        <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
        <r xmlns='urn:xmpp:sm:3'/> \n<iq id='a>b\"'><x><y/></x></iq>\
        <message><body>a &lt; b</body></message></stream:stream>";

    const NAMES: [&str; 5] = ["features", "success", "r", "iq", "message"];

    fn split(stream: &[u8], chunk: usize) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut names, mut passed) = (Vec::new(), Vec::new());
        for chunk in stream.chunks(chunk) {
            splitter.push(chunk);
            while let Some(piece) = splitter.next_piece() {
                match piece {
                    Piece::Element(element, bytes) => {
                        names.push(element.name().to_owned());
                        passed.extend(bytes);
                    }
                    Piece::Raw(bytes) => passed.extend(bytes),
                }
            }
        }
        (names, passed)
    }

    #[test]
    fn finds_the_same_elements_however_the_stream_arrives() {
        for chunk in 1..STREAM.len() {
            let (names, passed) = split(STREAM.as_bytes(), chunk);
            assert_eq!(names, NAMES, "in chunks of {chunk}");
            assert_eq!(passed, STREAM.as_bytes());
        }
    }

    #[test]
    fn keeps_nothing_back_but_an_element_that_is_not_over() {
        let mut splitter = Splitter::default();
        splitter.push(b"<stream:stream> <iq><x>");
        let header = Piece::Raw(b"<stream:stream>".to_vec());
        assert_eq!(splitter.next_piece(), Some(header));
        assert_eq!(splitter.next_piece(), Some(Piece::Raw(b" ".to_vec())));
        assert_eq!(splitter.next_piece(), None);
        assert_eq!(splitter.rest(), Some(Piece::Raw(b"<iq><x>".to_vec())));
    }

    #[test]
    fn lets_pass_what_is_no_xml() {
        let mut stream = b"<stream:stream><starttls xmlns='x'/>".to_vec();
        stream.extend([0x16, 3, 1, b'<', b'/', 0, b'<', b'a', b'>']);
        for chunk in 1..stream.len() {
            let (names, passed) = split(&stream, chunk);
            assert_eq!(names, ["starttls"]);
            assert_eq!(passed, stream, "in chunks of {chunk}");
        }
    }

    #[test]
    fn reads_elements_by_the_prefixes_of_the_header() {
        let mut splitter = Splitter::default();
        splitter.push(b"<stream:stream><iq id='1'/>");
        assert!(matches!(splitter.next_piece(), Some(Piece::Raw(_))));
        let Some(Piece::Element(iq, _)) = splitter.next_piece() else {
            panic!("no element");
        };
        assert!(iq.is("iq", ns::DEFAULT_NS));
    }
}
