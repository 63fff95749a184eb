//! Lines of the log that others can provoke: the first of each kind and contact, and once a minute how many more
//! there were.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;
use xmpp_parsers::jid::BareJid;

/// What was complained of a moment ago; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Complaints {
    runtime: Handle,
    /// How often it came again since.
    recent: Arc<Mutex<HashMap<Subject, u64>>>,
}

/// What others do, each time with a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Complaint {
    /// Somebody offers what makes no sense.
    Nonsense,
    /// Somebody asks for a connection that it may not have.
    Refused,
    /// A stranger offers a file.
    StrangersFile,
    /// A stranger offers a tube.
    StrangersOffer,
    /// Somebody is to be told more than the session takes.
    TooMuch,
}

/// Of what, and of whom. Strangers count as one: anybody can be as many of them as it likes.
type Subject = (Complaint, Option<BareJid>);

impl Complaints {
    /// For an account. What sums them up runs there.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            recent: Arc::default(),
        }
    }

    /// Whether to say so. If not, it is counted, and said in sum.
    pub(crate) fn is_news(&self, complaint: Complaint, of: Option<BareJid>) -> bool {
        let mut recent = self.recent();
        let subject = match (complaint, of) {
            of_contact if recent.contains_key(&of_contact) => of_contact,
            (complaint, _) if recent.len() >= REMEMBERED => (complaint, None),
            of_contact => of_contact,
        };
        if let Some(again) = recent.get_mut(&subject) {
            *again += 1;
            return false;
        }
        recent.insert(subject.clone(), 0);
        drop(recent);
        let complaints = self.clone();
        // One for each that is remembered.
        self.runtime.spawn(async move {
            sleep(RESPITE).await;
            complaints.sum_up(&subject);
        });
        true
    }

    fn sum_up(&self, subject: &Subject) {
        let again = self.recent().remove(subject).unwrap_or_default();
        if again > 0 {
            let (complaint, of) = subject;
            complaint.again(of.as_ref(), again);
        }
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<Subject, u64>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Complaint {
    /// Says in sum what was not said one by one, as loud.
    fn again(self, of: Option<&BareJid>, times: u64) {
        let of = of.map(|contact| contact.as_str());
        match self {
            Self::Nonsense => tracing::warn!(of, times, "more offers made no sense"),
            Self::Refused => tracing::warn!(of, times, "more connections were refused"),
            Self::StrangersFile => tracing::info!(times, "more files of strangers were declined"),
            Self::StrangersOffer => tracing::info!(times, "more offers of strangers were ignored"),
            Self::TooMuch => tracing::warn!(of, times, "more was too much to tell"),
        }
    }
}

/// How long the same of the same is counted instead of said.
const RESPITE: Duration = Duration::from_secs(60);

/// Contacts of whom something was said a moment ago; others count as one.
const REMEMBERED: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use tokio::time::advance;

    use super::*;

    fn contact(number: usize) -> Option<BareJid> {
        Some(format!("alice-{number}@example.org").parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_costs_a_line_a_minute_and_its_sum() {
        let complaints = Complaints::new(Handle::current());
        let nonsense = || complaints.is_news(Complaint::Nonsense, contact(1));
        assert!(nonsense());
        assert!(!(0..1000).any(|_| nonsense()));
        let subject = (Complaint::Nonsense, contact(1));
        assert_eq!(complaints.recent().get(&subject), Some(&1000));
        sleep(RESPITE + Duration::from_secs(1)).await;
        assert!(complaints.recent().is_empty());
        assert!(nonsense());
    }

    #[tokio::test(start_paused = true)]
    async fn one_contacts_flood_hides_nothing_of_others() {
        let complaints = Complaints::new(Handle::current());
        for _ in 0..10 {
            complaints.is_news(Complaint::Refused, contact(1));
        }
        assert!(complaints.is_news(Complaint::Refused, contact(2)));
        assert!(complaints.is_news(Complaint::Nonsense, contact(1)));
        advance(RESPITE / 2).await;
        assert!(!complaints.is_news(Complaint::Refused, contact(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_many_is_one_of_all() {
        let complaints = Complaints::new(Handle::current());
        let lines = (0..10 * REMEMBERED)
            .filter(|number| complaints.is_news(Complaint::Nonsense, contact(*number)));
        assert_eq!(lines.count(), REMEMBERED + 1);
        assert!(complaints.recent().len() <= REMEMBERED + 1);
    }
}
