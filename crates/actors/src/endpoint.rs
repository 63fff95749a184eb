//! The actors of the local sockets: one listens, one opens connections to what is exported.

use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    MessageResult, Recipient, ResponseFuture, WrapFuture,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tubes_local::{Caller, Export, Listener, Socket};
use xmpp_parsers::jid::FullJid;

use crate::bytestream::Waiting;
use crate::event::Failure;
use crate::failure;
use crate::obituary::Obituary;
use crate::seats::{Seat, TubeSeats};

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
    task: Option<JoinHandle<Failure>>,
    abort: AbortHandle,
    unheard: Recipient<Unheard>,
    /// Whoever waits for the address to be free; dropping them is the word.
    closers: Vec<oneshot::Sender<()>>,
}

impl ListeningEndpoint {
    /// Starts to accept; each program is handed to the owner.
    pub(crate) fn launch(
        runtime: &Handle,
        listener: Listener,
        seats: TubeSeats,
        owner: Owner,
    ) -> Addr<Self> {
        let task = runtime.spawn(accept(owner.obituary, listener, seats, owner.connected));
        Self {
            abort: task.abort_handle(),
            task: Some(task),
            unheard: owner.unheard,
            closers: Vec::new(),
        }
        .start()
    }
}

impl Actor for ListeningEndpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(task) = self.task.take() else { return };
        // The listener goes with its task, and a socket file with the listener.
        ctx.spawn(task.into_actor(self).map(|end, actor, ctx| {
            match end {
                Err(error) if error.is_cancelled() => {}
                Ok(why) => actor.unheard.do_send(Unheard(why)),
                Err(_) => actor.unheard.do_send(Unheard(failure::internal())),
            }
            actor.closers.clear();
            ctx.stop();
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.abort.abort();
    }
}

/// Listen no more. Whoever holds the answer learns from its end that the address is free.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub(crate) struct Close;

impl Handler<Close> for ListeningEndpoint {
    type Result = MessageResult<Close>;

    fn handle(&mut self, Close: Close, _: &mut Self::Context) -> Self::Result {
        let (closer, closed) = oneshot::channel();
        self.closers.push(closer);
        self.abort.abort();
        MessageResult(closed)
    }
}

/// Who is told what happens at a listening endpoint: its tube.
pub(crate) struct Owner {
    pub(crate) connected: Recipient<Connected>,
    pub(crate) unheard: Recipient<Unheard>,
    /// Told when the address is free.
    pub(crate) obituary: Obituary,
}

/// The local socket is of no use any more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unheard(pub(crate) Failure);

/// A program connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connected {
    pub(crate) program: Waiting,
    pub(crate) seat: Seat,
}

/// Accepts until the listener is of no use any more; returns why.
async fn accept(
    // Outlives the listener: what is declared first is dropped last.
    _obituary: Obituary,
    listener: Listener,
    seats: TubeSeats,
    tube: Recipient<Connected>,
) -> Failure {
    let mut warned: Option<Instant> = None;
    loop {
        let Some(vacancy) = seats.vacancy().await else {
            return failure::internal();
        };
        let socket = match listener.accept().await {
            Ok((socket, source)) => {
                tracing::debug!(%source, "a program connected");
                socket
            }
            Err(error) if error.may_pass() => {
                // Not with every try, nor with every program that gets its turn.
                if warned.is_none_or(|at| at.elapsed() >= RESPITE) {
                    tracing::warn!(%error, "programs have to wait until connections have ended");
                    warned = Some(Instant::now());
                }
                tokio::time::sleep(BREATH).await;
                continue;
            }
            Err(error) => return failure::listener(&error.to_string()),
        };
        let Some(seat) = seats.seat(vacancy).await else {
            return failure::internal();
        };
        let program = Waiting::new(socket);
        if tube.send(Connected { program, seat }).await.is_err() {
            return failure::abandoned();
        }
    }
}

/// Dials the exported service, or runs the exported command, once for each connection.
#[derive(Debug)]
pub(crate) struct ExportedEndpoint {
    runtime: Handle,
    export: Export,
    /// What the peers know it by.
    service: String,
    /// Standard input and output can be given to one connection only.
    is_spent: bool,
}

impl ExportedEndpoint {
    pub(crate) fn new(runtime: Handle, export: Export, service: String) -> Self {
        Self {
            runtime,
            export,
            service,
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
pub(crate) struct Dial {
    /// Whose program it is for.
    pub(crate) peer: FullJid,
}

impl Handler<Dial> for ExportedEndpoint {
    type Result = ResponseFuture<Result<Socket, Failure>>;

    fn handle(&mut self, Dial { peer }: Dial, _: &mut Self::Context) -> Self::Result {
        if self.is_spent {
            return Box::pin(async { Err(failure::spent()) });
        }
        self.is_spent = self.export.is_for_one();
        let export = self.export.clone();
        let caller = Caller {
            peer: peer.to_string(),
            service: self.service.clone(),
        };
        // On the embedder's runtime, where the socket is to live.
        let dialled = self
            .runtime
            .spawn(async move { export.open(&caller).await });
        Box::pin(async move {
            let dialled = dialled.await.map_err(|_| failure::internal())?;
            dialled.map_err(|error| failure::dial(&error))
        })
    }
}

/// A pause when no descriptors are left: long enough not to spin, short enough not to be felt.
const BREATH: Duration = Duration::from_millis(100);

/// How often the log is told of a lack of descriptors that lasts.
const RESPITE: Duration = Duration::from_secs(60);
