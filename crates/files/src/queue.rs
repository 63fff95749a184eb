//! Blocks between a task and a thread: one reads or writes the file, the other has the bytes carried.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Blocks that wait, in their order, and room for more.
///
/// A thread attends to it as long as it finds something to do, and the task is told when it has some blocks to
/// go on with: to wake either takes as long as to hash a part of a block, and a thread that waits for a task
/// leaves a processor idle.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    blocks: VecDeque<Vec<u8>>,
    /// The room of blocks that are done with, so that it need not be had from the kernel again.
    spare: Vec<Vec<u8>>,
    /// Blocks that may wait.
    most: usize,
    is_attended: bool,
    /// The last thread went before it had to.
    was_left: bool,
}

/// The presence of a thread. The task is told when it goes, for whatever reason.
#[derive(Debug)]
pub(crate) struct Attendance(Arc<Queue>);

impl Queue {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                blocks: VecDeque::new(),
                spare: Vec::new(),
                most,
                is_attended: false,
                was_left: false,
            }),
            moved: Notify::new(),
        })
    }

    /// For a thread that is about to begin.
    pub(crate) fn attend(self: &Arc<Self>) -> Attendance {
        let mut state = self.state();
        state.is_attended = true;
        state.was_left = false;
        drop(state);
        Attendance(Arc::clone(self))
    }

    pub(crate) fn is_attended(&self) -> bool {
        self.state().is_attended
    }

    /// Whether blocks wait that nobody will see to, or would.
    pub(crate) fn is_left(&self) -> bool {
        let state = self.state();
        !state.is_attended && (state.was_left || !state.blocks.is_empty())
    }

    /// Waits until the thread has done about half of what it can do, or is gone. It may have been so before.
    /// Cancel safe.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Exchanges a block that is to be written for an empty one, if there is room for it.
    pub(crate) fn push(&self, block: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        if state.blocks.len() >= state.most {
            return false;
        }
        let spare = state.spare.pop().unwrap_or_default();
        state.blocks.push_back(mem::replace(block, spare));
        true
    }

    /// The next block that was read.
    pub(crate) fn pop(&self) -> Option<Vec<u8>> {
        self.state().blocks.pop_front()
    }

    /// Gives back the room of a block.
    pub(crate) fn recycle(&self, block: Vec<u8>) {
        self.state().recycle(block);
    }

    /// Whether it is time that a thread brings more blocks.
    pub(crate) fn is_low(&self) -> bool {
        let state = self.state();
        !state.is_attended && state.blocks.len() <= state.most / 2
    }

    /// Lets twice as many blocks wait.
    pub(crate) fn widen(&self, limit: usize) {
        let mut state = self.state();
        state.most = limit.min(state.most * 2);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn recycle(&mut self, block: Vec<u8>) {
        if block.capacity() > 0 && self.spare.len() < self.most {
            self.spare.push(block);
        }
    }
}

impl Attendance {
    /// The next block that is to be written, for the room of the last one. Whoever gets none is gone at once.
    pub(crate) fn take(&self, written: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.0.state();
        state.recycle(written);
        let block = state.blocks.pop_front();
        state.is_attended = block.is_some();
        if state.blocks.len() <= state.most / 2 {
            self.0.moved.notify_one();
        }
        block
    }

    /// Room for a block, if there is any that was used before.
    pub(crate) fn room(&self) -> Vec<u8> {
        self.0.state().spare.pop().unwrap_or_default()
    }

    /// Adds a block that was read, and says whether another one may follow. Whoever may not is gone at once.
    pub(crate) fn give(&self, block: Vec<u8>) -> bool {
        let mut state = self.0.state();
        state.blocks.push_back(block);
        state.is_attended = state.blocks.len() < state.most;
        if state.blocks.len() >= state.most.div_ceil(2).min(ENOUGH) {
            self.0.moved.notify_one();
        }
        state.is_attended
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.was_left = state.is_attended;
        state.is_attended = false;
        self.0.moved.notify_one();
    }
}

/// Blocks that are worth to be sent at once: where reading is slow, what was read does not wait for more.
const ENOUGH: usize = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use std::thread;

    use futures_util::FutureExt;

    use super::*;

    fn block(number: usize) -> Vec<u8> {
        vec![u8::try_from(number).unwrap()]
    }

    #[test]
    fn who_has_blocks_written_is_told_when_half_of_them_are() {
        let queue = Queue::new(4);
        for number in 0..4 {
            assert!(queue.push(&mut block(number)));
        }
        assert!(!queue.push(&mut block(4)), "there is room for four");
        let attendance = queue.attend();
        assert_eq!(attendance.take(Vec::new()), Some(block(0)));
        assert_eq!(queue.moved().now_or_never(), None, "too early");
        assert_eq!(attendance.take(block(0)), Some(block(1)));
        assert_eq!(queue.moved().now_or_never(), Some(()));
        for number in 2..4 {
            assert_eq!(attendance.take(Vec::new()), Some(block(number)));
        }
        assert!(queue.is_attended());
        assert_eq!(attendance.take(Vec::new()), None);
        assert!(!queue.is_attended(), "who gets none is gone");
        drop(attendance);
        assert!(!queue.is_left(), "nothing is to be done");
        let mut next = block(4);
        assert!(queue.push(&mut next));
        assert_eq!(next, block(0), "its room is used again");
        assert!(queue.is_left(), "somebody has to come");
    }

    #[test]
    fn who_sends_blocks_is_told_when_half_of_them_are_there() {
        let queue = Queue::new(4);
        let attendance = queue.attend();
        assert!(attendance.give(block(0)));
        assert_eq!(queue.moved().now_or_never(), None, "too early");
        assert!(attendance.give(block(1)));
        assert_eq!(queue.moved().now_or_never(), Some(()));
        assert!(attendance.give(block(2)));
        assert!(!attendance.give(block(3)), "there is room for four");
        assert!(!queue.is_attended() && !queue.is_low());
        for number in 0..2 {
            assert_eq!(queue.pop(), Some(block(number)));
        }
        assert!(queue.is_low(), "it is time to read on");
        queue.widen(6);
        let attendance = queue.attend();
        queue.recycle(block(1));
        assert_eq!(attendance.room(), block(1));
        for number in 4..7 {
            assert!(attendance.give(block(number)));
        }
        assert!(!attendance.give(block(7)), "there is room for six");
    }

    #[test]
    fn a_thread_that_dies_is_not_waited_for() {
        let queue = Queue::new(4);
        let attendance = queue.attend();
        let thread = thread::spawn(move || {
            let _attendance = attendance;
            std::panic::resume_unwind(Box::new(()));
        });
        thread.join().unwrap_err();
        assert!(!queue.is_attended() && queue.is_left());
        assert_eq!(queue.moved().now_or_never(), Some(()));
    }
}
