//! Which answers were cut: whoever reads one is to know that it is not the whole.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tag::Tag;

/// The latest answers of which only the beginning is passed on, by their ids. Clones share them.
///
/// Contacts can guess ids, so what stands here counts for what the server itself is asked, and not for what
/// is asked later: see [`forget`](Self::forget).
#[derive(Clone, Debug, Default)]
pub(crate) struct CutAnswers(Arc<Mutex<VecDeque<String>>>);

impl CutAnswers {
    /// Whether this answer was cut. Says so once.
    pub(crate) fn take(&self, id: &str) -> bool {
        let mut ids = self.ids();
        let found = ids.iter().position(|cut| cut == id);
        found.and_then(|at| ids.remove(at)).is_some()
    }

    /// What was noted by now is not the answer to what is asked next.
    pub(crate) fn forget(&self) {
        self.ids().clear();
    }

    pub(crate) fn note(&self, id: String) {
        let mut ids = self.ids();
        if ids.len() == MOST {
            ids.pop_front();
        }
        ids.push_back(id);
    }

    fn ids(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of an answer, if it may be one to this session's own questions.
pub(super) fn id(tag: &Tag) -> Option<String> {
    if tag.local_name() != b"iq" || value(tag, b"type")? != b"result" {
        return None;
    }
    let id = value(tag, b"id").filter(|id| id.len() <= LONGEST_ID)?;
    String::from_utf8(id.to_vec()).ok()
}

fn value<'a>(tag: &'a Tag, name: &[u8]) -> Option<&'a [u8]> {
    let (_, quoted) = tag.attributes().find(|(key, _)| *key == name)?;
    let (_, value) = quoted.trim_ascii().split_first()?;
    value.split_last().map(|(_, value)| value)
}

/// Answers that are remembered. Of those that anybody awaits few are under way at a time, and each that is
/// cut takes many records.
const MOST: usize = 64;

/// Twice as long as the ids of this session's questions.
const LONGEST_ID: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::filter::Filter;
    use crate::filter::content::MOST_BYTES;
    use crate::filter::tests::HEADER;

    fn cut(stanzas: &str) -> CutAnswers {
        let answers = CutAnswers::default();
        let mut filter = Filter::noting(answers.clone());
        let mut output = Vec::new();
        filter.push(HEADER.as_bytes(), &mut output).unwrap();
        for piece in stanzas.as_bytes().chunks(1000) {
            filter.push(piece, &mut output).unwrap();
        }
        answers
    }

    #[test]
    fn an_answer_is_known_to_be_cut_wherever_that_happens() {
        let text = "x".repeat(MOST_BYTES);
        let elements = format!("<item jid='{}'/>", "x".repeat(100)).repeat(MOST_BYTES / 100);
        let many = "<a/>".repeat(super::super::MOST_ELEMENTS + 1);
        for content in [text, elements, many] {
            let iq = |id: &str| format!("<iq type='result' id='{id}'><q>{content}</q></iq>");
            let answers = cut(&format!(
                "{}<iq id='whole'><q/></iq>{}",
                iq("one"),
                iq("other")
            ));
            assert!(!answers.take("whole"));
            assert!(answers.take("one") && answers.take("other"));
            assert!(!answers.take("one"), "it is said once");
        }
    }

    #[test]
    fn what_fits_is_not_cut() {
        let content = "<a/>".repeat(super::super::MOST_ELEMENTS - 1);
        assert!(!cut(&format!("<iq id='one'><q>{content}</q></iq>")).take("one"));
    }

    #[test]
    fn messages_answer_nothing() {
        let content = "<a/>".repeat(super::super::MOST_ELEMENTS + 1);
        assert!(!cut(&format!("<message id='one'>{content}</message>")).take("one"));
    }

    #[test]
    fn few_are_remembered_and_they_are_the_latest() {
        let answers = CutAnswers::default();
        for number in 0..100 {
            answers.note(number.to_string());
        }
        assert_eq!(answers.ids().len(), MOST);
        assert!(answers.take("99") && !answers.take("0"));
    }
}
