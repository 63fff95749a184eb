//! Questions that wait for their answers.
//!
//! tokio-xmpp's own tracking has no deadlines, and forgets to fail what was under way when a
//! session is lost. This one is a plain table: no clock, no I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tubes_transport::{AskError, Gone, Patience};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;

use crate::given_up::GivenUp;

/// All questions under way on one session.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// Makes ids unguessable for those who would answer a question they were not asked.
    prefix: u64,
    next: u64,
    pending: HashMap<String, Pending>,
    deadlines: BTreeSet<(Instant, String)>,
    /// When a peer that owes a patient answer, or holds a wire, was last heard.
    heard: HashMap<Jid, Instant>,
    given_up: GivenUp,
}

impl Tracker {
    pub(crate) fn new(prefix: u64) -> Self {
        Self {
            prefix,
            next: 0,
            pending: HashMap::new(),
            deadlines: BTreeSet::new(),
            heard: HashMap::new(),
            given_up: GivenUp::default(),
        }
    }

    /// Notes a question and returns the id to send it under.
    pub(crate) fn ask(
        &mut self,
        to: Option<Jid>,
        patience: Patience,
        asker: Asker,
        now: Instant,
    ) -> String {
        self.next += 1;
        let id = format!("{:x}-{:x}", self.prefix, self.next);
        let deadline = match patience {
            Patience::Within(time) => {
                self.deadlines.insert((now + time, id.clone()));
                Some(now + time)
            }
            Patience::WhileAlive => {
                if let Some(peer) = &to {
                    self.heard.entry(peer.clone()).or_insert(now);
                }
                None
            }
        };
        self.pending.insert(
            id.clone(),
            Pending {
                to,
                deadline,
                asker,
            },
        );
        id
    }

    /// Finds who asked the question that `from` answers; `None` if nobody asked it of them.
    pub(crate) fn answered(
        &mut self,
        from: Option<&Jid>,
        own: &FullJid,
        id: &str,
    ) -> Option<Asker> {
        let asked = self.pending.get(id)?.to.as_ref();
        if !may_answer(asked, from, own) {
            return None;
        }
        self.remove(id).map(|pending| pending.asker)
    }

    /// Notes that a question came back from `from` without its answer. A server says so of somebody whose link broke,
    /// and who may answer when it is there again.
    pub(crate) fn came_back(&mut self, from: Jid, id: &str) {
        self.given_up.note(id, Some(from));
    }

    /// Whether an answer is waited for, whoever is to give it.
    pub(crate) fn is_pending(&self, id: &str) -> bool {
        self.pending.contains_key(id)
    }

    /// Whether `from` was asked this some time ago, and nobody waits for the answer any more. That is forgotten now:
    /// it answers once.
    pub(crate) fn gave_up(&mut self, from: &Jid, own: &FullJid, id: &str) -> bool {
        self.given_up.take(from, own, id)
    }

    /// Notes that a peer is alive.
    pub(crate) fn heard(&mut self, from: &Jid, now: Instant) {
        if let Some(last) = self.heard.get_mut(from) {
            *last = now;
        }
    }

    /// The session goes on after a pause: nobody was silent, and what this session asked itself
    /// has its time anew.
    pub(crate) fn resume(&mut self, now: Instant) {
        for last in self.heard.values_mut() {
            *last = now;
        }
        for (id, pending) in &mut self.pending {
            if let (Some(deadline), false) = (pending.deadline, pending.asker.is_outsider()) {
                self.deadlines.remove(&(deadline, id.clone()));
                let deadline = now + PAUSED;
                self.deadlines.insert((deadline, id.clone()));
                pending.deadline = Some(deadline);
            }
        }
    }

    /// When [`expired`](Self::expired) has something to say next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out the questions whose time is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<Asker> {
        let mut askers = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if deadline > now {
                break;
            }
            askers.extend(self.give_up(&id));
        }
        askers
    }

    /// The peers that were silent for [`SILENCE`] although they owe a patient answer, or hold a
    /// wire: whoever only reads would else wait for the dead for ever. Names each only once per
    /// silence.
    pub(crate) fn silent(&mut self, wired: HashSet<Jid>, now: Instant) -> Vec<Jid> {
        // Nobody waits for these any more, and they have no deadline to go by.
        let is_of_nobody =
            |pending: &Pending| pending.deadline.is_none() && pending.asker.is_abandoned();
        let abandoned = self
            .pending
            .iter()
            .filter(|(_, pending)| is_of_nobody(pending));
        let abandoned: Vec<_> = abandoned.map(|(id, _)| id.clone()).collect();
        for id in abandoned {
            self.give_up(&id);
        }
        let owing: HashSet<&Jid> = self
            .pending
            .values()
            .filter(|pending| pending.deadline.is_none())
            .filter_map(|pending| pending.to.as_ref())
            .collect();
        self.heard
            .retain(|peer, _| owing.contains(peer) || wired.contains(peer));
        for peer in wired {
            self.heard.entry(peer).or_insert(now);
        }
        let mut silent = Vec::new();
        for (peer, last) in &mut self.heard {
            if now.saturating_duration_since(*last) >= SILENCE {
                *last = now;
                silent.push(peer.clone());
            }
        }
        silent
    }

    /// Takes out what was asked of a peer that is gone.
    pub(crate) fn lost(&mut self, peer: &Jid) -> Vec<Asker> {
        let ids: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.to.as_ref() == Some(peer))
            .map(|(id, _)| id.clone())
            .collect();
        ids.iter().filter_map(|id| self.give_up(id)).collect()
    }

    /// Takes out everything: the session is lost.
    pub(crate) fn lost_all(&mut self) -> Vec<Asker> {
        self.heard.clear();
        let ids: Vec<_> = self.pending.keys().cloned().collect();
        ids.iter().filter_map(|id| self.give_up(id)).collect()
    }

    fn give_up(&mut self, id: &str) -> Option<Asker> {
        let Pending { to, asker, .. } = self.remove(id)?;
        self.given_up.note(id, to);
        Some(asker)
    }

    fn remove(&mut self, id: &str) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, id.to_owned()));
        }
        Some(pending)
    }
}

/// Who asked, and so what an answer means.
#[derive(Debug)]
pub(crate) enum Asker {
    /// This session: which features a contact's resource has.
    Features(FullJid),
    /// This session: whether a silent peer is still there.
    Ping(Jid),
    /// This session: the roster.
    Roster,
    /// Somebody outside.
    Someone(oneshot::Sender<Result<Option<Element>, AskError>>),
}

impl Asker {
    /// Whether the one who asked is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self, Self::Someone(reply) if reply.is_closed())
    }

    fn is_outsider(&self) -> bool {
        matches!(self, Self::Someone(_))
    }

    /// Tells an outsider how it went; what the session asked itself needs no word.
    pub(crate) fn fail(self, why: AskError) {
        if let Self::Someone(reply) = self {
            // Whoever asked may have lost interest.
            let _ = reply.send(Err(why));
        }
    }
}

/// RFC 6120 §8.1.2.1: the own account may answer under its bare JID, its domain, or no name.
pub(crate) fn may_answer(asked: Option<&Jid>, from: Option<&Jid>, own: &FullJid) -> bool {
    match (asked, from) {
        (Some(asked), Some(from)) if asked == from => true,
        (Some(asked), None) => *asked == own.to_bare() || asked.as_str() == own.domain().as_str(),
        (None, Some(from)) => {
            *from == own.to_bare() || from == own || from.as_str() == own.domain().as_str()
        }
        (None, None) => true,
        _ => false,
    }
}

#[derive(Debug)]
struct Pending {
    to: Option<Jid>,
    deadline: Option<Instant>,
    asker: Asker,
}

/// How long a peer may be silent while it owes an answer without a deadline.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// Time for what was asked before a pause.
const PAUSED: Duration = Duration::from_secs(30);

/// Fails outsiders' questions with the same reason.
pub(crate) fn fail_all(askers: Vec<Asker>, why: &Gone) {
    for asker in askers {
        asker.fail(AskError::Gone(why.clone()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn own() -> FullJid {
        "alice@example.org/r".parse().unwrap()
    }

    fn peer() -> Jid {
        "fernand@example.org/r".parse().unwrap()
    }

    #[test]
    fn takes_an_answer_only_from_whom_was_asked() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        let id = tracker.ask(Some(peer()), Patience::default(), Asker::Roster, now);
        let stranger: Jid = "stranger@example.org/r".parse().unwrap();
        assert!(tracker.answered(Some(&stranger), &own(), &id).is_none());
        assert!(tracker.answered(None, &own(), &id).is_none());
        assert!(tracker.answered(Some(&peer()), &own(), &id).is_some());
        assert!(tracker.answered(Some(&peer()), &own(), &id).is_none());
    }

    #[test]
    fn the_own_server_may_answer_without_a_name() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        for from in [
            None,
            Some("alice@example.org"),
            Some("example.org"),
            Some("alice@example.org/r"),
        ] {
            let id = tracker.ask(None, Patience::default(), Asker::Roster, now);
            let from: Option<Jid> = from.map(|from| from.parse().unwrap());
            assert!(
                tracker.answered(from.as_ref(), &own(), &id).is_some(),
                "{from:?}"
            );
        }
    }

    #[test]
    fn expires_what_has_a_deadline_and_nothing_else() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        tracker.ask(Some(peer()), Patience::Within(second), Asker::Roster, now);
        tracker.ask(Some(peer()), Patience::WhileAlive, Asker::Roster, now);
        assert_eq!(tracker.next_deadline(), Some(now + second));
        assert_eq!(tracker.expired(now).len(), 0);
        assert_eq!(tracker.expired(now + second).len(), 1);
        assert_eq!(tracker.next_deadline(), None);
    }

    #[test]
    fn reports_a_silent_peer_once_a_silence() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        let id = tracker.ask(Some(peer()), Patience::WhileAlive, Asker::Roster, now);
        let silent = |tracker: &mut Tracker, time| tracker.silent(HashSet::new(), time);
        assert!(silent(&mut tracker, now + SILENCE / 2).is_empty());
        assert_eq!(silent(&mut tracker, now + SILENCE), [peer()]);
        assert!(silent(&mut tracker, now + SILENCE).is_empty());
        tracker.heard(&peer(), now + SILENCE * 2);
        assert!(silent(&mut tracker, now + SILENCE * 2).is_empty());
        assert!(tracker.answered(Some(&peer()), &own(), &id).is_some());
        assert!(silent(&mut tracker, now + SILENCE * 9).is_empty());
    }

    #[test]
    fn reports_a_peer_that_only_ever_listens() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        let wired = || HashSet::from([peer()]);
        assert!(tracker.silent(wired(), now).is_empty());
        assert_eq!(tracker.silent(wired(), now + SILENCE), [peer()]);
        tracker.heard(&peer(), now + SILENCE * 2);
        assert!(tracker.silent(wired(), now + SILENCE * 2).is_empty());
        assert!(tracker.silent(HashSet::new(), now + SILENCE * 9).is_empty());
    }

    #[test]
    fn forgets_questions_that_nobody_waits_for() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        for _ in 0..10 {
            let (reply, _) = oneshot::channel();
            tracker.ask(
                Some(peer()),
                Patience::WhileAlive,
                Asker::Someone(reply),
                now,
            );
        }
        assert!(tracker.silent(HashSet::new(), now + SILENCE).is_empty());
        assert!(tracker.lost_all().is_empty());
    }

    #[test]
    fn a_lost_peer_takes_only_its_own_questions_along() {
        let mut tracker = Tracker::new(7);
        let now = Instant::now();
        tracker.ask(Some(peer()), Patience::default(), Asker::Roster, now);
        tracker.ask(None, Patience::default(), Asker::Roster, now);
        assert_eq!(tracker.lost(&peer()).len(), 1);
        assert_eq!(tracker.lost_all().len(), 1);
        assert_eq!(tracker.next_deadline(), None);
    }
}
