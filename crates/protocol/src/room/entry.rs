//! This side in a room: how it comes in, and how it comes out again.
//!
//! ```text
//!   Entering ──own presence──► Inside ──own leave, by whatever──► Outside
//!      │                        │  ▲
//!      │             room lost  ▼  │ own presence
//!      │                      Returning ──── refused ──► Outside
//!      └── refused ──► Outside
//! ```
//!
//! A name that is taken is tried in other forms. So is one that another session of the account has: services
//! give it to both, and what is said to it reaches one of them. A room that is not reached at the moment
//! is entered later by who was in there before.

use std::collections::{BTreeMap, BTreeSet};

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::room::{Exit, Occupant, Removal, Step, Told};

/// This side's stay in a room; pure, and one per room.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name that the user wants.
    wanted: String,
    /// The one that is asked for, or held.
    nick: String,
    /// What this session says of itself, to know its own presences by.
    session: Option<String>,
    /// Forms of the name that others have, as far as it is known.
    taken: BTreeSet<Occupant>,
    phase: Phase,
    others: BTreeMap<Occupant, Known>,
}

/// What the room lets be seen of an occupant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whose occupant it is.
    pub real: Option<FullJid>,
    /// What the service calls it. See [`Told::id`].
    pub id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Entering,
    Inside,
    Outside,
    /// Has been inside, and comes back by itself.
    Returning,
}

impl Entry {
    /// A stay under this name, if nobody has it; the step to begin with is [`Step::Enter`].
    pub fn new(nick: &str) -> (Self, Step) {
        let entry = Self {
            wanted: nick.to_owned(),
            nick: nick.to_owned(),
            session: None,
            taken: BTreeSet::new(),
            phase: Phase::Entering,
            others: BTreeMap::new(),
        };
        let step = entry.enter();
        (entry, step)
    }

    /// Knows the presences of this session by what it says in them of itself. See [`Told::session`].
    pub fn with_session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// The name in the room, as far as it is known.
    pub fn nick(&self) -> &str {
        &self.nick
    }

    /// Whether this side is in the room.
    pub fn is_inside(&self) -> bool {
        self.phase == Phase::Inside
    }

    /// What is known of somebody who is there. A name is no identity: somebody else may have it the
    /// next moment.
    pub fn known(&self, occupant: &str) -> Option<&Known> {
        self.others.get(occupant)
    }

    /// Whether nobody further there is looked at.
    pub fn is_full(&self) -> bool {
        self.others.len() >= OCCUPANTS
    }

    /// Before it is entered the room says who is there: the name that this side is to ask for.
    ///
    /// If all of its forms are taken the room may say so.
    pub fn handle_occupants(&mut self, there: &BTreeSet<Occupant>) -> Step {
        let free = self.forms().find(|form| !there.contains(form));
        self.nick = free.unwrap_or_else(|| self.wanted.clone());
        self.enter()
    }

    /// Whether a presence of this name is this session's own. Another one of the account may have it, too.
    pub fn is_own(&self, occupant: &str, told: &Told) -> bool {
        (told.is_own() || occupant == self.nick) && !self.is_of_another(told)
    }

    /// An occupant is there.
    pub fn handle_available(&mut self, occupant: &str, told: &Told) -> Option<Step> {
        match self.phase {
            Phase::Outside => None,
            Phase::Entering | Phase::Returning if told.is_own() => {
                // The service may have given another name (§7.2.3).
                occupant.clone_into(&mut self.nick);
                // Who was there first keeps it.
                if told.is_shared && self.tries_another() {
                    return Some(self.enter());
                }
                self.phase = Phase::Inside;
                Some(Step::Entered {
                    nick: self.nick.clone(),
                    is_new: told.is_new_room(),
                })
            }
            Phase::Inside if occupant == self.nick && self.is_of_another(told) => {
                self.give_way(told)
            }
            Phase::Inside if told.is_own() => self.named(occupant),
            _ => self.came(occupant, told),
        }
    }

    /// An occupant is there no more, or under that name.
    pub fn handle_unavailable(&mut self, occupant: &str, told: &Told) -> Vec<Step> {
        if self.phase == Phase::Outside {
            return Vec::new();
        }
        let is_own = told.is_own() || self.is_inside() && occupant == self.nick;
        match (is_own, told.is_renamed(), &told.nick) {
            // A name that was given back before it was used.
            (true, true, _) if !self.is_inside() => Vec::new(),
            (true, ..) if !self.is_inside() && occupant != self.nick => Vec::new(),
            (true, true, Some(nick)) => self.named(nick).into_iter().collect(),
            (true, ..) => self.out(told),
            (false, true, Some(nick)) => self.renamed(occupant, nick).into_iter().collect(),
            (false, ..) => {
                let left = self.others.remove(occupant).map(|_| Step::Left {
                    occupant: occupant.to_owned(),
                });
                left.into_iter().collect()
            }
        }
    }

    /// The room refuses what was asked for.
    pub fn handle_error(&mut self, condition: &DefinedCondition) -> Option<Step> {
        match (self.phase, condition) {
            (Phase::Entering | Phase::Returning, DefinedCondition::Conflict)
                if self.tries_another() =>
            {
                Some(self.enter())
            }
            (Phase::Returning, condition) if may_pass(condition) => Some(Step::EnterLater),
            (Phase::Entering | Phase::Returning, condition) => {
                Some(self.exit(Exit::Refused(condition.clone())))
            }
            // Of something else, such as a name that somebody has.
            (Phase::Inside | Phase::Outside, _) => None,
        }
    }

    /// Nothing has come of the wish to enter, for longer than that takes.
    pub fn handle_silence(&mut self) -> Option<Step> {
        match self.phase {
            Phase::Entering => Some(self.exit(Exit::Silent)),
            Phase::Returning => Some(Step::EnterLater),
            Phase::Inside | Phase::Outside => None,
        }
    }

    /// This side asked itself, by the name that it has in the room, for a sign of life, and the room
    /// refuses that (XEP-0410 §3.2).
    pub fn handle_ping_refused(&mut self, condition: &DefinedCondition) -> Vec<Step> {
        let is_inside = matches!(
            condition,
            // The client's own answers. (`item-not-found`, which XEP-0410 has for a name that has just
            // changed, servers also answer for rooms that are not there.)
            DefinedCondition::FeatureNotImplemented
                | DefinedCondition::ServiceUnavailable
                // Who knows.
                | DefinedCondition::RemoteServerNotFound
                | DefinedCondition::RemoteServerTimeout
        );
        match self.phase {
            Phase::Inside if !is_inside => self.handle_lost(),
            _ => Vec::new(),
        }
    }

    /// This side does not want to be there any more, whatever the room says.
    pub fn handle_out(&mut self) {
        self.phase = Phase::Outside;
        self.others.clear();
    }

    /// The room does not know this side any more, or the session was lost (XEP-0410): what was known
    /// of it is worth nothing, and this side enters again.
    pub fn handle_lost(&mut self) -> Vec<Step> {
        let mut steps = self.all_left();
        match self.phase {
            Phase::Outside => return Vec::new(),
            Phase::Inside => self.phase = Phase::Returning,
            Phase::Entering | Phase::Returning => {}
        }
        steps.push(self.enter_anew());
        steps
    }

    /// The time has come to try it again.
    pub fn handle_timeout(&mut self) -> Option<Step> {
        (self.phase == Phase::Returning).then(|| self.enter_anew())
    }

    /// Under the last name: another session of the account may have the one that was wanted.
    fn enter_anew(&mut self) -> Step {
        self.taken.clear();
        self.enter()
    }

    /// Goes on to a form of the name that is not known to be taken, if there is one.
    fn tries_another(&mut self) -> bool {
        self.taken.insert(self.nick.clone());
        let free = self.free_form();
        let is_free = free.is_some();
        self.nick = free.unwrap_or_else(|| self.nick.clone());
        is_free
    }

    fn free_form(&self) -> Option<Occupant> {
        self.forms().find(|form| !self.taken.contains(form))
    }

    fn forms(&self) -> impl Iterator<Item = Occupant> {
        let others = (2..=FORMS).map(|number| format!("{}-{number}", self.wanted));
        std::iter::once(self.wanted.clone()).chain(others)
    }

    fn enter(&self) -> Step {
        Step::Enter {
            nick: self.nick.clone(),
        }
    }

    fn is_of_another(&self, told: &Told) -> bool {
        told.session.is_some() && self.session.is_some() && told.session != self.session
    }

    /// Another session of the account has the same name. ejabberd tells the elder one alone, and does not
    /// reach it any more; where all are told, who came last gives way.
    fn give_way(&mut self, told: &Told) -> Option<Step> {
        if told.is_shared || self.taken.len() >= MOVES {
            return None;
        }
        self.taken.insert(self.nick.clone());
        let nick = self.free_form()?;
        // Nobody says so again when this side is gone from there.
        self.others.insert(self.nick.clone(), Known::of(told));
        Some(Step::Rename { nick })
    }

    fn came(&mut self, occupant: &str, told: &Told) -> Option<Step> {
        if self.is_full() && !self.others.contains_key(occupant) {
            return None;
        }
        let before = self.others.insert(occupant.to_owned(), Known::of(told));
        let is_news = before.is_none_or(|before| before.real != told.real);
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
        // Who comes back does so under the last name.
        nick.clone_into(&mut self.wanted);
        Some(Step::Named {
            nick: nick.to_owned(),
        })
    }

    fn renamed(&mut self, from: &str, to: &str) -> Option<Step> {
        let known = self.others.remove(from)?;
        self.others.insert(to.to_owned(), known);
        Some(Step::Renamed {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    fn out(&mut self, told: &Told) -> Vec<Step> {
        let removal = told.removal();
        if let Some(Removal::Failed | Removal::ShutDown) = removal {
            // Nobody wanted that.
            let mut steps = self.all_left();
            self.phase = Phase::Returning;
            steps.push(Step::EnterLater);
            return steps;
        }
        let mut steps = self.all_left();
        self.phase = Phase::Outside;
        steps.push(Step::Out {
            why: removal.map(Exit::Removed),
            reason: told.reason.clone(),
        });
        steps
    }

    fn exit(&mut self, why: Exit) -> Step {
        self.phase = Phase::Outside;
        self.others.clear();
        let (why, reason) = (Some(why), None);
        Step::Out { why, reason }
    }

    fn all_left(&mut self) -> Vec<Step> {
        let others = std::mem::take(&mut self.others).into_keys();
        others.map(|occupant| Step::Left { occupant }).collect()
    }
}

impl Known {
    fn of(told: &Told) -> Self {
        Self {
            real: told.real.clone(),
            id: told.id.clone(),
        }
    }
}

/// Whether a room that says so may be there again later.
fn may_pass(condition: &DefinedCondition) -> bool {
    matches!(
        condition,
        DefinedCondition::InternalServerError
            | DefinedCondition::ItemNotFound
            | DefinedCondition::RecipientUnavailable
            | DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
            | DefinedCondition::ResourceConstraint
            | DefinedCondition::ServiceUnavailable
    )
}

/// Forms of a name that are tried, the one that is wanted among them.
const FORMS: u32 = 5;

/// Names that are given back in one stay, so that two sessions do not chase each other for ever.
const MOVES: usize = 16;

/// Occupants that are followed; more are not seen.
const OCCUPANTS: usize = 4096;
