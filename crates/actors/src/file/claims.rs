//! Which files are being received: one that is sent again takes the place of the first.

use std::collections::HashMap;
use std::sync::{self, Arc, MutexGuard, PoisonError, Weak};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tubes_files::SafePath;
use xmpp_parsers::jid::{BareJid, FullJid};

/// The claims of an account; cheap to clone. A sender that was killed comes back under another name and
/// offers the same file again, while its server may still hope for the first one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<sync::Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    count: u64,
    files: HashMap<Subject, Holder>,
    /// Of contacts that have a file here.
    turns: HashMap<BareJid, Weak<Turn>>,
}

/// In which the files of a contact are compared with what is there: one after the other.
pub(super) type Turn = Mutex<()>;

/// What a claim is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    sender: BareJid,
    path: SafePath,
    size: u64,
}

/// Who has it.
#[derive(Debug)]
struct Holder {
    number: u64,
    sender: FullJid,
    superseded: CancellationToken,
}

/// A file that is being received; over when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    subject: Subject,
    number: u64,
    superseded: CancellationToken,
    turn: Arc<Turn>,
}

impl Claims {
    /// Claims a file of this sender. If it was claimed for one that is the same contact by another name,
    /// that one hears of it; who sends two of one name at a time means both.
    pub(super) fn claim(&self, sender: FullJid, path: SafePath, size: u64) -> Claim {
        let contact = sender.to_bare();
        let subject = Subject {
            sender: contact,
            path,
            size,
        };
        let superseded = CancellationToken::new();
        let mut held = self.held();
        let turn = held.turn(&subject.sender);
        held.count += 1;
        let number = held.count;
        let holder = Holder {
            number,
            sender,
            superseded: superseded.clone(),
        };
        if let Some(former) = held.files.insert(subject.clone(), holder)
            && held
                .files
                .get(&subject)
                .is_some_and(|now| now.sender != former.sender)
        {
            former.superseded.cancel();
        }
        drop(held);
        Claim {
            claims: self.clone(),
            subject,
            number,
            superseded,
            turn,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn turn(&mut self, contact: &BareJid) -> Arc<Turn> {
        if let Some(turn) = self.turns.get(contact).and_then(Weak::upgrade) {
            return turn;
        }
        self.turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        self.turns.insert(contact.clone(), Arc::downgrade(&turn));
        turn
    }
}

impl Claim {
    /// The contact's turn.
    pub(super) fn turn(&self) -> Arc<Turn> {
        Arc::clone(&self.turn)
    }

    /// Waits until the same file is received anew. Cancel safe.
    pub(super) async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.claims.held();
        // Unless it has gone to somebody else.
        if held
            .files
            .get(&self.subject)
            .is_some_and(|holder| holder.number == self.number)
        {
            held.files.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn claim(claims: &Claims, sender: &str, size: u64) -> Claim {
        claims.claim(sender.parse().unwrap(), "a/b".parse().unwrap(), size)
    }

    async fn is_superseded(claim: &Claim) -> bool {
        timeout(Duration::ZERO, claim.superseded()).await.is_ok()
    }

    #[tokio::test]
    async fn who_comes_back_and_sends_a_file_again_takes_the_place_of_the_first() {
        let claims = Claims::default();
        let first = claim(&claims, "alice@example.org/one", 1);
        let others = [
            claim(&claims, "alice@example.org/two", 2),
            claim(&claims, "fernand@example.org/two", 1),
        ];
        assert!(!is_superseded(&first).await);
        let second = claim(&claims, "alice@example.org/two", 1);
        assert!(is_superseded(&first).await);
        // The first one ends later, and that is not the end of the second.
        drop(first);
        let third = claim(&claims, "alice@example.org/three", 1);
        assert!(is_superseded(&second).await);
        drop((second, third, others));
        assert!(claims.held().files.is_empty());
    }

    #[test]
    fn the_files_of_a_contact_have_one_turn_and_those_of_others_another() {
        let claims = Claims::default();
        let files = [
            claim(&claims, "alice@example.org/one", 1),
            claim(&claims, "alice@example.org/two", 2),
            claim(&claims, "fernand@example.org/two", 1),
        ];
        let [one, two, other] = files.each_ref().map(Claim::turn);
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &other));
        drop((one, two, other, files));
        let _file = claim(&claims, "carol@example.org/one", 1);
        assert_eq!(claims.held().turns.len(), 1);
    }

    #[tokio::test]
    async fn who_sends_two_files_of_one_name_means_both() {
        let claims = Claims::default();
        let first = claim(&claims, "alice@example.org/one", 1);
        let second = claim(&claims, "alice@example.org/one", 1);
        assert!(!is_superseded(&first).await);
        assert!(!is_superseded(&second).await);
    }
}
