//! Files that are sent, as events tell of them.

use std::collections::BTreeMap;

use tubes_secure::Protection;
use xmpp_parsers::jid::{FullJid, Jid};

use crate::event::{Direction, Event};
use crate::failure;
use crate::file::{FileId, Particulars, Progress};

/// A file that is offered or on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// The other side: who offers, or whom it is offered to.
    pub peer: Jid,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub particulars: Particulars,
    /// How far it has come, also after this state was taken.
    pub progress: Progress,
    /// How it is carried.
    pub passage: Passage,
}

/// How a file is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passage {
    /// Bytes flow.
    Flowing {
        /// Who is at the other end.
        peer: FullJid,
        /// What carries it: `ibb`, …
        transport: &'static str,
        /// What was tried before, and why it failed.
        fell_back_from: Vec<(String, String)>,
        /// How many bytes the receiver had already.
        offset: u64,
        /// Whether somebody on the way can read or change it.
        protection: Protection,
    },
    /// Not yet: it was not accepted, or both sides are agreeing on a transport.
    Offered,
}

pub(super) fn handle(files: &mut BTreeMap<FileId, File>, event: &Event) {
    match event.clone() {
        Event::FileDone { file, .. } | Event::FileFailed { file, .. } => {
            files.remove(&file);
        }
        Event::FileOffered {
            file,
            peer,
            direction,
            particulars,
            progress,
        } => {
            let new = File {
                peer,
                direction,
                particulars,
                progress,
                passage: Passage::Offered,
            };
            files.entry(file).or_insert(new);
        }
        Event::FileStarted {
            file,
            peer,
            transport,
            fell_back_from,
            offset,
            protection,
        } => {
            if let Some(file) = files.get_mut(&file) {
                file.passage = Passage::Flowing {
                    peer,
                    transport,
                    fell_back_from,
                    offset,
                    protection,
                };
            }
        }
        _ => {}
    }
}

/// What must have happened to files between two states.
pub(super) fn since(
    earlier: &BTreeMap<FileId, File>,
    later: &BTreeMap<FileId, File>,
) -> Vec<Event> {
    let ended = earlier.iter().filter(|(file, _)| !later.contains_key(file));
    let mut events: Vec<_> = ended
        .map(|(file, was)| Event::FileFailed {
            file: *file,
            carried: was.progress.bytes(),
            error: Some(failure::missed()),
        })
        .collect();
    for (file, there) in later {
        let here = earlier.get(file);
        if here.is_none() {
            events.push(Event::FileOffered {
                file: *file,
                peer: there.peer.clone(),
                direction: there.direction,
                particulars: there.particulars.clone(),
                progress: there.progress.clone(),
            });
        }
        let was_offered = here.is_none_or(|here| here.passage == Passage::Offered);
        if was_offered {
            events.extend(there.started(*file));
        }
    }
    events
}

impl File {
    fn started(&self, file: FileId) -> Option<Event> {
        match self.passage.clone() {
            Passage::Offered => None,
            Passage::Flowing {
                peer,
                transport,
                fell_back_from,
                offset,
                protection,
            } => Some(Event::FileStarted {
                file,
                peer,
                transport,
                fell_back_from,
                offset,
                protection,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;
    use crate::State;

    fn offered(file: u64) -> Event {
        let offer = tubes_protocol::file::FileOffer::new("a", 7).unwrap();
        Event::FileOffered {
            file: FileId(file),
            peer: "alice@example.org/x".parse().unwrap(),
            direction: Direction::In,
            particulars: Particulars::of(&offer, None),
            progress: Progress::new(),
        }
    }

    fn started(file: u64) -> Event {
        Event::FileStarted {
            file: FileId(file),
            peer: "alice@example.org/x".parse().unwrap(),
            transport: "ibb",
            fell_back_from: Vec::new(),
            offset: 3,
            protection: Protection::Plain,
        }
    }

    fn after(events: &[Event]) -> State {
        let mut state = State::default();
        events.iter().for_each(|event| state.handle(event));
        state
    }

    #[test]
    fn a_file_is_there_from_its_offer_to_its_end() {
        let ended = Event::FileFailed {
            file: FileId(1),
            carried: 0,
            error: None,
        };
        let all = [offered(1), started(1), ended];
        assert!(after(&all[..1]).files.contains_key(&FileId(1)));
        let flowing = after(&all[..2]);
        assert!(matches!(
            flowing.files.get(&FileId(1)).unwrap().passage,
            Passage::Flowing { offset: 3, .. }
        ));
        assert!(after(&all).files.is_empty());
    }

    #[test]
    fn what_was_missed_is_made_up_for() {
        let (one, two, beginning) = (offered(1), offered(2), started(2));
        let earlier = after(&[one]);
        let later = after(&[two, beginning]);
        let mut state = earlier.clone();
        for event in later.since(&earlier) {
            state.handle(&event);
        }
        assert_eq!(state, later);
    }
}
