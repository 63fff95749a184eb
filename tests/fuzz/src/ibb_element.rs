//! What a peer says of an in-band bytestream, one element at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tubes_ibb::{Machine, Reading, Ticket};
use tubes_transport::Kind;
use xmpp_parsers::minidom::Element;

use crate::pair::share;
use crate::xml::element;

/// Says it to an open stream: it is answered unless the answer may wait, and exactly what a
/// plain reading of XEP-0047 makes of a block reaches the reader.
pub fn ibb_element(data: &[u8]) {
    let Some(element) = element(data) else { return };
    for kind in [Kind::Ours, Kind::Other] {
        for block_size in [1, 3, 4096, u16::MAX] {
            let block = block(&element, usize::from(block_size));
            told(
                &element,
                Machine::new(kind, block_size, 4, share()),
                block.as_deref(),
            );
            asked(
                &element,
                Machine::new(kind, block_size, 4, share()),
                block.as_deref(),
            );
        }
    }
}

fn told(element: &Element, mut machine: Machine<Asked>, block: Option<&[u8]>) {
    machine.handle_tell(element);
    delivered(&machine, block);
    assert!(machine.next_answer().is_none(), "messages have no answers");
}

fn asked(element: &Element, mut machine: Machine<Asked>, block: Option<&[u8]>) {
    machine.handle_ask(Asked(element.clone()));
    delivered(&machine, block);
    let length = block.map_or(0, <[u8]>::len);
    machine.consume(length);
    machine.shut_down();
    let answered = std::iter::from_fn(|| machine.next_answer()).count();
    assert_eq!(answered, 1, "nothing keeps it from being answered");
}

fn delivered(machine: &Machine<Asked>, block: Option<&[u8]>) {
    let read = match machine.read() {
        Reading::Bytes(bytes) => bytes,
        Reading::Broken(_) | Reading::Empty | Reading::Ended => &[],
    };
    assert_eq!(read, block.unwrap_or_default());
}

/// The bytes of the first block of a stream, if that is what the element is.
fn block(element: &Element, block_size: usize) -> Option<Vec<u8>> {
    let first = element.attr("seq")?.parse() == Ok(0u16);
    if !element.is("data", NS) || !first || element.children().next().is_some() {
        return None;
    }
    let text = element.text();
    let letters: String = text.split([' ', '\t', '\r', '\n']).collect();
    let bytes = STANDARD.decode(letters).ok()?;
    // No more white space is taken than there is room for twice the block.
    let padding = 2 * block_size.div_ceil(3) * 4 + 1024;
    (bytes.len() <= block_size && text.len() <= padding).then_some(bytes)
}

/// A question that is only looked at.
#[derive(Debug)]
pub(crate) struct Asked(pub(crate) Element);

impl Ticket for Asked {
    fn payload(&self) -> &Element {
        &self.0
    }

    fn forget_payload(&mut self) {}
}

const NS: &str = "http://jabber.org/protocol/ibb";
