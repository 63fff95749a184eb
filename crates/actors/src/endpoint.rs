//! The actors of the local sockets: one listens, one dials the exported service.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tubes_local::{Address, Listener, Socket, dial};

use crate::event::Failure;
use crate::failure;

/// Lets programs into a joined tube.
///
/// ```text
///   Listening ⇄ Full ──► Closed
/// ```
///
/// A place is taken *before* a program is let in: those beyond the limit wait in the backlog of
/// the kernel, and cost nothing.
#[derive(Debug)]
pub(crate) struct ListeningEndpoint {
    task: AbortHandle,
}

impl ListeningEndpoint {
    /// Starts to accept; each program is handed to `tube`.
    pub(crate) fn launch(
        runtime: &Handle,
        listener: Listener,
        places: Arc<Semaphore>,
        tube: Recipient<Connected>,
    ) -> actix::Addr<Self> {
        let task = runtime.spawn(accept(listener, places, tube)).abort_handle();
        Self { task }.start()
    }
}

impl Actor for ListeningEndpoint {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The listener goes with its task, and a socket file with the listener.
        self.task.abort();
    }
}

/// A program connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connected {
    pub(crate) socket: Socket,
    pub(crate) permit: OwnedSemaphorePermit,
}

async fn accept(listener: Listener, places: Arc<Semaphore>, tube: Recipient<Connected>) {
    loop {
        let Ok(permit) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let socket = match listener.accept().await {
            Ok((socket, source)) => {
                tracing::debug!(%source, "a program connected");
                socket
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "accepting no connections for a moment");
                tokio::time::sleep(BREATH).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "the listening socket failed");
                return;
            }
        };
        if tube.send(Connected { socket, permit }).await.is_err() {
            return;
        }
    }
}

/// Dials the exported service, once for each connection.
#[derive(Debug)]
pub(crate) struct ExportedEndpoint {
    runtime: Handle,
    address: Address,
}

impl ExportedEndpoint {
    pub(crate) fn new(runtime: Handle, address: Address) -> Self {
        Self { runtime, address }
    }
}

impl Actor for ExportedEndpoint {
    type Context = Context<Self>;
}

/// A new connection to the service is needed.
#[derive(Message)]
#[rtype(result = "Result<Socket, Failure>")]
pub(crate) struct Dial;

impl Handler<Dial> for ExportedEndpoint {
    type Result = ResponseFuture<Result<Socket, Failure>>;

    fn handle(&mut self, Dial: Dial, _: &mut Self::Context) -> Self::Result {
        let address = self.address.clone();
        // On the embedder's runtime, where the socket is to live.
        let dialled = self.runtime.spawn(async move { dial(&address).await });
        Box::pin(async move {
            let dialled = dialled.await.map_err(|_| failure::internal())?;
            dialled.map_err(|error| failure::dial(&error))
        })
    }
}

/// A pause when no descriptors are left: long enough not to spin, short enough not to be felt.
const BREATH: Duration = Duration::from_millis(100);
