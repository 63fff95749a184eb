//! What In-Band Bytestreams say on the wire (XEP-0047 §2).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use tubes_transport::StreamId;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::minidom::{Element, Node};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// Something this side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speech {
    /// The stream is broken off, not ended. Only for peers of our own kind; others get a
    /// [`Close`](Self::Close).
    Abort,
    /// No more data follows from this side.
    Close,
    /// The next block.
    Data {
        /// Its number; counts from 0 and wraps after 65535.
        seq: u16,
        /// Its bytes, at most the negotiated block size.
        block: Bytes,
    },
    /// Shall we?
    Open {
        /// The most bytes that a block may hold.
        block_size: u16,
    },
}

impl Speech {
    /// The element that says it of `stream`.
    pub fn into_element(self, stream: &StreamId) -> Element {
        let name = match self {
            Self::Abort | Self::Close => "close",
            Self::Data { .. } => "data",
            Self::Open { .. } => "open",
        };
        let element = Element::builder(name, NS)
            .attr(xml_ncname!("sid").to_owned(), stream.as_str())
            .build();
        self.fill(element)
    }

    fn fill(self, mut element: Element) -> Element {
        let none = || xmpp_parsers::minidom::rxml::Namespace::NONE;
        match self {
            Self::Abort => {
                element.append_child(Element::bare("abort", OURS));
            }
            Self::Close => {}
            Self::Data { seq, block } => {
                element.set_attr(none(), xml_ncname!("seq").to_owned(), seq.to_string());
                element.append_node(Node::Text(STANDARD.encode(&block)));
            }
            Self::Open { block_size } => {
                let name = xml_ncname!("block-size").to_owned();
                element.set_attr(none(), name, block_size.to_string());
            }
        }
        element
    }
}

/// Something the peer says.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    Abort,
    Close,
    Data { seq: u16, block: Block<'a> },
    Foreign,
    Malformed,
    Open { block_size: u16 },
}

impl<'a> Heard<'a> {
    pub(crate) fn read(element: &'a Element) -> Self {
        if !element.has_ns(NS) {
            return Self::Foreign;
        }
        let number = |name: &str| element.attr(name).and_then(|value| value.parse().ok());
        match element.name() {
            "close" if element.has_child("abort", OURS) => Self::Abort,
            "close" => Self::Close,
            "data" => number("seq").map_or(Self::Malformed, |seq| Self::Data {
                seq,
                block: Block(element),
            }),
            // A block of no bytes could never carry any.
            "open" => match number("block-size") {
                Some(block_size) if block_size > 0 => Self::Open { block_size },
                _ => Self::Malformed,
            },
            _ => Self::Foreign,
        }
    }
}

/// A block of data as it stands on the wire: base64 text, not yet read.
#[derive(Debug)]
pub(crate) struct Block<'a>(&'a Element);

impl Block<'_> {
    /// Appends the bytes to `buffer`, or leaves it as it was.
    ///
    /// White space is tolerated, for XEP-0047's own example breaks its lines; apart from that
    /// the text must be base64 as RFC 4648 §4 writes it, padding included.
    pub(crate) fn decode(&self, buffer: &mut BytesMut, limit: usize) -> Result<usize, BadBlock> {
        let largest = limit.div_ceil(3) * 4;
        // White space is tolerated, not welcome.
        let raw: usize = self.0.texts().map(str::len).sum();
        if raw > 2 * largest + SPACE {
            return Err(BadBlock::TooLong);
        }
        let text = self.text()?;
        if text.len() > largest {
            return Err(BadBlock::TooLong);
        }
        let start = buffer.len();
        buffer.resize(start + base64::decoded_len_estimate(text.len()), 0);
        let decoded = match buffer.get_mut(start..) {
            Some(room) => STANDARD.decode_slice(text.as_bytes(), room),
            None => return Err(BadBlock::Malformed),
        };
        let outcome = match decoded {
            Ok(length) if length > limit => Err(BadBlock::TooLong),
            Ok(length) => Ok(length),
            Err(_) => Err(BadBlock::Malformed),
        };
        buffer.truncate(start + outcome.unwrap_or(0));
        outcome
    }

    /// The text without its white space; borrowed in the common case.
    fn text(&self) -> Result<Cow<'_, str>, BadBlock> {
        let mut text = Cow::Borrowed("");
        for node in self.0.nodes() {
            let Node::Text(part) = node else {
                return Err(BadBlock::Malformed);
            };
            match part.contains(is_space) {
                true => text.to_mut().extend(part.split(is_space)),
                false if text.is_empty() => text = Cow::Borrowed(part),
                false => text.to_mut().push_str(part),
            }
        }
        Ok(text)
    }
}

/// Why a block was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBlock {
    Malformed,
    TooLong,
}

/// White space that even the smallest block may have.
const SPACE: usize = 1024;

/// White space as XML has it.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// An error of the type that goes with its condition, without words.
pub(crate) fn error(condition: DefinedCondition) -> StanzaError {
    let type_ = match condition {
        DefinedCondition::ResourceConstraint => ErrorType::Wait,
        // XEP-0047 §2.2 wants even bad-request to be final.
        _ => ErrorType::Cancel,
    };
    StanzaError::new(type_, condition, "en", "")
}

/// The namespace of XEP-0047.
pub(crate) const NS: &str = "http://jabber.org/protocol/ibb";

/// The namespace of what this project adds.
const OURS: &str = "urn:x-tubes:0";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn decode(text: &str, limit: usize) -> Result<Vec<u8>, BadBlock> {
        let element: Element = format!("<data xmlns='{NS}' seq='0' sid='s'>{text}</data>")
            .parse()
            .unwrap();
        let mut buffer = BytesMut::from(&b"before"[..]);
        let length = Block(&element).decode(&mut buffer, limit);
        assert_eq!(&buffer[..6], b"before");
        assert_eq!(buffer.len(), 6 + length.unwrap_or(0));
        length.map(|_| buffer[6..].to_vec())
    }

    #[test]
    fn reads_base64_as_the_rfc_writes_it() {
        assert_eq!(decode("aGVsbG8=", 5).unwrap(), b"hello");
        assert_eq!(decode("", 5).unwrap(), b"");
    }

    #[test]
    fn tolerates_white_space_only() {
        assert_eq!(decode("\n  aGVs\n\tbG8=\r\n", 5).unwrap(), b"hello");
        assert_eq!(decode("aGVs-bG8=", 9), Err(BadBlock::Malformed));
        assert_eq!(
            decode("aGVs<x xmlns='y'/>bG8=", 9),
            Err(BadBlock::Malformed)
        );
    }

    #[test]
    fn rejects_bad_padding() {
        for text in ["aGVsbG8", "aGVsbG8==", "=AAA", "BBBB=CCC", "aGVsbG9="] {
            assert_eq!(decode(text, 9), Err(BadBlock::Malformed), "{text}");
        }
    }

    #[test]
    fn a_block_may_be_as_long_as_agreed_and_no_longer() {
        assert_eq!(decode("aGVsbG8=", 5).unwrap(), b"hello");
        assert_eq!(decode("aGVsbG8=", 4), Err(BadBlock::TooLong));
        assert_eq!(decode("aGVsbG8=", 1), Err(BadBlock::TooLong));
    }

    #[test]
    fn reads_back_what_it_says() {
        let stream = StreamId::from("s");
        let data = Speech::Data {
            seq: 65535,
            block: Bytes::from_static(b"hi"),
        };
        let element = data.into_element(&stream);
        assert_eq!(element.attr("sid"), Some("s"));
        assert!(matches!(
            Heard::read(&element),
            Heard::Data { seq: 65535, .. }
        ));
        let open = Speech::Open { block_size: 9 }.into_element(&stream);
        assert!(matches!(Heard::read(&open), Heard::Open { block_size: 9 }));
        let close = Speech::Close.into_element(&stream);
        assert!(matches!(Heard::read(&close), Heard::Close));
        let abort = Speech::Abort.into_element(&stream);
        assert!(matches!(Heard::read(&abort), Heard::Abort));
    }
}
