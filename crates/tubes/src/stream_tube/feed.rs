//! The application's end of what happens to the tubes in hand.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::broadcast;
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// What happens to the tubes of a server or a client; also a [`Stream`] of it.
///
/// ```
/// use tubes::StreamTubeServer;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = StreamTubeServer::builder().services_for_contacts(["x-chat"]).build();
/// let (_, mut events) = server.watch();
/// server.close().await;
/// drop(server);
/// assert!(events.next().await.is_none(), "nothing more can happen");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Feed<E> {
    events: BroadcastStream<E>,
    missed: fn(u64) -> E,
}

impl<E: Clone + Send + 'static> Feed<E> {
    pub(super) fn of(receiver: broadcast::Receiver<E>, missed: fn(u64) -> E) -> Self {
        let events = BroadcastStream::new(receiver);
        Self { events, missed }
    }

    /// The next event; none once the server or client, and the last of its tubes, is gone. Cancel
    /// safe.
    ///
    /// Events wait for a slow reader, up to a bound; then the oldest are lost, and an event says how
    /// many.
    pub async fn next(&mut self) -> Option<E> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<E: Clone + Send + 'static> Stream for Feed<E> {
    type Item = E;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<E>> {
        let next = ready!(Pin::new(&mut self.events).poll_next(cx));
        Poll::Ready(next.map(|event| match event {
            Ok(event) => event,
            Err(BroadcastStreamRecvError::Lagged(count)) => (self.missed)(count),
        }))
    }
}
