//! What this side sends: from the local writer to blocks.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::Fault;
use crate::window::Window;

/// Our half of the stream.
#[derive(Debug)]
pub(crate) struct Outbound {
    buffer: BytesMut,
    seq: u16,
    block_size: usize,
    window: Window,
    /// The numbers of the blocks that are not acknowledged.
    owed: VecDeque<u16>,
    /// Acknowledgements so far.
    acked: u64,
    probe: Probe,
    phase: Phase,
}

/// A block without bytes, which asks what became of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Due,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The writer may write.
    Flowing,
    /// The writer is done; what it wrote is still on its way.
    Closing,
    /// All is acknowledged, and the peer is being told.
    Saying,
    /// The peer knows that this was all.
    Closed,
    /// The peer closed both directions when nothing waited here; only acknowledgements are due.
    Cut,
    /// The rest cannot be sent.
    Broken(Fault),
}

impl Outbound {
    pub(crate) fn new(block_size: u16, window: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            seq: 0,
            block_size: usize::from(block_size).max(1),
            window: Window::new(window),
            owed: VecDeque::new(),
            acked: 0,
            probe: Probe::None,
            phase: Phase::Flowing,
        }
    }

    /// Takes what fits; 0 bytes if nothing does.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match &self.phase {
            Phase::Flowing => {}
            Phase::Broken(fault) => return Err(fault.clone()),
            _ => return Err(Fault::Closed),
        }
        let room = self.room().saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    /// The next block, if one may go. Whatever is there goes: nothing waits to become a full
    /// block while the window has room.
    pub(crate) fn next_block(&mut self) -> Option<(u16, Bytes)> {
        if !self.is_sending() {
            return None;
        }
        let probes = self.probe == Probe::Due;
        self.probe = Probe::None;
        let block = match self.buffer.len() {
            _ if !self.window.has_room() && !probes => return None,
            0 if !probes => return None,
            _ if !self.window.has_room() => BytesMut::new(),
            // An idle stream holds no memory.
            length if length <= self.block_size => std::mem::take(&mut self.buffer),
            _ => self.buffer.split_to(self.block_size),
        };
        let seq = self.seq;
        self.seq = self.seq.wrapping_add(1);
        self.window.handle_sent();
        self.owed.push_back(seq);
        Some((seq, block.freeze()))
    }

    /// The block of this number was acknowledged.
    pub(crate) fn handle_acked(&mut self, seq: u16, round_trip: Duration) {
        if let Some(at) = self.place_of(seq) {
            self.owed.remove(at);
            self.acked += 1;
            self.window.handle_acked(round_trip);
        }
    }

    /// All blocks before the one of this number have arrived, whatever became of their acknowledgements.
    pub(crate) fn handle_arrived_before(&mut self, seq: u16) {
        if let Some(at) = self.place_of(seq) {
            self.owed.drain(..at);
            self.window.handle_missed(at);
        }
    }

    fn place_of(&self, seq: u16) -> Option<usize> {
        self.owed.iter().position(|owed| *owed == seq)
    }

    /// Whether the peer owes acknowledgements of a stream that goes on.
    pub(crate) fn is_owed(&self) -> bool {
        self.is_sending() && !self.owed.is_empty()
    }

    /// How often something was acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// Lets a block go even if the window has no room.
    pub(crate) fn probe(&mut self) {
        self.probe = Probe::Due;
    }

    fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Flowing | Phase::Closing)
    }

    pub(crate) fn shut_down(&mut self) -> bool {
        let news = self.phase == Phase::Flowing;
        if news {
            self.phase = Phase::Closing;
        }
        news
    }

    pub(crate) fn set_saying(&mut self) {
        self.phase = Phase::Saying;
    }

    pub(crate) fn set_closed(&mut self) {
        if matches!(self.phase, Phase::Closing | Phase::Saying) {
            self.phase = Phase::Closed;
        }
    }

    /// The peer takes no more.
    pub(crate) fn cut(&mut self) {
        if matches!(self.phase, Phase::Flowing | Phase::Closing) {
            self.phase = match self.buffer.is_empty() {
                true => Phase::Cut,
                false => Phase::Broken(Fault::Closed),
            };
            self.buffer = BytesMut::new();
        }
    }

    pub(crate) fn break_off(&mut self, fault: Fault) {
        if !matches!(self.phase, Phase::Closed | Phase::Broken(_)) {
            self.phase = Phase::Broken(fault);
            self.buffer = BytesMut::new();
        }
    }

    /// Whether a writer that was stopped should go on: not for every byte.
    pub(crate) fn has_room(&self) -> Result<bool, Fault> {
        match &self.phase {
            Phase::Broken(fault) => Err(fault.clone()),
            Phase::Flowing => Ok(self.buffer.len() <= self.room() / 2),
            _ => Err(Fault::Closed),
        }
    }

    /// Whether all that was written is acknowledged.
    pub(crate) fn is_flushed(&self) -> Result<bool, Fault> {
        match &self.phase {
            Phase::Broken(fault) => Err(fault.clone()),
            _ => Ok(self.buffer.is_empty() && self.window.in_flight() == 0),
        }
    }

    /// Whether the peer has moreover been told that this was all.
    pub(crate) fn is_shut_down(&self) -> Result<bool, Fault> {
        match self.phase {
            Phase::Flowing | Phase::Closing | Phase::Saying => Ok(false),
            Phase::Closed => Ok(true),
            Phase::Cut | Phase::Broken(_) => self.is_flushed(),
        }
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next block is gathered while one waits for the session; not less than a page, or
    /// tiny blocks would wake the writer for each.
    fn room(&self) -> usize {
        (self.block_size * 2).max(LEAST)
    }
}

/// The least that is taken from the writer at a time, in bytes.
const LEAST: usize = 4096;
