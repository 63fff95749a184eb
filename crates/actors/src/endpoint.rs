//! The actors of the local sockets: one listens, one dials the exported service.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
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
    task: Option<JoinHandle<()>>,
}

impl ListeningEndpoint {
    /// Starts to accept; each program is handed to `tube`.
    pub(crate) fn launch(
        runtime: &Handle,
        listener: Listener,
        places: Arc<Semaphore>,
        tube: Recipient<Connected>,
    ) -> actix::Addr<Self> {
        let task = runtime.spawn(accept(listener, places, tube));
        Self { task: Some(task) }.start()
    }
}

impl Actor for ListeningEndpoint {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The listener goes with its task, and a socket file with the listener.
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Listen no more. Answered when the address is free again.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close;

impl Handler<Close> for ListeningEndpoint {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Close: Close, _: &mut Self::Context) -> Self::Result {
        let Some(task) = self.task.take() else {
            return Box::pin(async {});
        };
        task.abort();
        Box::pin(async move {
            // It ends by being cut off; what it held is dropped by then.
            let _ = task.await;
        })
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
    /// Standard input and output can be given to one connection only.
    is_spent: bool,
}

impl ExportedEndpoint {
    pub(crate) fn new(runtime: Handle, address: Address) -> Self {
        Self {
            runtime,
            address,
            is_spent: false,
        }
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
        if self.is_spent {
            return Box::pin(async { Err(failure::spent()) });
        }
        self.is_spent = self.address == Address::Stdio;
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
