//! What stands on the wire, stanza by stanza: as XEP-0047 and as Gabble 0.18 and 0.19 speak.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod budget;
mod closing;
mod probing;

use std::time::Instant;

use tubes_ibb::{Fault, Machine, Reading, Ticket};
use tubes_transport::{Kind, Share, StreamId};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

const IBB: &str = "http://jabber.org/protocol/ibb";

struct Asked(u32, Element);

impl Ticket for Asked {
    fn payload(&self) -> &Element {
        &self.1
    }

    fn forget_payload(&mut self) {}
}

/// One engine, and a peer that is played by hand.
struct Peer {
    machine: Machine<Asked>,
    asked: u32,
    /// The number of the next block that is acknowledged.
    acked: u16,
}

impl Peer {
    fn new(kind: Kind, block_size: u16) -> Self {
        let peer = "fernand@tubes.example".parse().unwrap();
        Self::with(kind, block_size, Share::alone(peer))
    }

    fn with(kind: Kind, block_size: u16, share: Share) -> Self {
        Self {
            machine: Machine::new(kind, block_size, 16, share),
            asked: 0,
            acked: 0,
        }
    }

    /// Asks; what is answered at once: each question's number and its error, if any.
    fn ask(&mut self, payload: &str) -> Vec<(u32, Option<DefinedCondition>)> {
        self.asked += 1;
        let asked = Asked(self.asked, element(payload));
        self.machine.handle_ask(asked);
        self.answers()
    }

    fn tell(&mut self, payload: &str) {
        self.machine.handle_tell(&element(payload));
    }

    fn answers(&mut self) -> Vec<(u32, Option<DefinedCondition>)> {
        std::iter::from_fn(|| self.machine.next_answer())
            .map(|(asked, outcome)| (asked.0, outcome.err()))
            .collect()
    }

    /// What the engine says, as it stands on the wire.
    fn says(&mut self) -> Vec<Element> {
        std::iter::from_fn(|| self.machine.next_speech())
            .map(|speech| speech.into_element(&StreamId::from("s1")))
            .collect()
    }

    fn ack(&mut self) {
        let now = Instant::now();
        self.machine.handle_acked(self.acked, now, now);
        self.acked += 1;
    }

    fn read(&mut self) -> Vec<u8> {
        let Reading::Bytes(bytes) = self.machine.read() else {
            return Vec::new();
        };
        let bytes = bytes.to_vec();
        self.machine.consume(bytes.len());
        bytes
    }

    fn fault(&self) -> Fault {
        match self.machine.read() {
            Reading::Broken(fault) => fault.clone(),
            found => panic!("{found:?}"),
        }
    }
}

fn element(text: &str) -> Element {
    let text = text.replacen(' ', &format!(" xmlns='{IBB}' sid='s1' "), 1);
    text.parse().unwrap()
}

fn granted(number: u32) -> Vec<(u32, Option<DefinedCondition>)> {
    vec![(number, None)]
}

fn refused(number: u32, why: DefinedCondition) -> Vec<(u32, Option<DefinedCondition>)> {
    vec![(number, Some(why))]
}

#[test]
fn data_is_numbered_from_0_in_base64() {
    let mut peer = Peer::new(Kind::Other, 4);
    assert_eq!(peer.machine.write(b"hello world"), Ok(11));
    let first = [
        element("<data seq='0'>aGVsbA==</data>"),
        element("<data seq='1'>byB3bw==</data>"),
    ];
    // Two at first, for nothing is known of the path.
    assert_eq!(peer.says(), first);
    peer.ack();
    assert_eq!(peer.says(), [element("<data seq='2'>cmxk</data>")]);
}

#[test]
fn small_writes_go_at_once_and_together_when_the_window_is_full() {
    let mut peer = Peer::new(Kind::Other, 4096);
    for byte in [b"a", b"b"] {
        peer.machine.write(byte).unwrap();
        assert_eq!(peer.says().len(), 1);
    }
    for byte in [b"c", b"d"] {
        peer.machine.write(byte).unwrap();
        assert_eq!(peer.says(), []);
    }
    peer.ack();
    assert_eq!(peer.says(), [element("<data seq='2'>Y2Q=</data>")]);
}

#[test]
fn a_gabble_that_agreed_on_blocks_of_one_byte_gets_them() {
    let mut peer = Peer::new(Kind::Other, 1);
    peer.machine.write(b"hi").unwrap();
    let said = [
        element("<data seq='0'>aA==</data>"),
        element("<data seq='1'>aQ==</data>"),
    ];
    assert_eq!(peer.says(), said);
    assert_eq!(peer.ask("<data seq='0'>aA==</data>"), granted(1));
    assert_eq!(peer.read(), b"h");
    let too_long = refused(2, DefinedCondition::BadRequest);
    assert_eq!(peer.ask("<data seq='1'>aGk=</data>"), too_long);
}

#[test]
fn data_is_taken_from_questions_and_from_messages_in_one_sequence() {
    let mut peer = Peer::new(Kind::Other, 4096);
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(1));
    peer.tell("<data seq='1'>Yg==</data>");
    assert_eq!(peer.ask("<data seq='2'>\n Yw==\n</data>"), granted(2));
    assert_eq!(peer.read(), b"abc");
}

#[test]
fn a_gap_breaks_the_stream_and_both_sides_learn_it() {
    let mut peer = Peer::new(Kind::Ours, 4096);
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(1));
    let answer = refused(2, DefinedCondition::UnexpectedRequest);
    assert_eq!(peer.ask("<data seq='2'>YQ==</data>"), answer);
    let abort = "<close ><abort xmlns='urn:x-tubes:0'/></close>";
    assert_eq!(peer.says(), [element(abort)]);
    // What came before the gap is good.
    assert_eq!(peer.read(), b"a");
    assert!(matches!(peer.fault(), Fault::Violated(_)));
    assert!(peer.machine.write(b"x").is_err());
}

#[test]
fn a_gap_in_messages_is_told_in_a_close_to_others() {
    let mut peer = Peer::new(Kind::Other, 4096);
    peer.tell("<data seq='1'>YQ==</data>");
    assert_eq!(peer.says(), [element("<close />")]);
    assert!(matches!(peer.fault(), Fault::Violated(_)));
}

#[test]
fn data_that_is_not_base64_is_a_bad_request() {
    for data in [
        "<data seq='0'>YQ=</data>",
        "<data seq='0'>Y-Q=</data>",
        "<data seq='-1'>YQ==</data>",
        "<data >YQ==</data>",
    ] {
        let mut peer = Peer::new(Kind::Ours, 4096);
        let answer = refused(1, DefinedCondition::BadRequest);
        assert_eq!(peer.ask(data), answer, "{data}");
        assert_eq!(peer.says().len(), 1);
    }
}

#[test]
fn a_second_open_and_strange_elements_do_no_harm() {
    let mut peer = Peer::new(Kind::Other, 4096);
    let answer = refused(1, DefinedCondition::NotAcceptable);
    assert_eq!(peer.ask("<open block-size='9'/>"), answer);
    let answer = refused(2, DefinedCondition::UnexpectedRequest);
    assert_eq!(peer.ask("<dance />"), answer);
    peer.machine
        .handle_tell(&Element::bare("data", "urn:strange"));
    assert_eq!(peer.ask("<data seq='0'>YQ==</data>"), granted(3));
    assert_eq!(peer.says(), []);
}

#[test]
fn acknowledgements_wait_for_a_reader_that_is_far_behind() {
    let mut peer = Peer::new(Kind::Other, 65535);
    // 48 KiB each.
    let data = |seq| format!("<data seq='{seq}'>{}</data>", "A".repeat(64 * 1024));
    assert_eq!(peer.ask(&data(0)), granted(1));
    assert_eq!(peer.ask(&data(1)), []);
    assert_eq!(peer.ask(&data(2)), []);
    peer.machine.consume(32 * 1024);
    assert_eq!(peer.answers(), granted(2));
    peer.read();
    assert_eq!(peer.answers(), granted(3));
}

#[test]
fn more_than_can_be_held_breaks_the_stream() {
    let mut peer = Peer::new(Kind::Other, 65535);
    let block = "A".repeat(64 * 1024);
    for seq in 0..10 {
        peer.tell(&format!("<data seq='{seq}'>{block}</data>"));
    }
    assert_eq!(peer.says(), []);
    let answer = peer.ask(&format!("<data seq='10'>{block}</data>"));
    assert_eq!(answer, refused(1, DefinedCondition::ResourceConstraint));
    assert_eq!(peer.says(), [element("<close />")]);
    assert_eq!(peer.read().len(), 480 * 1024);
    assert!(matches!(peer.fault(), Fault::Violated(_)));
}
