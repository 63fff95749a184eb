//! What is said in the name of a file's sender, in a message: that it has given the file up.
//!
//! ```text
//!   Heeded ── the bytes flow encrypted ──► Kept
//! ```
//!
//! Servers can say it as well. So it ends a file only while they could prevent it anyway. Of one that flows
//! encrypted the bytestream alone tells how it goes; what is said beside it is kept, and is the reason if
//! the bytestream ends early.

use std::sync::Arc;

use tokio::sync::watch;

use crate::event::Failure;

/// What is said of one file. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearsay(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Heeded,
    Kept(Option<Failure>),
}

impl Hearsay {
    /// Takes in what is said, and hands it back if it ends the file at once. What was kept first stays.
    pub(super) fn hear(&self, said: Failure) -> Option<Failure> {
        let mut said = Some(said);
        self.0.send_modify(|state| {
            if let State::Kept(kept) = state {
                let said = said.take();
                *kept = kept.take().or(said);
            }
        });
        said
    }

    /// The bytes flow encrypted from now on.
    pub(super) fn keep(&self) {
        self.0.send_modify(|state| *state = State::Kept(None));
    }

    /// Waits for something that is kept. Cancel safe.
    pub(super) async fn kept(&self) -> Failure {
        let mut states = self.0.subscribe();
        loop {
            if let State::Kept(Some(kept)) = &*states.borrow_and_update() {
                return kept.clone();
            }
            // It does not end as long as this is here.
            let _ = states.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::event::FailureKind;

    fn said(what: &str) -> Failure {
        Failure::new(FailureKind::Closed, what.to_owned())
    }

    #[test]
    fn what_is_said_of_a_file_that_does_not_flow_encrypted_ends_it() {
        let hearsay = Hearsay::default();
        assert_eq!(hearsay.hear(said("cancelled")), Some(said("cancelled")));
        hearsay.keep();
        assert_eq!(hearsay.hear(said("cancelled")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_is_said_is_the_reason_whenever_it_comes() {
        let hearsay = Hearsay::default();
        hearsay.keep();
        let waiting = timeout(std::time::Duration::from_secs(1), hearsay.kept());
        assert!(waiting.await.is_err());
        let saying = async {
            assert_eq!(hearsay.hear(said("cancelled")), None);
            assert_eq!(hearsay.hear(said("changed")), None);
        };
        let (kept, ()) = tokio::join!(hearsay.kept(), saying);
        assert_eq!(kept, said("cancelled"));
        assert_eq!(hearsay.kept().await, said("cancelled"));
    }
}
