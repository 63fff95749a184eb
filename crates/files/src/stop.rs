//! An order to stop with a file, and whether it comes in time.
//!
//! ```text
//!   Due ──► Ordered      nothing gets into the file's place
//!    └────► TooLate      it is there, or on the last step there (back to Due if that fails)
//! ```
//!
//! Nothing leads from one to the other: whoever was in time knows that no file comes, and who was not waits
//! for what comes of it.

use std::sync::Arc;

use tokio::sync::watch;

/// An order to stop with a file, which may come too late: once the file is in its place, it is there.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Due,
    Ordered,
    TooLate,
}

impl Stop {
    /// Orders it, and says whether that is in time: then no file gets into its place. Otherwise it is
    /// there, or will be in a moment if the file system lets it.
    pub fn order(&self) -> bool {
        self.0.send_if_modified(State::order)
    }

    /// Whether it was ordered in time.
    pub fn is_ordered(&self) -> bool {
        *self.0.borrow() == State::Ordered
    }

    /// Waits until it is ordered in time. Cancel safe.
    pub async fn ordered(&self) {
        let mut states = self.0.subscribe();
        // It does not end as long as this is here.
        let _ = states.wait_for(|state| *state == State::Ordered).await;
    }

    /// Takes the last step, unless it is to be stopped. From then on it is too late, if the step does not
    /// fail.
    pub(crate) fn unless_ordered<T, E>(
        &self,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        if !self.0.send_if_modified(State::step) {
            return None;
        }
        let stepped = step();
        if stepped.is_err() {
            self.0.send_if_modified(State::stumble);
        }
        Some(stepped)
    }
}

/// Each says whether that is so now.
impl State {
    fn order(&mut self) -> bool {
        self.lead(Self::Due, Self::Ordered) || *self == Self::Ordered
    }

    fn step(&mut self) -> bool {
        self.lead(Self::Due, Self::TooLate)
    }

    fn stumble(&mut self) -> bool {
        self.lead(Self::TooLate, Self::Due)
    }

    fn lead(&mut self, from: Self, to: Self) -> bool {
        let leads = *self == from;
        if leads {
            *self = to;
        }
        leads
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn after_an_order_in_time_the_last_step_is_not_taken() {
        let stop = Stop::default();
        assert_eq!(stop.ordered().now_or_never(), None);
        assert!(stop.order());
        assert!(stop.order(), "twice is as good as once");
        assert_eq!(stop.ordered().now_or_never(), Some(()));
        let step = stop.unless_ordered(|| -> Result<(), ()> { panic!("it was stopped") });
        assert_eq!(step, None);
    }

    #[test]
    fn an_order_during_the_last_step_or_after_it_comes_too_late() {
        let stop = Stop::default();
        let step = stop.unless_ordered(|| {
            assert!(!stop.order());
            Ok::<_, ()>(7)
        });
        assert_eq!(step, Some(Ok(7)));
        assert!(!stop.order() && !stop.is_ordered());
        assert_eq!(stop.ordered().now_or_never(), None);
    }

    #[test]
    fn after_a_last_step_that_fails_it_is_not_too_late() {
        let stop = Stop::default();
        assert_eq!(stop.unless_ordered(|| Err::<(), _>(7)), Some(Err(7)));
        assert!(!stop.is_ordered());
        assert!(stop.order() && stop.is_ordered());
    }
}
