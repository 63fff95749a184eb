//! What is asked of a transport, and how it is judged.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::Duration;

use tokio::runtime::Builder;
use tubes_transport::{Kind, Role};

use crate::compliance::bench::Bench;
use crate::compliance::{
    Breach, Subject, Verdict, Violation, attempts, breaking, carrying, ending, intruding, leaving,
    pressure,
};

/// Something that every transport keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Property {
    /// What comes out is what went in.
    CarriesInOrder,
    /// Neither direction waits for the other.
    CarriesBothWays,
    /// Streams that are open at the same time do not mix.
    KeepsStreamsApart,
    /// A stream may end without having carried anything.
    EndsWithoutAByte,
    /// One direction ends before the other, or the transport says that it cannot, and nothing
    /// that was shut down properly is lost either way.
    EndsOneDirection,
    /// What was written before a shutdown arrives, though the stream is dropped right after.
    ClosesAfterFlushing,
    /// What was flushed arrives, though the stream breaks right after.
    FlushesBeforeBreaking,
    /// Dropping a stream that has not ended is an error at the peer.
    BreaksWhenDropped,
    /// A lost session is an error if the session carries the bytes, and nothing if not.
    EndsWithItsCarrier,
    /// A reader that does not read stops the writer before much is held.
    StopsTheWriter,
    /// A stream that stood still goes on, and the other direction never stopped.
    GoesOnWhenRead,
    /// Preparing says nothing to the peer, and dropping the attempt frees what was gathered.
    PreparesInSilence,
    /// After a refusal the same wire serves the next attempt.
    LeavesTheWire,
    /// What belongs to another transport is left for it.
    LeavesWhatIsNotItsOwn,
    /// A dropped `connect` frees its sockets and its claim, and the peer learns of it.
    FreesWhenDropped,
    /// When both directions have ended nothing is held any more.
    FreesWhenEnded,
    /// Nobody but the peer can speak into a stream.
    IgnoresThirdParties,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::CarriesInOrder,
        Self::CarriesBothWays,
        Self::KeepsStreamsApart,
        Self::EndsWithoutAByte,
        Self::EndsOneDirection,
        Self::ClosesAfterFlushing,
        Self::FlushesBeforeBreaking,
        Self::BreaksWhenDropped,
        Self::EndsWithItsCarrier,
        Self::StopsTheWriter,
        Self::GoesOnWhenRead,
        Self::PreparesInSilence,
        Self::LeavesTheWire,
        Self::LeavesWhatIsNotItsOwn,
        Self::FreesWhenDropped,
        Self::FreesWhenEnded,
        Self::IgnoresThirdParties,
    ];

    async fn check(self, bench: &Bench, role: Role) -> Result<(), Breach> {
        match self {
            Self::CarriesInOrder => carrying::in_order(bench, role).await,
            Self::CarriesBothWays => carrying::both_ways(bench, role).await,
            Self::KeepsStreamsApart => carrying::apart(bench, role).await,
            Self::EndsWithoutAByte => ending::without_a_byte(bench, role).await,
            Self::EndsOneDirection => ending::one_direction(bench, role).await,
            Self::ClosesAfterFlushing => ending::dropped_after_shutdown(bench, role).await,
            Self::FlushesBeforeBreaking => breaking::after_a_flush(bench, role).await,
            Self::BreaksWhenDropped => breaking::at_any_time(bench, role).await,
            Self::EndsWithItsCarrier => breaking::with_the_session(bench, role).await,
            Self::StopsTheWriter => pressure::stops(bench, role).await,
            Self::GoesOnWhenRead => pressure::goes_on(bench, role).await,
            Self::PreparesInSilence => attempts::in_silence(bench, role).await,
            Self::LeavesTheWire => attempts::refused(bench, role).await,
            Self::LeavesWhatIsNotItsOwn => attempts::not_its_own(bench, role).await,
            Self::FreesWhenDropped => leaving::when_dropped(bench, role).await,
            Self::FreesWhenEnded => leaving::when_ended(bench, role).await,
            Self::IgnoresThirdParties => intruding::third_parties(bench, role).await,
        }
    }

    /// Whether descriptors are counted: then no other test of the process may open any.
    fn counts_descriptors(self) -> bool {
        matches!(
            self,
            Self::PreparesInSilence | Self::FreesWhenDropped | Self::FreesWhenEnded
        )
    }
}

/// Judges whether a transport keeps a property, with either side acting and towards each kind of
/// peer; the first violation counts.
///
/// Runs on a thread and a runtime of its own, so that even a transport that blocks is judged.
pub fn judge(property: Property, subject: impl Subject) -> Verdict {
    let subject = Arc::new(subject);
    if property.counts_descriptors() {
        let _alone = COUNTING.write().unwrap_or_else(PoisonError::into_inner);
        judge_on_a_thread(property, subject)
    } else {
        let _shared = COUNTING.read().unwrap_or_else(PoisonError::into_inner);
        judge_on_a_thread(property, subject)
    }
}

/// Fails the test that calls it if the transport violates the property.
#[track_caller]
pub fn uphold(property: Property, subject: impl Subject) {
    if let Err(violation) = judge(property, subject) {
        panic!("{violation}");
    }
}

fn judge_on_a_thread(property: Property, subject: Arc<dyn Subject>) -> Verdict {
    let (done, verdict) = mpsc::channel();
    std::thread::spawn(move || {
        let judged = std::panic::catch_unwind(AssertUnwindSafe(|| run(property, subject)));
        let verdict = judged.unwrap_or_else(|why| {
            Err(Violation {
                property,
                setting: None,
                breach: Breach::Panicked(words(why.as_ref())),
            })
        });
        // A test that gave up does not listen any more.
        let _ = done.send(verdict);
    });
    verdict.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        Err(Violation {
            property,
            setting: None,
            breach: Breach::Hung,
        })
    })
}

fn run(property: Property, subject: Arc<dyn Subject>) -> Verdict {
    for role in [Role::Requester, Role::Responder] {
        for kind in [Kind::Ours, Kind::Other] {
            let checked = within_a_runtime(async || {
                let bench = Bench::new(Arc::clone(&subject), kind);
                property.check(&bench, role).await
            });
            checked.map_err(|breach| Violation {
                property,
                setting: Some((role, kind)),
                breach,
            })?;
        }
    }
    Ok(())
}

/// Two workers, so that the two sides really run at the same time.
fn within_a_runtime(check: impl AsyncFnOnce() -> Result<(), Breach>) -> Result<(), Breach> {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|why| Breach::Failed {
        doing: "starting a runtime",
        why,
    })?;
    let checked = runtime.block_on(check());
    // What its tasks hold is closed before the next one counts. A transport whose task blocks must not
    // keep the test from its verdict.
    runtime.shutdown_timeout(CLEARING_UP);
    checked
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".to_owned())
}

/// Held alone while descriptors are counted.
static COUNTING: RwLock<()> = RwLock::new(());

/// For all settings of one property; each step has a deadline of its own, which says more.
const DEADLINE: Duration = Duration::from_secs(240);

/// Much longer than tasks take that do not block.
const CLEARING_UP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_a_task_holds_is_gone_when_it_is_judged() {
        let is_gone = Arc::new(AtomicBool::new(false));
        let holding = Slow(Arc::clone(&is_gone));
        within_a_runtime(async move || {
            tokio::spawn(async move {
                let _holding = holding;
                std::future::pending::<()>().await;
            });
            Ok(())
        })
        .unwrap();
        assert!(is_gone.load(Ordering::Relaxed));
    }

    /// Takes its time to let go.
    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
