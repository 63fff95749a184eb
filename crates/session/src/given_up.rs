//! Questions that nobody waits for any more, whose answers may be on their way.

use std::collections::VecDeque;

use xmpp_parsers::jid::{FullJid, Jid};

use crate::tracker::may_answer;

/// The questions that were given up last, each with who was asked.
#[derive(Debug, Default)]
pub(crate) struct GivenUp(VecDeque<(String, Option<Jid>)>);

impl GivenUp {
    /// Notes that nobody waits any more for what `to` was asked.
    pub(crate) fn note(&mut self, id: &str, to: Option<Jid>) {
        if self.0.len() == QUESTIONS {
            self.0.pop_front();
        }
        self.0.push_back((id.to_owned(), to));
    }

    /// Whether `from` was asked this. That is forgotten now: it answers once.
    pub(crate) fn take(&mut self, from: &Jid, own: &FullJid, id: &str) -> bool {
        let may_answer = |to: Option<&Jid>| match to {
            // In a room it may have another name meanwhile.
            Some(to) => to.to_bare() == from.to_bare(),
            None => may_answer(None, Some(from), own),
        };
        let is_meant = |(asked, to): &(String, Option<Jid>)| asked == id && may_answer(to.as_ref());
        let at = self.0.iter().position(is_meant);
        at.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// Questions that are remembered. Of a lost session many more may be given up, and most of their answers are lost
/// with it.
const QUESTIONS: usize = 2048;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn who_was_asked_may_still_answer_once() {
        let jid = |jid: &str| -> Jid { jid.parse().unwrap() };
        let own: FullJid = "alice@example.org/r".parse().unwrap();
        let mut given_up = GivenUp::default();
        given_up.note("1", Some(jid("hall@rooms.example.org/fernand")));
        given_up.note("2", None);
        let mut take = |from: &str, id: &str| given_up.take(&jid(from), &own, id);
        assert!(!take("carol@example.org/r", "1"));
        assert!(!take("hall@rooms.example.org/fernand", "2"));
        assert!(take("hall@rooms.example.org/fred", "1"));
        assert!(!take("hall@rooms.example.org/fernand", "1"));
        assert!(take("example.org", "2"));
        assert!(!take("alice@example.org", "2"));
    }

    #[test]
    fn so_many_questions_are_remembered() {
        let own: FullJid = "alice@example.org/r".parse().unwrap();
        let mut given_up = GivenUp::default();
        for number in 0..=QUESTIONS {
            given_up.note(&number.to_string(), None);
        }
        assert!(!given_up.take(&own.clone().into(), &own, "0"));
        assert!(given_up.take(&own.clone().into(), &own, "1"));
        assert_eq!(given_up.0.len(), QUESTIONS - 1);
    }
}
