//! What the peer sends: from its blocks to the local reader.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use tubes_transport::Share;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::Fault;
use crate::element::{BadBlock, Block};

/// The peer's half of the stream.
#[derive(Debug)]
pub(crate) struct Inbound<T> {
    buffer: BytesMut,
    /// The buffer counts for the peer, with those of its other streams.
    share: Share,
    /// Blocks whose acknowledgement waits for the reader, each with the end of its bytes,
    /// counted from the stream's beginning.
    withheld: VecDeque<(u64, T)>,
    read: u64,
    seq: u16,
    block_size: usize,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The peer may send.
    Flowing,
    /// The peer has said all.
    Ended,
    /// No more can come; what is in the buffer is still good.
    Broken(Fault),
    /// Nobody reads any more.
    Unread,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// These bytes are next.
    Bytes(&'a [u8]),
    /// The stream broke here.
    Broken(&'a Fault),
    /// Nothing yet.
    Empty,
    /// The peer has said all.
    Ended,
}

impl<T> Inbound<T> {
    pub(crate) fn new(block_size: u16, share: Share) -> Self {
        Self {
            buffer: BytesMut::new(),
            share,
            withheld: VecDeque::new(),
            read: 0,
            seq: 0,
            block_size: usize::from(block_size),
            phase: Phase::Flowing,
        }
    }

    /// Takes a block into the buffer, or says how it is wrong.
    pub(crate) fn handle_data(&mut self, seq: u16, block: &Block<'_>) -> Result<(), BadData> {
        if seq != self.seq {
            return Err(BadData::OutOfSequence);
        }
        match block.decode(&mut self.buffer, self.block_size) {
            Err(BadBlock::Malformed) => Err(BadData::Malformed),
            Err(BadBlock::TooLong) => Err(BadData::TooLong),
            Ok(length) if self.buffer.len() > LIMIT || self.share.grow(length).is_err() => {
                self.buffer.truncate(self.buffer.len() - length);
                Err(BadData::TooMuch)
            }
            Ok(_) => {
                self.seq = self.seq.wrapping_add(1);
                Ok(())
            }
        }
    }

    /// Keeps the acknowledgement of the block that was just taken.
    pub(crate) fn withhold(&mut self, ticket: T) {
        let end = self.read + self.buffer.len() as u64;
        self.withheld.push_back((end, ticket));
    }

    /// The next acknowledgement that is due.
    pub(crate) fn next_due(&mut self) -> Option<T> {
        let (end, _) = self.withheld.front()?;
        let due = match self.phase {
            Phase::Flowing => {
                let unread = end.saturating_sub(self.read);
                unread <= self.low_water() || self.withheld.len() > MOST_WITHHELD
            }
            // Nothing is left to hold back.
            Phase::Ended | Phase::Broken(_) => true,
            Phase::Unread => false,
        };
        if !due {
            return None;
        }
        self.withheld.pop_front().map(|(_, ticket)| ticket)
    }

    /// A peer that holds much elsewhere is acknowledged only what was read here.
    fn low_water(&self) -> u64 {
        match self.share.is_tight() {
            true => 0,
            false => LOW_WATER,
        }
    }

    pub(crate) fn read(&self) -> Reading<'_> {
        match &self.phase {
            Phase::Unread => Reading::Ended,
            _ if !self.buffer.is_empty() => Reading::Bytes(&self.buffer),
            Phase::Flowing => Reading::Empty,
            Phase::Ended => Reading::Ended,
            Phase::Broken(fault) => Reading::Broken(fault),
        }
    }

    pub(crate) fn consume(&mut self, length: usize) {
        let length = length.min(self.buffer.len());
        self.buffer.advance(length);
        self.share.shrink(length);
        self.read += length as u64;
        if self.buffer.is_empty() {
            // An idle stream holds no memory.
            self.buffer = BytesMut::new();
        }
    }

    pub(crate) fn end(&mut self) {
        if self.is_flowing() {
            self.phase = Phase::Ended;
        }
    }

    pub(crate) fn break_off(&mut self, fault: Fault) {
        if self.is_flowing() {
            self.phase = Phase::Broken(fault);
        }
    }

    /// Nobody reads any more; hands back the questions that then have no good answer.
    pub(crate) fn release(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.phase = Phase::Unread;
        self.share.shrink(self.buffer.len());
        self.buffer = BytesMut::new();
        std::mem::take(&mut self.withheld)
            .into_iter()
            .map(|(_, ticket)| ticket)
    }

    pub(crate) fn is_flowing(&self) -> bool {
        self.phase == Phase::Flowing
    }

    /// Whether the reader has been given all that ever comes, and it ended well.
    pub(crate) fn is_read_out(&self) -> bool {
        self.phase == Phase::Ended && self.buffer.is_empty()
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// How a block is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadData {
    Malformed,
    OutOfSequence,
    TooLong,
    TooMuch,
}

impl BadData {
    /// The answer that is due (XEP-0047 §2.2).
    pub(crate) fn condition(self) -> DefinedCondition {
        match self {
            Self::Malformed | Self::TooLong => DefinedCondition::BadRequest,
            Self::OutOfSequence => DefinedCondition::UnexpectedRequest,
            Self::TooMuch => DefinedCondition::ResourceConstraint,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Malformed => "malformed data",
            Self::OutOfSequence => "a block out of sequence",
            Self::TooLong => "a block longer than agreed",
            Self::TooMuch => "more data than this side could take",
        }
    }
}

/// What may wait for the local reader. As much as Gabble holds: a peer that is acknowledged
/// only after delivery stays far below.
const LIMIT: usize = 512 * 1024;

/// Blocks are acknowledged at once while no more than this waits, so that a reader that is a
/// little behind does not stall the path. In bytes.
const LOW_WATER: u64 = 64 * 1024;

/// Acknowledgements that one stream withholds. The session has a place for each; a peer with a
/// deeper window of tiny blocks is acknowledged early and still held by [`LIMIT`].
const MOST_WITHHELD: usize = 128;
