//! Buffers that exist only while there is something in them.

use std::cell::RefCell;

/// What was read and not yet written. Holds memory only while there is something in it.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Option<Vec<u8>>,
    written: usize,
}

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_none()
    }

    /// What is yet to be written.
    pub(crate) fn rest(&self) -> &[u8] {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        bytes.get(self.written..).unwrap_or_default()
    }

    /// Keeps what a read brought.
    pub(crate) fn fill(&mut self, bytes: Vec<u8>) {
        self.written = 0;
        self.bytes = Some(bytes);
        self.advance(0);
    }

    /// Forgets the next `count` bytes, which were written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
        if self.rest().is_empty()
            && let Some(bytes) = self.bytes.take()
        {
            give_back(bytes);
        }
    }
}

/// An empty buffer to read into.
pub(crate) fn lend() -> Vec<u8> {
    SPARE
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(SIZE))
}

/// Keeps the buffer for the next read on this thread.
pub(crate) fn give_back(mut bytes: Vec<u8>) {
    bytes.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES {
            spare.push(bytes);
        }
    });
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes read at a time: with more, memory grows and speed hardly does.
const SIZE: usize = 64 * 1024;

/// Spare buffers that a thread keeps. Lanes are polled one at a time, so one is enough as long
/// as writers keep up.
const SPARES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_memory_only_while_something_is_left_to_write() {
        let mut buffer = Buffer::default();
        buffer.fill(b"hello".to_vec());
        buffer.advance(2);
        assert_eq!(buffer.rest(), b"llo");
        buffer.advance(3);
        assert!(buffer.is_empty() && buffer.bytes.is_none());
    }

    #[test]
    fn a_buffer_that_is_given_back_is_lent_again() {
        let buffer = lend();
        assert!(buffer.capacity() >= SIZE);
        let place = buffer.as_ptr();
        give_back(buffer);
        let again = lend();
        assert_eq!(again.as_ptr(), place);
    }
}
