//! What libraries log of each stanza that they cannot read, as often as a stranger sends one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lets each part of a library complain once a minute, and counts the rest. (tokio-xmpp 6.0.0 warns of each stanza
/// that is none, and anybody can send some.)
#[derive(Debug, Default)]
pub(crate) struct Chatter(Mutex<HashMap<Origin, Said>>);

/// Who says something, and how loud. There are as many as there are modules.
type Origin = (String, Level);

#[derive(Debug)]
struct Said {
    at: Instant,
    /// How often since then.
    again: u64,
}

impl Chatter {
    /// How often it was said without being heard, if it is to be heard now.
    fn hear(&self, origin: Origin, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match said.get_mut(&origin) {
            Some(said) if now.duration_since(said.at) < RESPITE => {
                said.again += 1;
                None
            }
            _ => {
                let before = said.insert(origin, Said { at: now, again: 0 });
                Some(before.map_or(0, |before| before.again))
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for Chatter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // What is said in a lower voice is for those who look for something.
        if metadata.target() != LOG || *metadata.level() > Level::WARN {
            return true;
        }
        let mut library = Library::default();
        event.record(&mut library);
        let origin = (library.0.clone(), *metadata.level());
        let Some(again) = self.hear(origin, Instant::now()) else {
            return false;
        };
        if again > 0 {
            tracing::warn!(library = library.0, again, "the same was said before");
        }
        true
    }
}

/// The part of a library that an event comes from.
#[derive(Default)]
struct Library(String);

impl Visit for Library {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// What comes from the crate `log`, which Tubes does not use itself.
const LOG: &str = "log";

/// How often the same part is heard.
const RESPITE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts what comes through.
    struct Heard(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn heard(say: impl Fn()) -> u64 {
        let count = Arc::new(AtomicU64::new(0));
        let heard = tracing_subscriber::registry().with(Heard(Arc::clone(&count)));
        with_default(heard.with(Chatter::default()), || {
            (0..100).for_each(|_| say())
        });
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn a_library_warns_of_the_same_once() {
        let one =
            || tracing::warn!(target: "log", { log.target = "tokio_xmpp::x" }, "invalid stanza");
        assert_eq!(heard(one), 1);
        let other = || tracing::error!(target: "log", { log.target = "tokio_xmpp::y" }, "no");
        let both = || {
            one();
            other();
        };
        assert_eq!(heard(both), 2);
    }

    #[test]
    fn what_is_said_in_a_lower_voice_or_by_ourselves_is_heard() {
        assert_eq!(
            heard(|| tracing::info!(target: "log", { log.target = "x" }, "detail")),
            100
        );
        assert_eq!(heard(|| tracing::warn!("a command failed")), 100);
    }

    #[test]
    fn a_minute_later_it_is_heard_again_with_how_often_it_was_not() {
        let chatter = Chatter::default();
        let now = Instant::now();
        let hear = |seconds| {
            let origin = ("tokio_xmpp::x".to_owned(), Level::WARN);
            chatter.hear(origin, now + Duration::from_secs(seconds))
        };
        assert_eq!(hear(0), Some(0));
        assert_eq!((hear(1), hear(59)), (None, None));
        assert_eq!(hear(60), Some(2));
        assert_eq!(hear(61), None);
    }
}
