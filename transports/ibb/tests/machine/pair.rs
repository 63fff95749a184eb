//! Two engines, what travels between them, and what their programs know.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tubes_ibb::{Machine, Reading, Speech, Ticket};
use tubes_transport::{Gone, Kind, Share, StreamId};
use xmpp_parsers::minidom::Element;

const LIMIT: usize = 512 * 1024;
pub(crate) const WINDOW: usize = 16;

/// Pauses between them double.
const PROBES: usize = 12;

/// Of a budget that nobody else has.
pub(crate) fn share() -> Share {
    Share::alone("fernand@tubes.example".parse().expect("an address"))
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: usize,
    pub(crate) payload: Element,
}

impl Ticket for Asked {
    fn payload(&self) -> &Element {
        &self.payload
    }

    fn forget_payload(&mut self) {}
}

/// How a stanza travels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Iq,
    Message,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Write(usize),
    Read(usize),
    ShutDown,
    Drop,
    Say,
    Hear(Form),
    Answer,
    Pass(u64),
    Cut,
}

/// What the programs at one end know.
pub(crate) struct End {
    pub(crate) machine: Machine<Asked>,
    held: bool,
    pub(crate) written: usize,
    pub(crate) read: usize,
    pub(crate) ended: bool,
    /// What was said and has not arrived: the questions, and the answers.
    said: VecDeque<Asked>,
    answered: VecDeque<(usize, bool)>,
    /// What waits for an answer.
    waiting: HashMap<usize, (Said, Instant)>,
}

/// What was said.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Block(u16),
    Close,
    /// A block without bytes.
    Probe(u16),
}

impl Said {
    fn of(speech: &Speech) -> Self {
        match speech {
            Speech::Data { seq, block } if block.is_empty() => Self::Probe(*seq),
            Speech::Data { seq, .. } => Self::Block(*seq),
            _ => Self::Close,
        }
    }
}

pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    block_size: u16,
    drawn: usize,
    now: Instant,
}

impl Pair {
    pub(crate) fn new(kind: Kind, block_size: u16) -> Self {
        let end = || End {
            machine: Machine::new(kind, block_size, WINDOW, share()),
            held: true,
            written: 0,
            read: 0,
            ended: false,
            said: VecDeque::new(),
            answered: VecDeque::new(),
            waiting: HashMap::new(),
        };
        Self {
            ends: [end(), end()],
            block_size,
            drawn: 0,
            now: Instant::now(),
        }
    }

    pub(crate) fn step(&mut self, at: usize, step: Step) {
        match step {
            Step::Write(length) => self.ends[at].write(length),
            Step::Read(length) => self.ends[at].read(length),
            Step::ShutDown => {
                if self.ends[at].held {
                    self.ends[at].machine.shut_down();
                }
            }
            Step::Drop => {
                if std::mem::take(&mut self.ends[at].held) {
                    self.ends[at].machine.release();
                }
            }
            Step::Say => self.say(at),
            Step::Hear(form) => self.hear(at, form),
            Step::Answer => self.answer(at),
            Step::Pass(seconds) => {
                self.now += Duration::from_secs(seconds);
                for end in &mut self.ends {
                    end.machine.handle_timeout(self.now);
                }
            }
            Step::Cut => {
                for end in &mut self.ends {
                    end.machine.handle_gone(Gone::Session);
                    end.collect();
                    end.said.clear();
                    end.answered.clear();
                    end.waiting.clear();
                }
            }
        }
        self.ends[0].collect();
        self.ends[1].collect();
        self.check();
    }

    fn say(&mut self, at: usize) {
        let end = &mut self.ends[at];
        let Some(speech) = end.machine.next_speech() else {
            return;
        };
        let said = Said::of(&speech);
        if said == Said::Close {
            end.machine.handle_said();
        }
        self.drawn += 1;
        end.waiting.insert(self.drawn, (said, self.now));
        let payload = speech.into_element(&StreamId::from("s"));
        end.said.push_back(Asked {
            id: self.drawn,
            payload,
        });
    }

    /// Something that the other end said arrives at this one.
    fn hear(&mut self, at: usize, form: Form) {
        let Some(asked) = self.ends[1 - at].said.pop_front() else {
            return;
        };
        if self.ends[at].machine.is_over() {
            // Nobody has the claim any more.
            self.ends[at].answered.push_back((asked.id, false));
        } else if form == Form::Message && !asked.payload.text().is_empty() {
            // Messages are not acknowledged; this one's sender knows whether it was taken.
            let machine = &mut self.ends[at].machine;
            let (before, _) = machine.buffered();
            machine.handle_tell(&asked.payload);
            let taken = machine.buffered().0 > before;
            self.ends[at].answered.push_back((asked.id, taken));
        } else {
            self.ends[at].machine.handle_ask(asked);
        }
    }

    /// An answer of the other end's arrives at this one.
    fn answer(&mut self, at: usize) {
        let Some((id, granted)) = self.ends[1 - at].answered.pop_front() else {
            return;
        };
        let end = &mut self.ends[at];
        let (said, sent) = end.waiting.remove(&id).expect("answered twice");
        if end.machine.is_over() {
            return;
        }
        match (said, granted) {
            (Said::Close, true) => end.machine.handle_close_answered(Ok(())),
            (Said::Close, false) => end.machine.handle_close_answered(Err(())),
            (Said::Block(seq) | Said::Probe(seq), true) => {
                end.machine.handle_acked(seq, sent, self.now);
            }
            (Said::Block(_) | Said::Probe(_), false) => end.machine.handle_refused(),
        }
    }

    /// Lets everything arrive, and everybody read, until nothing moves.
    pub(crate) fn settle(&mut self) {
        loop {
            let before = self.moved();
            for at in [0, 1] {
                self.step(at, Step::Say);
                self.step(at, Step::Hear(Form::Iq));
                self.step(at, Step::Answer);
                self.step(at, Step::Read(usize::MAX));
            }
            if self.moved() == before {
                return;
            }
        }
    }

    pub(crate) fn moved(&self) -> (usize, [(usize, usize, usize, usize); 2]) {
        let of = |end: &End| {
            let (said, answered) = (end.said.len(), end.answered.len());
            (end.read, said, answered, end.waiting.len())
        };
        (self.drawn, [of(&self.ends[0]), of(&self.ends[1])])
    }

    fn check(&self) {
        for (at, end) in self.ends.iter().enumerate() {
            let (inbound, outbound) = end.machine.buffered();
            assert!(inbound <= LIMIT, "{inbound} bytes unread");
            assert!(outbound <= usize::from(self.block_size).max(2048) * 2);
            let said = || end.waiting.values().map(|(said, _)| said);
            let blocks = said().filter(|said| matches!(said, Said::Block(_)));
            assert!(blocks.count() <= WINDOW, "too many blocks under way");
            let probes = said().filter(|said| matches!(said, Said::Probe(_)));
            assert!(probes.count() <= PROBES, "too many questions under way");
            let peer = &self.ends[1 - at];
            if end.ended && peer.machine.is_shut_down() == Ok(true) {
                assert_eq!(end.read, peer.written, "an end before the end");
            }
        }
    }
}

impl End {
    fn write(&mut self, length: usize) {
        if !self.held {
            return;
        }
        let bytes: Vec<_> = (self.written..).take(length).map(byte).collect();
        self.written += self.machine.write(&bytes).unwrap_or(0);
    }

    fn read(&mut self, length: usize) {
        if !self.held {
            return;
        }
        let taken = match self.machine.read() {
            Reading::Bytes(bytes) => {
                let taken = bytes.len().min(length);
                let expected = (self.read..).map(byte);
                let mut pairs = bytes.iter().copied().zip(expected).take(taken);
                let right = pairs.all(|(read, written)| read == written);
                assert!(right, "not what was written");
                taken
            }
            Reading::Ended => {
                self.ended = true;
                0
            }
            Reading::Broken(_) | Reading::Empty => 0,
        };
        self.machine.consume(taken);
        self.read += taken;
    }

    fn collect(&mut self) {
        while let Some((asked, outcome)) = self.machine.next_answer() {
            self.answered.push_back((asked.id, outcome.is_ok()));
        }
    }
}

/// The byte at this place of every stream.
fn byte(at: usize) -> u8 {
    ((at * 31) ^ (at >> 8)) as u8
}
