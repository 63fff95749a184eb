//! Which of a bytestream's stanzas a fault befalls.

use std::sync::Mutex;

use tubes_testkit::{Fate, Observer, Step};
use tubes_transport::Role;
use xmpp_parsers::minidom::Element;

use crate::exchange::{BLOCKS, alice};

/// Which of several stanzas of the same kind are tried.
pub(crate) fn numbers(step: Step) -> Vec<usize> {
    match step {
        Step::Data(_) | Step::DataAnswer(_) => vec![1, 2, BLOCKS],
        _ => vec![1],
    }
}

/// A filter for which this befalls the stanza of this number and no other.
pub(crate) fn befallen(
    step: Step,
    number: usize,
    fate: Fate,
) -> impl Fn(&Element) -> Fate + Send + Sync + 'static {
    let observer = Mutex::new(Observer::default());
    let count = Mutex::new(0);
    move |stanza| {
        let role = match stanza.attr("from") == Some(alice().as_str()) {
            true => Role::Requester,
            false => Role::Responder,
        };
        if observer.lock().unwrap().observe(role, stanza) != Some(step) {
            return Fate::Pass;
        }
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count == number {
            true => fate.clone(),
            false => Fate::Pass,
        }
    }
}
