//! Gives the stream a new connection whenever it lost one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio_xmpp::stanzastream::{Connection, StanzaStream};

use crate::LoginError;
use crate::connector::{Connector, Established};
use crate::event::Terms;
use crate::filter::LastWords;
use crate::flight::DEPTH;
use crate::tcp::Pulse;

/// What happens while the stream has no connection.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A new connection stands; the stream negotiates on it.
    Connected {
        server: String,
        tls: Option<&'static str>,
        pulse: Pulse,
        terms: Terms,
    },
    /// No further try makes sense.
    Down(LoginError),
    /// The next try is made after a wait.
    Retrying { reason: String, retry_in: Duration },
}

/// Makes the streams of one account, and the connections below them.
#[derive(Clone)]
pub(crate) struct Reconnector {
    connector: Connector,
    history: Arc<Mutex<History>>,
    notices: mpsc::Sender<Notice>,
}

/// What is known of earlier connections.
struct History {
    backoff: Backoff,
    /// Why the last one ended.
    last_words: LastWords,
}

impl Reconnector {
    /// One that goes on after a first connection, which ends with these words.
    pub(crate) fn new(
        connector: Connector,
        last_words: LastWords,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let history = Arc::new(Mutex::new(History {
            backoff: Backoff::new(Instant::now()),
            last_words,
        }));
        Self {
            connector,
            history,
            notices,
        }
    }

    /// A stream over this connection, and over others when it is lost.
    pub(crate) fn stream(&self, first: Connection) -> StanzaStream {
        let mut first = Some(first);
        let this = self.clone();
        let supply = move |_location, slot: oneshot::Sender<Connection>| match first.take() {
            // The stream asks for its first connection while it is made.
            Some(connection) => drop(slot.send(connection)),
            None => this.supply(slot),
        };
        StanzaStream::new(Box::new(supply), DEPTH)
    }

    /// A stream that knows of no earlier session, over the next connection.
    pub(crate) fn fresh_stream(&self) -> StanzaStream {
        let this = self.clone();
        StanzaStream::new(Box::new(move |_location, slot| this.supply(slot)), DEPTH)
    }

    fn supply(&self, mut slot: oneshot::Sender<Connection>) {
        let this = self.clone();
        tokio::spawn(async move {
            let connection = tokio::select! {
                connection = this.reconnect() => connection,
                // The stream is gone.
                () = slot.closed() => return,
            };
            match connection {
                Some(connection) => drop(slot.send(connection)),
                // tokio-xmpp 6.0.0 panics when the slot is dropped without a connection, so it
                // is kept until the stream's worker goes, at the latest with the runtime.
                None => slot.closed().await,
            }
        });
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries until a connection stands; none if no further try makes sense.
    async fn reconnect(&self) -> Option<Connection> {
        let condition = self.history().last_words.condition();
        if condition.as_deref() == Some(REPLACED) {
            // Coming back would throw the other one out, who would come back, and so on for ever.
            let down = Notice::Down(self.connector.replaced());
            let _ = self.notices.send(down).await;
            return None;
        }
        let mut reason = match condition {
            Some(condition) => format!("the server ended the session: {condition}"),
            None => "the connection was lost".to_owned(),
        };
        loop {
            // Jitter, so that the clients of a restarted server do not come all at once.
            let pause = self.history().backoff.handle_failed(Instant::now());
            let retry_in = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            let retrying = Notice::Retrying { reason, retry_in };
            self.notices.send(retrying).await.ok()?;
            tokio::time::sleep(retry_in).await;
            match self.connector.connect().await {
                Ok(established) => return Some(self.established(established).await),
                Err(error) if error.is_final() => {
                    let _ = self.notices.send(Notice::Down(error)).await;
                    return None;
                }
                Err(error) => reason = error.to_string(),
            }
        }
    }

    async fn established(&self, established: Established) -> Connection {
        let Established {
            connection,
            server,
            tls,
            pulse,
            last_words,
            terms,
        } = established;
        {
            let mut history = self.history();
            history.backoff.handle_connected(Instant::now());
            history.last_words = last_words;
        }
        let connected = Notice::Connected {
            server,
            tls,
            pulse,
            terms,
        };
        // A pump that is gone no longer minds.
        let _ = self.notices.send(connected).await;
        connection
    }
}

/// Growing pauses between tries.
///
/// They stay short for as long as streams may still hang on the session, and shrink again only
/// after a connection that held: a login that succeeds and is thrown out at once is no reason to
/// hurry.
#[derive(Debug)]
struct Backoff {
    pause: Duration,
    connected: Option<Instant>,
    /// When the last connection that held was lost.
    lost: Option<Instant>,
}

impl Backoff {
    fn new(connected: Instant) -> Self {
        Self {
            pause: FIRST_PAUSE,
            connected: Some(connected),
            lost: None,
        }
    }

    fn handle_connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// A connection was lost, or could not be made: how long to wait.
    fn handle_failed(&mut self, now: Instant) -> Duration {
        let connected = self.connected.take();
        if connected.is_some_and(|since| now.saturating_duration_since(since) >= STEADY) {
            self.pause = FIRST_PAUSE;
            self.lost = None;
        }
        let lost = *self.lost.get_or_insert(now);
        let pause = match now.saturating_duration_since(lost) < URGENT {
            true => self.pause.min(LONGEST_URGENT_PAUSE),
            false => self.pause,
        };
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// The condition of a session that another one has replaced (RFC 6120 §4.9.3.3).
const REPLACED: &str = "conflict";

/// A connection that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So long a lost session may be resumed, and streams wait for it. See the session's limit.
const URGENT: Duration = crate::account::RESUME_LIMIT;

/// A server that is back is to be found within ten seconds, login included.
const LONGEST_URGENT_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_every_few_seconds_while_streams_wait_and_then_every_minute() {
        let mut now = Instant::now();
        let mut backoff = Backoff::new(now);
        let pauses: Vec<_> = (0..30)
            .map(|_| {
                let pause = backoff.handle_failed(now);
                now += pause;
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses[..5], [1, 2, 4, 5, 5]);
        let urgent = pauses.iter().take_while(|pause| **pause <= 5).sum::<u64>();
        assert!((URGENT.as_secs()..URGENT.as_secs() + 5).contains(&urgent));
        assert_eq!(pauses[29], 60);
    }

    #[test]
    fn hurries_again_only_after_a_connection_that_held() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        for seconds in [1, 2, 4] {
            assert_eq!(backoff.handle_failed(now).as_secs(), seconds);
            backoff.handle_connected(now);
        }
        assert_eq!(backoff.handle_failed(now + STEADY).as_secs(), 1);
    }
}
