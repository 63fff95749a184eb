//! Text of somebody else's, as people are shown it, and programs get it.
//!
//! A report that holds such text as [`Foreign`] or [`Who`] cannot be shown in another way.

use std::fmt;

use serde::Serialize;
pub(crate) use tubes::transport::foreign::{harmless, quoted};
use tubes::transport::foreign::{named, shortened, word};

/// Text of somebody else's choice: the name of a service, of a file, a word. Programs get it as it is; people are
/// shown a plain word as it is, and everything else in quotes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Foreign(String);

impl Foreign {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// In quotes, also if it is a plain word: for what can be anything.
    pub(crate) fn quoted(&self) -> String {
        quoted(&self.0)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(&self.0))
    }
}

/// Who somebody is: an address, of which the end (the resource, or the name in a room) is of its own choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Who(String);

impl Who {
    pub(crate) fn new(jid: impl fmt::Display) -> Self {
        Self(jid.to_string())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named(&self.0))
    }
}

/// A sentence in which words of others may stand, and no more of it than can be read.
pub(super) fn sentence(text: &str) -> String {
    shortened(&harmless(text), SENTENCE)
}

/// Letters of a sentence: of one that has a long path in it, or what somebody else has to say.
const SENTENCE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_quotes_and_programs_get_what_others_say_as_it_is() {
        let text = "x is online\u{202e}\"";
        let (foreign, who) = (
            Foreign::new(text),
            Who::new(format!("a@example.org/{text}")),
        );
        let shown = "\"x is online\\u{202e}\\\"\"";
        assert_eq!(foreign.to_string(), shown);
        assert_eq!(who.to_string(), format!("a@example.org/{shown}"));
        let json = serde_json::to_value((foreign, who)).ok();
        let same = serde_json::json!([text, format!("a@example.org/{text}")]);
        assert_eq!(json, Some(same));
    }
}
