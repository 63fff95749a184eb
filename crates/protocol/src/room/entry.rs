//! This side in a room: how it comes in, and how it comes out again.
//!
//! ```text
//!   Entering ──own presence──► Inside ──own leave, by whatever──► Outside
//!      │  └── name is taken: another one ──┐  │
//!      │◄─────────────────────────────────┘  └── not known there any more: enters again
//!      └── refused ──► Outside
//! ```

use std::collections::BTreeMap;

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::room::{Occupant, Removal, Told};

/// This side's stay in a room; pure, and one per room.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name that the user wants.
    wanted: String,
    /// The one that is asked for, or held.
    nick: String,
    tries: u32,
    phase: Phase,
    others: BTreeMap<Occupant, Option<FullJid>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Entering,
    Inside,
    Outside,
}

/// What follows from what the room says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Somebody is in the room; whose occupant it is, where that may be seen. Comes again when that
    /// changes.
    Came {
        /// Who.
        occupant: Occupant,
        /// Whose occupant.
        real: Option<FullJid>,
    },
    /// Ask to be let in, under this name.
    Enter {
        /// The name.
        nick: Occupant,
    },
    /// This side is in the room.
    Entered {
        /// Its name there.
        nick: Occupant,
        /// The room was made for it just now: tell the service how it is to be (XEP-0045 §10.1.2).
        is_new: bool,
    },
    /// Somebody is in the room no more.
    Left {
        /// Who.
        occupant: Occupant,
    },
    /// This side is in the room no more, and does not come back by itself.
    Out {
        /// Why; nothing if it wanted to leave.
        why: Option<Exit>,
        /// What people said of it.
        reason: Option<String>,
    },
    /// This side has another name from now on.
    Named {
        /// The name.
        nick: Occupant,
    },
    /// Somebody goes by another name.
    Renamed {
        /// The former name.
        from: Occupant,
        /// The present one.
        to: Occupant,
    },
}

/// Why this side is not in the room.
#[derive(Clone, Debug, PartialEq)]
pub enum Exit {
    /// It was not let in.
    Refused(DefinedCondition),
    /// It was put out.
    Removed(Removal),
}

impl Entry {
    /// A stay under this name, if nobody has it; the step to begin with is [`Step::Enter`].
    pub fn new(nick: &str) -> (Self, Step) {
        let entry = Self {
            wanted: nick.to_owned(),
            nick: nick.to_owned(),
            tries: 0,
            phase: Phase::Entering,
            others: BTreeMap::new(),
        };
        let step = entry.enter();
        (entry, step)
    }

    /// The name in the room, as far as it is known.
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// Whether this side is in the room.
    pub fn is_inside(&self) -> bool {
        self.phase == Phase::Inside
    }

    /// Whose occupant somebody is, where that may be seen. A name is no identity: somebody else may
    /// have it the next moment.
    pub fn real(&self, occupant: &str) -> Option<&FullJid> {
        self.others.get(occupant)?.as_ref()
    }

    /// An occupant is there.
    pub fn handle_available(&mut self, occupant: &str, told: &Told) -> Option<Step> {
        match self.phase {
            Phase::Outside => None,
            Phase::Entering if told.is_own() => {
                // The service may have given another name (§7.2.3).
                occupant.clone_into(&mut self.nick);
                self.phase = Phase::Inside;
                Some(Step::Entered {
                    nick: self.nick.clone(),
                    is_new: told.is_new_room(),
                })
            }
            Phase::Inside if told.is_own() => self.named(occupant),
            _ => self.came(occupant, told),
        }
    }

    /// An occupant is there no more, or under that name.
    pub fn handle_unavailable(&mut self, occupant: &str, told: &Told) -> Option<Step> {
        if self.phase == Phase::Outside {
            return None;
        }
        let is_own = told.is_own() || self.is_inside() && occupant == self.nick;
        match (is_own, told.is_renamed(), &told.nick) {
            (true, true, Some(nick)) => self.named(nick),
            (true, ..) => Some(self.out(told)),
            (false, true, Some(nick)) => {
                let real = self.others.remove(occupant)?;
                self.others.insert(nick.clone(), real);
                Some(Step::Renamed {
                    from: occupant.to_owned(),
                    to: nick.clone(),
                })
            }
            (false, ..) => self.others.remove(occupant).map(|_| Step::Left {
                occupant: occupant.to_owned(),
            }),
        }
    }

    /// The room refuses what was asked for.
    pub fn handle_error(&mut self, condition: &DefinedCondition) -> Option<Step> {
        match (self.phase, condition) {
            (Phase::Entering, DefinedCondition::Conflict) if self.tries < TRIES => {
                self.tries += 1;
                self.nick = format!("{}-{}", self.wanted, self.tries + 1);
                Some(self.enter())
            }
            (Phase::Entering, condition) => {
                self.phase = Phase::Outside;
                Some(Step::Out {
                    why: Some(Exit::Refused(condition.clone())),
                    reason: None,
                })
            }
            // Of something else, such as a name that somebody has.
            (Phase::Inside | Phase::Outside, _) => None,
        }
    }

    /// The room does not know this side any more, or the session was lost (XEP-0410): what was known
    /// of it is worth nothing, and this side enters again.
    pub fn handle_lost(&mut self) -> Vec<Step> {
        if self.phase == Phase::Outside {
            return Vec::new();
        }
        let mut steps = self.all_left();
        self.phase = Phase::Entering;
        self.tries = 0;
        self.nick.clone_from(&self.wanted);
        steps.push(self.enter());
        steps
    }

    fn enter(&self) -> Step {
        Step::Enter {
            nick: self.nick.clone(),
        }
    }

    fn came(&mut self, occupant: &str, told: &Told) -> Option<Step> {
        if self.others.len() >= OCCUPANTS && !self.others.contains_key(occupant) {
            return None;
        }
        let before = self.others.insert(occupant.to_owned(), told.real.clone());
        let is_news = before.is_none_or(|before| before != told.real);
        is_news.then(|| Step::Came {
            occupant: occupant.to_owned(),
            real: told.real.clone(),
        })
    }

    fn named(&mut self, nick: &str) -> Option<Step> {
        if self.nick == nick {
            return None;
        }
        nick.clone_into(&mut self.nick);
        Some(Step::Named {
            nick: nick.to_owned(),
        })
    }

    fn out(&mut self, told: &Told) -> Step {
        self.phase = Phase::Outside;
        self.others.clear();
        Step::Out {
            why: told.removal().map(Exit::Removed),
            reason: told.reason.clone(),
        }
    }

    fn all_left(&mut self) -> Vec<Step> {
        let others = std::mem::take(&mut self.others).into_keys();
        others.map(|occupant| Step::Left { occupant }).collect()
    }
}

/// Names that are tried after the one that is wanted.
const TRIES: u32 = 4;

/// Occupants that are followed; more are not seen.
const OCCUPANTS: usize = 4096;
