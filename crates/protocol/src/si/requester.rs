//! The side that asks for a bytestream: which transport it tries next.

use std::collections::VecDeque;

use super::SiAnswer;

/// Decides which transport is tried, at the side that asked.
///
/// ```text
///   Awaiting ──answer──► Trying(first) ──failed──► Trying(next) … ──failed──► Done
///      └──────────── nothing usable, or no way on ────────────────────────────┘
/// ```
///
/// The order is the answer's. Whoever runs it drops it once a transport has opened.
#[derive(Clone, Debug)]
pub struct Requester {
    phase: Phase,
}

impl Requester {
    /// A request with these methods is on its way.
    pub fn new(offered: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let offered = offered.into_iter().map(Into::into).collect();
        Self {
            phase: Phase::Awaiting { offered },
        }
    }

    /// The peer accepted: says what to try first.
    pub fn handle_answer(&mut self, answer: &SiAnswer) -> RequesterAction {
        let Phase::Awaiting { offered } = &self.phase else {
            return RequesterAction::Unexpected;
        };
        let mut usable: VecDeque<String> = VecDeque::new();
        for method in &answer.methods {
            if offered.contains(method) && !usable.contains(method) {
                usable.push_back(method.clone());
            }
        }
        if !answer.multiple {
            usable.truncate(1);
        }
        self.advance(usable)
    }

    /// The transport tried has failed, or could not be prepared: says what to do next.
    pub fn handle_failed(&mut self, may_fall_back: bool) -> RequesterAction {
        let Phase::Trying { rest } = &mut self.phase else {
            return RequesterAction::Unexpected;
        };
        if !may_fall_back {
            self.phase = Phase::Done;
            return RequesterAction::Stop;
        }
        let rest = std::mem::take(rest);
        self.advance(rest)
    }

    fn advance(&mut self, mut rest: VecDeque<String>) -> RequesterAction {
        match rest.pop_front() {
            Some(method) => {
                self.phase = Phase::Trying { rest };
                RequesterAction::Try(method)
            }
            None => {
                self.phase = Phase::Done;
                RequesterAction::Exhausted
            }
        }
    }
}

/// What the requester does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequesterAction {
    /// Give up: no method is left.
    Exhausted,
    /// Give up: the last failure leaves no other way.
    Stop,
    /// Try this method.
    Try(String),
    /// Nothing: the event does not belong here.
    Unexpected,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The peer has not answered yet.
    Awaiting { offered: Vec<String> },
    /// A method is being tried; these are left.
    Trying { rest: VecDeque<String> },
    /// Given up.
    Done,
}
