//! Why a server ends a stream: tokio-xmpp 6.0.0 writes it to the log and forgets it.

use std::sync::{Arc, Mutex, PoisonError};

use super::tag::Tag;

/// What a server says before it ends a stream (RFC 6120 §4.9).
#[derive(Debug, Default)]
pub(super) enum Farewell {
    #[default]
    Unsaid,
    /// Within `<stream:error>`.
    Begun,
    /// The name of the defined condition, such as `conflict`.
    Said(String),
}

impl Farewell {
    /// An element begins, directly in the stream.
    pub(super) fn handle_outer(&mut self, tag: &Tag) {
        if tag.local_name() == b"error" {
            *self = Self::Begun;
        }
    }

    /// An element begins, somewhere within. The first in an error is its condition (§4.9.2).
    pub(super) fn handle_inner(&mut self, tag: &Tag) {
        if matches!(self, Self::Begun) {
            let name = tag.local_name();
            let name = name.get(..LONGEST).unwrap_or(name);
            *self = Self::Said(String::from_utf8_lossy(name).into_owned());
        }
    }
}

/// The condition a connection ended with, once it did. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    /// The name of the condition, if the server said one.
    pub(crate) fn condition(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, farewell: &Farewell) {
        if let Farewell::Said(condition) = farewell {
            let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            words.get_or_insert_with(|| condition.clone());
        }
    }
}

/// Twice the longest condition there is.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use crate::filter::Filter;

    use super::*;

    fn heard(stream: &str) -> Option<String> {
        let mut filter = Filter::new();
        filter.push(stream.as_bytes(), &mut Vec::new()).unwrap();
        let words = LastWords::default();
        words.set(filter.farewell());
        words.condition()
    }

    #[test]
    fn hears_the_condition_of_a_stream_error() {
        let said = heard(
            "<stream:stream xmlns='jabber:client'><message/><stream:error>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text>Replaced</text>\
             </stream:error>",
        );
        assert_eq!(said.as_deref(), Some("conflict"));
    }

    #[test]
    fn takes_nothing_that_a_stranger_says_for_it() {
        let said = heard(
            "<stream:stream xmlns='jabber:client'><message><error><conflict/></error></message>\
             <iq type='error'><error><conflict/></error></iq>",
        );
        assert_eq!(said, None);
    }
}
