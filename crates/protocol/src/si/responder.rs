//! The side that was asked for a bytestream: which transport it answers with, tries and awaits.

use super::SiError;

/// Decides which transports are answered with and which one is tried, at the side that was asked.
///
/// ```text
///   Awaiting(first) ──stanza──► Trying ──failed──► Awaiting(next) … ──failed──► Done
/// ```
///
/// The requester alone decides when to move on; this side learns of it from the first stanza of
/// the next method. Whoever runs it drops it once a transport has opened.
#[derive(Clone, Debug)]
pub struct Responder {
    methods: Vec<String>,
    phase: Phase,
}

impl Responder {
    /// Chooses among the methods of a request those to answer with.
    ///
    /// They keep the requester's order; without `multiple` it is the first that this side knows.
    /// Fails with [`SiError::NoValidStreams`] if it knows none.
    pub fn new(offered: &[String], multiple: bool, known: &[&str]) -> Result<Self, SiError> {
        let mut methods: Vec<String> = Vec::new();
        for method in offered {
            if known.contains(&method.as_str()) && !methods.contains(method) {
                methods.push(method.clone());
            }
        }
        if !multiple {
            methods.truncate(1);
        }
        if methods.is_empty() {
            return Err(SiError::NoValidStreams);
        }
        Ok(Self {
            methods,
            phase: Phase::Awaiting { next: 0 },
        })
    }

    /// The methods to answer with, in order.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The peer said something of this stream, in the namespace of a method.
    ///
    /// A requester may skip methods, never go back: its order is this side's.
    pub fn handle_stanza(&mut self, namespace: &str) -> ResponderAction {
        let from = match self.phase {
            Phase::Awaiting { next } => next,
            // The requester has given up the one being tried and begun a later one.
            Phase::Trying { current } => current + 1,
            Phase::Done => return ResponderAction::Unexpected,
        };
        let mut left = self.methods.iter().enumerate().skip(from);
        match left.find(|(_, method)| *method == namespace) {
            Some((current, method)) => {
                self.phase = Phase::Trying { current };
                ResponderAction::Try(method.clone())
            }
            None => ResponderAction::Unexpected,
        }
    }

    /// The method tried has failed, or could not be prepared: says what to do next.
    pub fn handle_failed(&mut self, may_fall_back: bool) -> ResponderAction {
        let Phase::Trying { current } = self.phase else {
            return ResponderAction::Unexpected;
        };
        let next = current + 1;
        if !may_fall_back {
            self.phase = Phase::Done;
            ResponderAction::Stop
        } else if next < self.methods.len() {
            self.phase = Phase::Awaiting { next };
            ResponderAction::Await
        } else {
            self.phase = Phase::Done;
            ResponderAction::Exhausted
        }
    }
}

/// What the responder does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponderAction {
    /// Wait for the first stanza of another method.
    Await,
    /// Give up: no method is left.
    Exhausted,
    /// Give up: the last failure leaves no other way.
    Stop,
    /// Try this method.
    Try(String),
    /// Nothing of the negotiation's: refuse what was said, and stay.
    Unexpected,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The requester has yet to speak, of this method or a later one.
    Awaiting { next: usize },
    /// This method is being tried.
    Trying { current: usize },
    /// Given up.
    Done,
}
