//! The engine of one open bytestream: no clock, no sockets, no tasks.
//!
//! ```text
//!              write ─► Outbound ─► next_speech          (data, close, abort)
//!   the local            │    ▲                                            the
//!   program      the peer's   handle_acked, handle_refused                 peer
//!              close is held  │
//!              read ◄── Inbound ◄── handle_ask, handle_tell
//!                        └────────► next_answer          (acknowledgements)
//! ```
//!
//! A side that has sent everything says `<close/>`. Between two of our own kind its answer is
//! held until the other side has sent everything too, as XEP-0047 §2.3 allows: so the close ends
//! one direction and its answer the other. Anybody else means both directions by it.
//!
//! How it ends is in `closing.rs`, how long it waits in `timeout.rs`.
//!
//! After every input the answers and the next speech are to be drained.

mod closing;
mod timeout;

use std::collections::VecDeque;
use std::time::Instant;

use tubes_transport::{Ask, Kind, Share};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::element::{Heard, Speech};
use crate::farewell::Farewell;
use crate::inbound::{BadData, Inbound};
use crate::machine::timeout::{Patience, Wait};
use crate::outbound::{Outbound, Phase};
use crate::{Fault, Reading};

/// A question of the peer's, which the machine keeps until it may be answered.
pub trait Ticket {
    /// What is asked.
    fn payload(&self) -> &Element;

    /// Lets go of it: the answer may have to wait.
    fn forget_payload(&mut self);
}

impl Ticket for Ask {
    fn payload(&self) -> &Element {
        Self::payload(self)
    }

    fn forget_payload(&mut self) {
        Self::forget_payload(self);
    }
}

/// An answer that is due: a result, or an error of this condition.
pub type Due<T> = (T, Result<(), DefinedCondition>);

/// The engine of one open bytestream. See the module.
#[derive(Debug)]
pub struct Machine<T> {
    kind: Kind,
    inbound: Inbound<T>,
    outbound: Outbound,
    farewell: Farewell<T>,
    owner: Owner,
    due: VecDeque<Due<T>>,
    /// Counts what happens, so that a wait without anything can be told.
    progress: u64,
    wait: Option<(Wait, u64, Instant)>,
    /// With what is not acknowledged.
    patience: Option<Patience>,
}

/// Who holds the stream's face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Program,
    Nobody,
}

impl<T: Ticket> Machine<T> {
    /// The engine of a stream that was just opened; `window`: the most blocks under way; `share`: by what
    /// is counted what waits for the reader.
    pub fn new(kind: Kind, block_size: u16, window: usize, share: Share) -> Self {
        Self {
            kind,
            inbound: Inbound::new(block_size, share),
            outbound: Outbound::new(block_size, window),
            farewell: Farewell::default(),
            owner: Owner::Program,
            due: VecDeque::new(),
            progress: 0,
            wait: None,
            patience: None,
        }
    }

    /// Takes what fits of `bytes` and says how much; 0 if nothing does.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.outbound.write(bytes)
    }

    /// What the reader finds.
    pub fn read(&self) -> Reading<'_> {
        self.inbound.read()
    }

    /// The reader took this many bytes.
    pub fn consume(&mut self, length: usize) {
        self.progress += 1;
        self.inbound.consume(length);
    }

    /// Whether a good piece more can be written.
    pub fn has_room(&self) -> Result<bool, Fault> {
        self.outbound.has_room()
    }

    /// Whether all that was written is acknowledged.
    pub fn is_flushed(&self) -> Result<bool, Fault> {
        self.outbound.is_flushed()
    }

    /// Nothing more will be written. Whether that is news.
    pub fn shut_down(&mut self) -> bool {
        let news = self.outbound.shut_down();
        self.grant_held();
        news
    }

    /// Whether all that was written is acknowledged, and the peer was told that it was all.
    pub fn is_shut_down(&self) -> Result<bool, Fault> {
        self.outbound.is_shut_down()
    }

    /// How many bytes wait for the reader, and how many for the peer.
    pub fn buffered(&self) -> (usize, usize) {
        (self.inbound.buffered(), self.outbound.buffered())
    }

    /// The peer asks something.
    pub fn handle_ask(&mut self, mut ticket: T) {
        match Heard::read(ticket.payload()) {
            Heard::Abort => {
                self.handle_abort();
                self.due.push_back((ticket, Ok(())));
            }
            Heard::Close => self.handle_close(Some(ticket)),
            Heard::Data { .. } if !self.inbound.is_flowing() => {
                let condition = DefinedCondition::ItemNotFound;
                self.due.push_back((ticket, Err(condition)));
            }
            Heard::Data { seq, block } => match self.inbound.handle_data(seq, &block) {
                Ok(()) => {
                    self.progress += 1;
                    ticket.forget_payload();
                    self.inbound.withhold(ticket);
                }
                Err(bad) => {
                    self.due.push_back((ticket, Err(bad.condition())));
                    self.handle_bad(bad);
                }
            },
            Heard::Malformed => {
                let bad = BadData::Malformed;
                self.due.push_back((ticket, Err(bad.condition())));
                self.handle_bad(bad);
            }
            Heard::Foreign => {
                let condition = DefinedCondition::UnexpectedRequest;
                self.due.push_back((ticket, Err(condition)));
            }
            Heard::Open { .. } => {
                let condition = DefinedCondition::NotAcceptable;
                self.due.push_back((ticket, Err(condition)));
            }
        }
    }

    /// The peer tells something, in a message.
    pub fn handle_tell(&mut self, payload: &Element) {
        match Heard::read(payload) {
            Heard::Abort => self.handle_abort(),
            Heard::Close => self.handle_close(None),
            Heard::Data { .. } if !self.inbound.is_flowing() => {}
            Heard::Data { seq, block } => match self.inbound.handle_data(seq, &block) {
                Ok(()) => self.progress += 1,
                Err(bad) => self.handle_bad(bad),
            },
            Heard::Malformed => self.handle_bad(BadData::Malformed),
            Heard::Foreign | Heard::Open { .. } => {}
        }
    }

    /// The block of this number, which was handed out at `sent`, was acknowledged.
    pub fn handle_acked(&mut self, seq: u16, sent: Instant, now: Instant) {
        self.progress += 1;
        // XEP-0047 §2.2: else it would have been refused. Not everybody looks at the numbers.
        if self.kind == Kind::Ours {
            self.outbound.handle_arrived_before(seq);
        }
        self.outbound
            .handle_acked(seq, now.saturating_duration_since(sent));
        self.grant_held();
    }

    /// What is to be said next, if anything may be.
    pub fn next_speech(&mut self) -> Option<Speech> {
        if let Some(speech) = self.farewell.next_speech() {
            return Some(speech);
        }
        if let Some((seq, block)) = self.outbound.next_block() {
            return Some(Speech::Data { seq, block });
        }
        if *self.outbound.phase() == Phase::Closing && self.outbound.is_flushed() == Ok(true) {
            self.outbound.set_saying();
            self.farewell.say(Speech::Close);
            return self.farewell.next_speech();
        }
        None
    }

    /// The next answer that is due to the peer.
    pub fn next_answer(&mut self) -> Option<Due<T>> {
        if let Some(due) = self.due.pop_front() {
            return Some(due);
        }
        self.inbound.next_due().map(|ticket| (ticket, Ok(())))
    }

    /// Whether nothing is left to be said or heard. What was received can still be read.
    pub fn is_over(&self) -> bool {
        let sent = match self.outbound.phase() {
            Phase::Closed | Phase::Broken(_) => true,
            Phase::Cut => self.outbound.is_flushed() == Ok(true) || self.owner == Owner::Nobody,
            Phase::Flowing | Phase::Closing | Phase::Saying => false,
        };
        sent && !self.inbound.is_flowing() && self.farewell.is_over(self.kind)
    }
}
