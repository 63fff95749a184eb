//! Gives the stream a new connection whenever it lost one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio_xmpp::stanzastream::Connection;

use crate::LoginError;
use crate::connector::{Connector, Established};
use crate::event::Terms;

/// What happens while the stream has no connection.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A new connection stands; the stream negotiates on it.
    Connected {
        server: String,
        tls: Option<&'static str>,
        terms: Terms,
    },
    /// No further try makes sense.
    Down(LoginError),
    /// The next try is made after a wait.
    Retrying { reason: String, retry_in: Duration },
}

/// What tokio-xmpp calls for each connection.
pub(crate) type Reconnector =
    Box<dyn FnMut(Option<String>, oneshot::Sender<Connection>) + Send + 'static>;

/// Hands out `first`, and afterwards connects anew with growing pauses.
pub(crate) fn reconnector(
    connector: Connector,
    first: Connection,
    notices: mpsc::Sender<Notice>,
) -> Reconnector {
    let mut first = Some(first);
    let backoff = Arc::new(Mutex::new(Backoff::new(Instant::now())));
    Box::new(move |_location, slot| match first.take() {
        // The stream asks for its first connection while it is made.
        Some(connection) => drop(slot.send(connection)),
        None => {
            let (connector, backoff) = (connector.clone(), Arc::clone(&backoff));
            drop(tokio::spawn(reconnect(
                connector,
                backoff,
                notices.clone(),
                slot,
            )));
        }
    })
}

async fn reconnect(
    connector: Connector,
    backoff: Arc<Mutex<Backoff>>,
    notices: mpsc::Sender<Notice>,
    mut slot: oneshot::Sender<Connection>,
) {
    let backoff = || backoff.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reason = "the connection was lost".to_owned();
    loop {
        // Jitter, so that the clients of a restarted server do not come all at once.
        let pause = backoff().handle_failed(Instant::now());
        let retry_in = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        if notices
            .send(Notice::Retrying { reason, retry_in })
            .await
            .is_err()
        {
            break;
        }
        tokio::time::sleep(retry_in).await;
        match connector.connect().await {
            Ok(Established {
                connection,
                server,
                tls,
                terms,
            }) => {
                backoff().handle_connected(Instant::now());
                // A pump that is gone no longer minds.
                let connected = Notice::Connected { server, tls, terms };
                let _ = notices.send(connected).await;
                drop(slot.send(connection));
                return;
            }
            Err(error) if error.is_final() => {
                let _ = notices.send(Notice::Down(error)).await;
                break;
            }
            Err(error) => reason = error.to_string(),
        }
    }
    // tokio-xmpp 6.0.0 panics when the slot is dropped without a connection, so it is kept until
    // the stream's worker goes, at the latest with the runtime.
    slot.closed().await;
}

/// Growing pauses between tries.
///
/// They shrink again only after a connection that held: a login that succeeds and is thrown out
/// at once, by another client with the same resource for example, is no reason to hurry.
#[derive(Debug)]
struct Backoff {
    pause: Duration,
    connected: Option<Instant>,
}

impl Backoff {
    fn new(connected: Instant) -> Self {
        Self {
            pause: FIRST_PAUSE,
            connected: Some(connected),
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
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// A connection that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_a_minute() {
        let now = Instant::now();
        let mut backoff = Backoff::new(now);
        let pauses: Vec<_> = (0..8)
            .map(|_| backoff.handle_failed(now).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
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
