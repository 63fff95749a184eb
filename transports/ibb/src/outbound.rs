//! What this side sends: from the local writer to blocks.

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
    phase: Phase,
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
        let may = matches!(self.phase, Phase::Flowing | Phase::Closing);
        if !may || self.buffer.is_empty() || !self.window.has_room() {
            return None;
        }
        let block = match self.buffer.len() <= self.block_size {
            // An idle stream holds no memory.
            true => std::mem::take(&mut self.buffer),
            false => self.buffer.split_to(self.block_size),
        };
        let seq = self.seq;
        self.seq = self.seq.wrapping_add(1);
        self.window.handle_sent();
        Some((seq, block.freeze()))
    }

    pub(crate) fn handle_acked(&mut self, round_trip: Duration) {
        self.window.handle_acked(round_trip);
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
