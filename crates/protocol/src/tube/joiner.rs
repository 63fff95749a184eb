//! The side of a one-to-one stream tube that was offered the service.
//!
//! ```text
//!   Invited ──accepted──► Joined
//!      │                    │
//!      └──declined, closed, offerer gone──► Closed
//! ```
//!
//! Accepting says nothing to the offerer: it learns of it from the first connection.

use std::time::Instant;

use super::absence::Absence;
use super::{Ended, Refusal};

/// The joiner's state; pure, and one per tube.
#[derive(Debug, Default)]
pub struct Joiner {
    phase: Phase,
    absence: Absence,
}

impl Joiner {
    /// A tube that was just offered by a resource that is online.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tube that was offered by a resource whose presence is not seen: unless it is accepted
    /// soon, it counts for nothing.
    pub fn unseen(now: Instant) -> Self {
        let mut tube = Self::default();
        tube.absence.begin(now);
        tube
    }

    /// The offer was repeated: the offerer is back, and the tube is the same.
    pub fn handle_offered_again(&mut self) {
        self.absence.end();
    }

    /// The user accepts. True if that is news.
    pub fn handle_accept(&mut self) -> Result<bool, Refusal> {
        match self.phase {
            Phase::Closed => Err(Refusal::Closed),
            Phase::Invited => {
                self.phase = Phase::Joined;
                // Whether the offerer is there, a connection will tell.
                self.absence.end();
                Ok(true)
            }
            Phase::Joined => Ok(false),
        }
    }

    /// A local program wants a connection.
    pub fn handle_connect(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Closed => Err(Refusal::Closed),
            Phase::Invited => Err(Refusal::NotAccepted),
            Phase::Joined if self.absence.is_on() => Err(Refusal::PeerAway),
            Phase::Joined => Ok(()),
        }
    }

    /// The resource that offered the tube is online.
    pub fn handle_online(&mut self) {
        self.absence.end();
    }

    /// The resource that offered the tube went offline.
    pub fn handle_offline(&mut self, now: Instant) {
        self.absence.begin(now);
    }

    /// The offerer closed the tube.
    pub fn handle_closed(&mut self) -> Option<Ended> {
        let was = std::mem::replace(&mut self.phase, Phase::Closed);
        (was != Phase::Closed).then_some(Ended::ByPeer)
    }

    /// This side closes or declines the tube; true if the offerer has to be told, which may be
    /// there although it is not seen.
    pub fn handle_close(&mut self) -> bool {
        std::mem::replace(&mut self.phase, Phase::Closed) != Phase::Closed
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closed => None,
            Phase::Invited | Phase::Joined => self.absence.deadline(),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Ended> {
        if self.phase == Phase::Closed || !self.absence.is_over(now) {
            return None;
        }
        self.phase = Phase::Closed;
        Some(Ended::PeerGone)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Invited,
    Joined,
    Closed,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn joined() -> Joiner {
        let mut tube = Joiner::new();
        tube.handle_accept().unwrap();
        tube
    }

    #[test]
    fn connects_only_after_it_was_accepted() {
        assert_eq!(Joiner::new().handle_connect(), Err(Refusal::NotAccepted));
        assert_eq!(joined().handle_connect(), Ok(()));
    }

    #[test]
    fn an_invitation_of_somebody_unseen_expires_unless_it_is_accepted() {
        let now = Instant::now();
        let mut tube = Joiner::unseen(now);
        let due = tube.poll_timeout().unwrap();
        assert_eq!(tube.handle_timeout(due), Some(Ended::PeerGone));
        let mut tube = Joiner::unseen(now);
        tube.handle_accept().unwrap();
        assert_eq!(tube.poll_timeout(), None);
        assert_eq!(tube.handle_connect(), Ok(()));
    }

    #[test]
    fn opens_no_connection_while_the_offerer_is_away() {
        let mut tube = joined();
        tube.handle_offline(Instant::now());
        assert_eq!(tube.handle_connect(), Err(Refusal::PeerAway));
        tube.handle_offered_again();
        assert_eq!(tube.handle_connect(), Ok(()));
    }

    #[test]
    fn closes_when_the_offerer_stays_away() {
        let mut tube = joined();
        tube.handle_offline(Instant::now());
        let due = tube.poll_timeout().unwrap();
        assert_eq!(tube.handle_timeout(due), Some(Ended::PeerGone));
        assert_eq!(tube.handle_connect(), Err(Refusal::Closed));
        assert_eq!(tube.poll_timeout(), None);
    }

    #[test]
    fn tells_the_offerer_once() {
        let mut tube = Joiner::unseen(Instant::now());
        assert!(tube.handle_close());
        assert!(!tube.handle_close());
    }

    #[test]
    fn a_tube_that_the_offerer_closed_stays_closed() {
        let mut tube = joined();
        assert_eq!(tube.handle_closed(), Some(Ended::ByPeer));
        assert_eq!(tube.handle_closed(), None);
        assert_eq!(tube.handle_accept(), Err(Refusal::Closed));
    }
}
