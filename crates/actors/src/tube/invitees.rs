//! Who may connect to an offered tube, and who is told of it.

use std::time::Instant;

use tubes_protocol::tube::{Announce, Ended, Offerer, Refusal, Whose};
use xmpp_parsers::jid::FullJid;

/// Those whom a tube is offered to.
#[derive(Debug)]
pub(super) enum Invitees {
    /// The resources of a contact.
    Contact(Offerer),
    /// Whoever is in the room: the room sees to it that nobody else is heard, tells everybody who comes,
    /// and knows no answers.
    Room(Phase),
}

/// How far a tube in a room has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open,
}

impl Invitees {
    pub(super) fn handle_online(&mut self, resource: FullJid, ours: bool) -> Option<Announce> {
        match self {
            Self::Contact(machine) => machine.handle_online(resource, ours),
            Self::Room(_) => None,
        }
    }

    pub(super) fn handle_offline(&mut self, resource: &FullJid, whose: Whose, now: Instant) {
        if let Self::Contact(machine) = self {
            machine.handle_offline(resource, whose, now);
        }
    }

    pub(super) fn handle_declined(&mut self, from: &FullJid, now: Instant) -> Option<Ended> {
        match self {
            Self::Contact(machine) => machine.handle_declined(from, now),
            // One of many.
            Self::Room(_) => None,
        }
    }

    /// True if it is the first.
    pub(super) fn handle_connect(&mut self, from: &FullJid) -> Result<bool, Refusal> {
        match self {
            Self::Contact(machine) => machine.handle_connect(from),
            Self::Room(Phase::Closed) => Err(Refusal::Closed),
            Self::Room(Phase::Open) => Ok(false),
        }
    }

    /// Who has to be told one by one.
    pub(super) fn handle_close(&mut self) -> Vec<FullJid> {
        match self {
            Self::Contact(machine) => machine.handle_close(),
            Self::Room(phase) => {
                *phase = Phase::Closed;
                Vec::new()
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Contact(machine) => machine.poll_timeout(),
            Self::Room(_) => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Ended> {
        match self {
            Self::Contact(machine) => machine.handle_timeout(now),
            Self::Room(_) => None,
        }
    }

    pub(super) fn is_ours(&self, resource: &FullJid) -> bool {
        match self {
            Self::Contact(machine) => machine.is_ours(resource),
            Self::Room(_) => false,
        }
    }
}
