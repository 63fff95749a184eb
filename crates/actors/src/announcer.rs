//! How the application learns what happens: events, and the state that they lead to.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::sync::broadcast;
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use crate::event::Event;
use crate::state::State;

/// The application's end of the events; also a [`Stream`] of them.
///
/// ```
/// use tubes_actors::{Event, Events};
///
/// /// Waits for the link to the server; whether it came up.
/// async fn online(mut events: Events) -> bool {
///     while let Some(event) = events.next().await {
///         if matches!(event, Event::Online { .. }) {
///             return true;
///         }
///     }
///     false
/// }
/// # let _ = online;
/// ```
#[derive(Debug)]
pub struct Events(BroadcastStream<Event>);

impl Events {
    fn of(receiver: broadcast::Receiver<Event>) -> Self {
        Self(BroadcastStream::new(receiver))
    }

    /// The next event; none once the account is closed. Cancel safe.
    ///
    /// Events wait for a slow reader, up to a bound; then the oldest are lost, and
    /// [`Event::Missed`] says how many.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let next = Pin::new(&mut self.0).poll_next(cx);
        next.map(|next| {
            next.map(|event| match event {
                Ok(event) => event,
                Err(BroadcastStreamRecvError::Lagged(count)) => Event::Missed(count),
            })
        })
    }
}

/// The actors' end of the events. Never waits, whatever the application does.
#[derive(Clone, Debug)]
pub(crate) struct Announcer(Arc<Board>);

impl Announcer {
    pub(crate) fn new() -> (Self, Events) {
        let (sender, receiver) = broadcast::channel(WAITING);
        let state = Mutex::default();
        let board = Board { state, sender };
        (Self(Arc::new(board)), Events::of(receiver))
    }

    /// A way to more listeners that keeps neither events nor the account alive.
    pub(crate) fn listening_post(&self) -> ListeningPost {
        ListeningPost(Arc::downgrade(&self.0))
    }

    pub(crate) fn announce(&self, event: Event) {
        let mut state = self.0.present();
        state.handle(&event);
        // Nobody has to listen.
        let _ = self.0.sender.send(event);
    }
}

/// What is the case, and the way to those who want to know what changes.
#[derive(Debug)]
struct Board {
    /// Held while an event is sent, too: between a state and the events after it is no gap.
    state: Mutex<State>,
    sender: broadcast::Sender<Event>,
}

impl Board {
    fn present(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where listeners are made as long as the account lives.
#[derive(Clone, Debug)]
pub(crate) struct ListeningPost(Weak<Board>);

impl ListeningPost {
    /// The present state, and a further listener that hears everything after it. Of an account
    /// that is closed there is nothing to hear.
    pub(crate) fn watch(&self) -> (State, Events) {
        match self.0.upgrade() {
            Some(board) => {
                let state = board.present();
                let events = Events::of(board.sender.subscribe());
                (state.clone(), events)
            }
            None => (State::closed(), Events::of(broadcast::channel(1).1)),
        }
    }
}

/// Events that wait for the application.
const WAITING: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;
    use std::thread;
    use std::time::{Duration, Instant};

    use xmpp_parsers::jid::FullJid;

    use super::*;
    use crate::state::Link;

    fn peer_online(number: usize) -> Event {
        let peer: FullJid = format!("fernand@example.org/{number}").parse().unwrap();
        Event::PeerOnline { peer }
    }

    /// An event that says which it is, and the state after it, too.
    fn numbered(number: usize) -> Event {
        Event::Offline {
            reason: number.to_string(),
            retry_in: Some(Duration::ZERO),
        }
    }

    fn number(reason: &str) -> usize {
        reason.parse().unwrap()
    }

    /// Watches as long as the account lives, and counts how often it could tell.
    fn watch_closely(post: &ListeningPost, count: &AtomicUsize) {
        loop {
            let (state, mut events) = post.watch();
            let before = match state.link {
                Link::Closed => return,
                Link::Offline { reason, .. } => number(&reason),
                _ => continue,
            };
            let next = pin!(events.next()).poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(Some(Event::Offline { reason, .. })) = next {
                assert_eq!(number(&reason), before + 1);
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn between_a_state_and_its_events_is_no_gap_and_no_overlap() {
        let (announcer, _) = Announcer::new();
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            let watch = || {
                let post = announcer.listening_post();
                let count = &count;
                scope.spawn(move || watch_closely(&post, count))
            };
            let watching: Vec<_> = (0..WATCHERS).map(|_| watch()).collect();
            let mut events = (0..).map(numbered);
            let begun = Instant::now();
            // One that has ended has failed.
            while count.load(Ordering::Relaxed) < ENOUGH
                && begun.elapsed() < PATIENCE
                && !watching.iter().any(thread::ScopedJoinHandle::is_finished)
            {
                events
                    .next()
                    .into_iter()
                    .for_each(|event| announcer.announce(event));
            }
            drop(announcer);
        });
        assert!(count.into_inner() > 0, "nobody was right");
    }

    #[tokio::test]
    async fn whoever_missed_something_asks_for_the_state() {
        let (announcer, mut events) = Announcer::new();
        for number in 0..WAITING + 3 {
            announcer.announce(peer_online(number));
        }
        assert!(matches!(events.next().await, Some(Event::Missed(3))));
        let (state, mut events) = announcer.listening_post().watch();
        assert_eq!(state.peers.len(), WAITING + 3);
        announcer.announce(peer_online(9999));
        assert!(matches!(
            events.next().await,
            Some(Event::PeerOnline { .. })
        ));
    }

    #[tokio::test]
    async fn giving_up_waiting_loses_no_event() {
        let (announcer, mut events) = Announcer::new();
        {
            let mut waiting = pin!(events.next());
            let waiting = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(waiting.is_pending());
            announcer.announce(peer_online(1));
        }
        assert!(matches!(
            events.next().await,
            Some(Event::PeerOnline { .. })
        ));
    }

    #[tokio::test]
    async fn of_a_closed_account_nothing_is_heard() {
        let (announcer, _) = Announcer::new();
        let post = announcer.listening_post();
        drop(announcer);
        let (state, mut events) = post.watch();
        assert_eq!(state, State::closed());
        assert!(events.next().await.is_none());
    }

    /// How often a watcher has to be right.
    const ENOUGH: usize = 2000;

    /// A machine with one processor to spare has a watcher see little: then that has to do.
    const PATIENCE: Duration = Duration::from_secs(60);

    const WATCHERS: usize = 3;
}
