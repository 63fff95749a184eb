//! Gives the stream a new connection whenever it lost one.

use std::time::Duration;

use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio_xmpp::stanzastream::Connection;

use crate::LoginError;
use crate::connector::{Connector, Established};

/// What happens while the stream has no connection.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A new connection stands; the stream negotiates on it.
    Connected {
        server: String,
        tls: Option<&'static str>,
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
    Box::new(move |_location, slot| match first.take() {
        // The stream asks for its first connection while it is made.
        Some(connection) => drop(slot.send(connection)),
        None => drop(tokio::spawn(reconnect(
            connector.clone(),
            notices.clone(),
            slot,
        ))),
    })
}

async fn reconnect(
    connector: Connector,
    notices: mpsc::Sender<Notice>,
    mut slot: oneshot::Sender<Connection>,
) {
    let mut pause = FIRST_PAUSE;
    let mut reason = "the connection was lost".to_owned();
    loop {
        // Jitter, so that the clients of a restarted server do not come all at once.
        let retry_in = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        if notices
            .send(Notice::Retrying { reason, retry_in })
            .await
            .is_err()
        {
            break;
        }
        tokio::time::sleep(retry_in).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match connector.connect().await {
            Ok(Established {
                connection,
                server,
                tls,
            }) => {
                // A pump that is gone no longer minds.
                let _ = notices.send(Notice::Connected { server, tls }).await;
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

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
