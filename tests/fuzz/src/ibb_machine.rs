//! An in-band bytestream whose peer follows no rules.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tubes_ibb::{Machine, Reading, Speech};
use tubes_transport::{Gone, Kind, StreamId};
use xmpp_parsers::minidom::Element;

use crate::ibb_element::Asked;
use crate::pair::share;

/// Runs the steps that the bytes stand for: what is read is what the peer sent and was taken, in
/// order; what is said is what was written, in order; nothing is held beyond its bound; every
/// question is answered once, at the latest when the peer is gone.
pub fn ibb_machine(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(mut stream) = Stream::draw(&mut bytes) else {
        return;
    };
    for _ in 0..MOST_STEPS {
        if stream.step(&mut bytes).is_err() {
            break;
        }
        stream.check();
    }
    stream.machine.handle_gone(Gone::Peer);
    stream.machine.release();
    stream.check();
    assert_eq!(stream.answered, stream.asked, "every question once");
    assert!(stream.machine.is_over());
}

struct Stream {
    machine: Machine<Asked>,
    block_size: u16,
    now: Instant,
    asked: usize,
    answered: usize,
    /// What the peer sent and this side took.
    taken: Vec<u8>,
    read: usize,
    written: Vec<u8>,
    said: usize,
    /// The number of the next block in either direction.
    seq_in: u16,
    seq_out: u16,
    /// The numbers of the blocks that are not acknowledged, and how long they are.
    in_flight: VecDeque<(u16, usize)>,
    held: bool,
}

impl Stream {
    fn draw(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = match bytes.arbitrary()? {
            true => Kind::Ours,
            false => Kind::Other,
        };
        let block_size = match bytes.int_in_range(0..=2u8)? {
            0 => 1,
            1 => 5888,
            _ => u16::MAX,
        };
        Ok(Self {
            machine: Machine::new(kind, block_size, WINDOW, share()),
            block_size,
            now: Instant::now(),
            asked: 0,
            answered: 0,
            taken: Vec::new(),
            read: 0,
            written: Vec::new(),
            said: 0,
            seq_in: 0,
            seq_out: 0,
            in_flight: VecDeque::new(),
            held: true,
        })
    }

    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.arbitrary::<u8>()? % 15 {
            0 => self.hear_block(bytes, Form::Iq)?,
            1 => self.hear_block(bytes, Form::Message)?,
            2 => self.hear(&close(), Form::Iq),
            3 => self.hear(&abort(), Form::Iq),
            4 => self.hear(&close(), Form::Message),
            5 => self.hear(&Element::bare("open", NS), Form::Iq),
            6 if self.held => self.write(usize::from(bytes.arbitrary::<u16>()?)),
            7 if self.held => self.read(usize::from(bytes.arbitrary::<u16>()?)),
            8 | 9 => self.say(),
            10 => {
                let trip = Duration::from_millis(u64::from(bytes.arbitrary::<u8>()?));
                if let Some((seq, _)) = self.in_flight.pop_front() {
                    self.machine.handle_acked(seq, self.now, self.now + trip);
                }
            }
            11 => match bytes.arbitrary::<u8>()? % 4 {
                0 => self.machine.handle_refused(),
                1 => self.machine.handle_close_answered(Ok(())),
                2 => self.machine.handle_close_answered(Err(())),
                _ => self.machine.handle_gone(Gone::Session),
            },
            12 => {
                self.now += Duration::from_secs(u64::from(bytes.int_in_range(0..=90u8)?));
                self.machine.handle_timeout(self.now);
            }
            13 if self.held => drop(self.machine.shut_down()),
            14 if self.held => {
                self.held = false;
                self.machine.release();
            }
            _ => {}
        }
        let _ = self.machine.next_timeout(self.now);
        Ok(())
    }

    /// A block of the peer's, most often with the number that is due.
    fn hear_block(&mut self, bytes: &mut Unstructured<'_>, form: Form) -> Result<()> {
        let length = match bytes.arbitrary::<u8>()? {
            length @ 0..=200 => usize::from(length).min(usize::from(self.block_size)),
            201..=250 => usize::from(self.block_size),
            _ => usize::from(self.block_size) + 1,
        };
        let seq = match bytes.arbitrary::<u8>()? {
            0..=250 => self.seq_in,
            offset => self.seq_in.wrapping_add(u16::from(offset) - 250),
        };
        let start = self.taken.len();
        let block = pattern(start, length);
        let before = self.machine.buffered().0;
        let text = STANDARD.encode(block);
        self.hear(&data(&seq.to_string(), text), form);
        if seq == self.seq_in && self.machine.buffered().0 == before + length {
            // An empty block that was refused for another reason ends the stream anyway.
            self.taken.extend_from_slice(block);
            self.seq_in = self.seq_in.wrapping_add(1);
        } else {
            assert_eq!(self.machine.buffered().0, before, "a part of a block");
        }
        Ok(())
    }

    fn hear(&mut self, element: &Element, form: Form) {
        match form {
            Form::Iq => {
                self.asked += 1;
                self.machine.handle_ask(Asked(element.clone()));
            }
            Form::Message => self.machine.handle_tell(element),
        }
    }

    fn write(&mut self, length: usize) {
        let bytes = pattern(self.written.len(), length);
        let taken = self.machine.write(bytes).unwrap_or(0);
        self.written.extend_from_slice(&bytes[..taken]);
    }

    fn read(&mut self, length: usize) {
        let taken = match self.machine.read() {
            Reading::Bytes(bytes) => {
                let read = &bytes[..bytes.len().min(length)];
                assert!(self.taken[self.read..].starts_with(read), "out of order");
                read.len()
            }
            Reading::Broken(_) | Reading::Empty => 0,
            Reading::Ended => {
                assert_eq!(self.read, self.taken.len(), "an end before the end");
                0
            }
        };
        self.machine.consume(taken);
        self.read += taken;
    }

    fn say(&mut self) {
        match self.machine.next_speech() {
            Some(Speech::Data { seq, block }) => {
                assert_eq!(seq, self.seq_out);
                assert!(block.len() <= usize::from(self.block_size));
                assert!(
                    self.written[self.said..].starts_with(&block),
                    "out of order"
                );
                self.said += block.len();
                self.seq_out = self.seq_out.wrapping_add(1);
                self.in_flight.push_back((seq, block.len()));
            }
            Some(Speech::Abort | Speech::Close) => self.machine.handle_said(),
            Some(Speech::Open { .. }) => panic!("it is open already"),
            None => {}
        }
    }

    fn check(&mut self) {
        self.answered += std::iter::from_fn(|| self.machine.next_answer()).count();
        assert!(self.answered <= self.asked);
        // The withheld acknowledgements, and one close.
        assert!(self.asked - self.answered <= MOST_WITHHELD + 1);
        let (inbound, outbound) = self.machine.buffered();
        assert!(inbound <= MOST_UNREAD, "{inbound} bytes unread");
        assert!(outbound <= (usize::from(self.block_size) * 2).max(4096));
        // Those without bytes ask what became of the others; pauses between them double.
        let in_flight = self.in_flight.iter();
        let probes = in_flight.filter(|(_, length)| *length == 0).count();
        let blocks = self.in_flight.len() - probes;
        assert!(blocks <= WINDOW && probes <= MOST_PROBES);
    }
}

#[derive(Clone, Copy)]
enum Form {
    Iq,
    Message,
}

fn data(seq: &str, text: String) -> Element {
    Element::builder("data", NS)
        .attr(xmpp_parsers::minidom::rxml::xml_ncname!("seq").into(), seq)
        .append(text)
        .build()
}

fn close() -> Element {
    Speech::Close.into_element(&StreamId::from("s"))
}

fn abort() -> Element {
    Speech::Abort.into_element(&StreamId::from("s"))
}

/// The bytes of every stream from this place on; at most 64 KiB.
fn pattern(start: usize, length: usize) -> &'static [u8] {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..3 * PERIOD).map(byte).collect());
    let start = start % PERIOD;
    &PATTERN[start..start + length]
}

fn byte(at: usize) -> u8 {
    ((at * 31) ^ (at >> 8)) as u8
}

/// After so many bytes a stream repeats itself.
const PERIOD: usize = 64 * 1024;

/// Enough to fill every queue.
const MOST_STEPS: usize = 1000;

const WINDOW: usize = 16;
const MOST_UNREAD: usize = 512 * 1024;
const MOST_WITHHELD: usize = 128;
const MOST_PROBES: usize = 12;
const NS: &str = "http://jabber.org/protocol/ibb";
