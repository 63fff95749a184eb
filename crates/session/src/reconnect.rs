//! Gives the stream a new connection whenever it lost one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{Connection, Event, StanzaStream, StanzaToken};

use crate::LoginError;
use crate::connector::{Connector, Established};
use crate::event::Terms;
use crate::filter::LastWords;
use crate::flight::DEPTH;
use crate::handshake;
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
    backoff: Arc<Mutex<Backoff>>,
    notices: mpsc::Sender<Notice>,
}

/// A stream that gets a new connection whenever it lost one, until it is dropped.
pub(crate) struct Stream {
    inner: StanzaStream,
    _life: DropGuard,
}

impl Stream {
    /// What happens on it; none when it died of a mistake of its own. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.inner.next().await
    }

    /// Hands it a stanza. Does not wait as long as its queue has room.
    pub(crate) async fn send(&self, stanza: Box<Stanza>) -> StanzaToken {
        self.inner.send(stanza).await
    }

    /// Ends it on a connection that stands.
    pub(crate) async fn close(self) {
        let Self { inner, _life } = self;
        inner.close().await;
    }
}

impl Reconnector {
    /// Tells these notices what happens.
    pub(crate) fn new(connector: Connector, notices: mpsc::Sender<Notice>) -> Self {
        Self {
            connector,
            backoff: Arc::new(Mutex::new(Backoff::new(Instant::now()))),
            notices,
        }
    }

    /// A stream over this connection, which ends with these words, and over others afterwards.
    pub(crate) fn stream(&self, first: Connection, last_words: LastWords) -> Stream {
        self.supplied(Some(first), last_words)
    }

    /// A stream that knows of no earlier session, over the next connection.
    pub(crate) fn fresh_stream(&self) -> Stream {
        self.supplied(None, LastWords::default())
    }

    fn supplied(&self, mut first: Option<Connection>, last_words: LastWords) -> Stream {
        let life = CancellationToken::new();
        let supply = Supply {
            reconnector: self.clone(),
            life: life.clone(),
            last_words: Arc::new(Mutex::new(last_words)),
        };
        let reconnect = move |_location, slot: oneshot::Sender<Connection>| match first.take() {
            // The stream asks for its first connection while it is made.
            Some(connection) => drop(slot.send(connection)),
            None => drop(tokio::spawn(supply.clone().fill(slot))),
        };
        Stream {
            inner: StanzaStream::new(Box::new(reconnect), DEPTH),
            _life: life.drop_guard(),
        }
    }
}

/// Where one stream gets its connections from.
#[derive(Clone)]
struct Supply {
    reconnector: Reconnector,
    /// Of the stream.
    life: CancellationToken,
    /// Why the last connection ended.
    last_words: Arc<Mutex<LastWords>>,
}

impl Supply {
    /// Gives the stream a connection, at the end of its life one that has ended: tokio-xmpp
    /// 6.0.0 panics when it gets none, and waits on when nobody wants the stream any more.
    async fn fill(self, slot: oneshot::Sender<Connection>) {
        let connection = tokio::select! {
            biased;
            () = self.life.cancelled() => None,
            connection = self.reconnect() => connection,
        };
        let connection = match connection {
            Some(connection) => Some(connection),
            None => {
                self.life.cancelled().await;
                handshake::ended().await
            }
        };
        match connection {
            Some(connection) => drop(slot.send(connection)),
            // A worker that waits for ever is better than one that panics.
            None => std::mem::forget(slot),
        }
    }

    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        let backoff = self.reconnector.backoff.lock();
        backoff.unwrap_or_else(PoisonError::into_inner)
    }

    fn last_words(&self) -> MutexGuard<'_, LastWords> {
        let last_words = self.last_words.lock();
        last_words.unwrap_or_else(PoisonError::into_inner)
    }

    async fn tell(&self, notice: Notice) {
        // A pump that is gone no longer minds.
        let _ = self.reconnector.notices.send(notice).await;
    }

    /// Tries until a connection stands; none if no further try makes sense.
    async fn reconnect(&self) -> Option<Connection> {
        let connector = &self.reconnector.connector;
        let condition = self.last_words().condition();
        if condition.as_deref() == Some(REPLACED) {
            // Coming back would throw the other one out, who would come back, and so on for ever.
            self.tell(Notice::Down(connector.replaced())).await;
            return None;
        }
        let mut reason = match condition {
            Some(condition) => format!("the server ended the session: {condition}"),
            None => "the connection was lost".to_owned(),
        };
        loop {
            // Jitter, so that the clients of a restarted server do not come all at once.
            let pause = self.backoff().handle_failed(Instant::now());
            let retry_in = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            self.tell(Notice::Retrying { reason, retry_in }).await;
            tokio::time::sleep(retry_in).await;
            match connector.connect().await {
                Ok(established) => return Some(self.established(established).await),
                Err(error) if error.is_final() => {
                    self.tell(Notice::Down(error)).await;
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
        self.backoff().handle_connected(Instant::now());
        *self.last_words() = last_words;
        self.tell(Notice::Connected {
            server,
            tls,
            pulse,
            terms,
        })
        .await;
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
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use crate::{Account, Tls};

    use super::*;

    #[tokio::test]
    async fn a_stream_that_is_dropped_while_it_waits_leaves_nothing_behind() {
        let account = Account::new("alice@tubes.test".parse().unwrap(), "secret").unwrap();
        // Nobody listens there.
        let account = account.with_server("127.0.0.1", 1).unwrap();
        let connector = Connector::new(account.with_tls(Tls::None).unwrap());
        let (notices, mut told) = mpsc::channel(1);
        let reconnector = Reconnector::new(connector, notices);
        let stream = reconnector.fresh_stream();
        assert!(matches!(told.recv().await, Some(Notice::Retrying { .. })));
        drop(stream);
        let gone = async {
            while Arc::strong_count(&reconnector.backoff) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone)
            .await
            .unwrap();
    }

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
