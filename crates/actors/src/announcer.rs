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

    use std::thread;

    use xmpp_parsers::jid::FullJid;

    use super::*;

    fn peer_online(number: usize) -> Event {
        let peer: FullJid = format!("fernand@example.org/{number}").parse().unwrap();
        Event::PeerOnline { peer }
    }

    /// What a listener makes of a state and all that it hears after it.
    async fn follow((mut state, mut events): (State, Events)) -> (State, usize) {
        let mut heard = 0;
        while let Some(event) = events.next().await {
            assert!(!matches!(event, Event::Missed(_)));
            state.handle(&event);
            heard += 1;
        }
        (state, heard)
    }

    #[tokio::test]
    async fn between_a_state_and_its_events_is_no_gap_and_no_overlap() {
        let (announcer, first) = Announcer::new();
        let post = announcer.listening_post();
        let talking = thread::spawn(move || {
            for number in 0..PEERS {
                announcer.announce(peer_online(number));
            }
        });
        let mut watching = vec![(State::default(), first)];
        while !talking.is_finished() && watching.len() < 200 {
            watching.push(post.watch());
        }
        talking.join().unwrap();
        for (state, events) in watching {
            let known = state.peers.len();
            let (state, heard) = follow((state, events)).await;
            assert_eq!(
                state.peers.len(),
                if state == State::closed() { 0 } else { PEERS }
            );
            assert_eq!(heard, state.peers.len() - known);
        }
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
            let mut waiting = std::pin::pin!(events.next());
            assert!(poll_once(waiting.as_mut()).await.is_pending());
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

    /// Polls once.
    async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }

    const PEERS: usize = 2000;
}
