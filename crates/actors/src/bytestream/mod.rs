//! The actor of one program's connection through a tube.
//!
//! ```text
//!   Negotiating ──► Flowing ──► Gone
//! ```
//!
//! The actor owns the connection's life; negotiating and copying run in one task on the
//! embedder's runtime. However that ends, by return, abort or panic, the application hears of
//! it exactly once and the tube gets its place back.

mod end;
mod waiting;

use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient,
    WrapFuture,
};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tubes_local::{Totals, splice_until};
use tubes_protocol::transcript::Transcript;
use tubes_transport::Request;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use self::end::End;
pub(crate) use self::waiting::Waiting;
use crate::endpoint::{Dial, ExportedEndpoint};
use crate::env::Env;
use crate::event::{Event, Failure, FailureKind, TubeId};
use crate::failure;
use crate::negotiator::Proposed;
use crate::obituary::Obituary;
use crate::opening::{Opening, Secured, Unopened};
use crate::seats::Seat;
use crate::traffic::Traffic;
use crate::tube::Venue;

/// One connection; ends by itself.
#[derive(Debug)]
pub(crate) struct BytestreamActor {
    task: Option<JoinHandle<Result<(), Failure>>>,
    abort: AbortHandle,
    /// What it is said to have ended for, if it is given up.
    given_up: Failure,
    end: End,
}

impl BytestreamActor {
    /// Starts to negotiate, and then to copy.
    pub(crate) fn launch(
        env: &Env,
        name: Name,
        job: Job,
        wind_down: CancellationToken,
        obituary: Obituary,
    ) -> Addr<Self> {
        let totals = Arc::new(Totals::default());
        let end = End {
            env: env.clone(),
            name: name.clone(),
            totals: Arc::clone(&totals),
            result: Err(failure::internal()),
            _obituary: obituary,
        };
        env.announcer.announce(Event::ConnectionOpening {
            tube: name.tube,
            connection: name.connection,
            peer: name.peer.clone(),
            traffic: Traffic::of(&totals),
        });
        let span = tracing::info_span!(
            "bytestream", tube = %name.tube, connection = name.connection, peer = %name.peer
        );
        let work = Work {
            env: env.clone(),
            name,
            totals,
            wind_down,
            started: Instant::now(),
        };
        let running = work.run(job);
        let task = env
            .runtime
            .spawn(tracing::Instrument::instrument(running, span));
        Self {
            abort: task.abort_handle(),
            given_up: failure::abandoned(),
            task: Some(task),
            end,
        }
        .start()
    }
}

impl Actor for BytestreamActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(task) = self.task.take() else { return };
        ctx.spawn(task.into_actor(self).map(|result, actor, ctx| {
            actor.end.result = result.unwrap_or_else(|error| match error.is_panic() {
                true => Err(failure::internal()),
                false => Err(actor.given_up.clone()),
            });
            ctx.stop();
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.abort.abort();
    }
}

/// Give up now, for this reason: both ends see an error.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Abort(pub(crate) Failure);

impl Handler<Abort> for BytestreamActor {
    type Result = ();

    fn handle(&mut self, Abort(why): Abort, _: &mut Self::Context) {
        self.given_up = why;
        self.abort.abort();
    }
}

/// The offerer does not know the tube any more: it died, and came back without it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Disowned;

/// What a connection is called.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) tube: TubeId,
    pub(crate) connection: u64,
    pub(crate) peer: FullJid,
    /// What the tube was offered as, which both sides know.
    pub(crate) offer: Arc<Transcript>,
    /// Where the tube is.
    pub(crate) venue: Venue,
}

/// What there is to do.
pub(crate) enum Job {
    /// The peer's program connects to our service.
    Answer {
        proposed: Box<Proposed>,
        request: Request,
        service: Addr<ExportedEndpoint>,
        seat: Seat,
    },
    /// Our program connects to the peer's service.
    Ask {
        program: Waiting,
        request: Request,
        tube: Recipient<Disowned>,
        seat: Seat,
    },
}

/// The task's share. What comes before the copying is boxed: it takes several times the memory, and
/// a connection may last for days.
struct Work {
    env: Env,
    name: Name,
    totals: Arc<Totals>,
    wind_down: CancellationToken,
    started: Instant,
}

impl Work {
    async fn run(self, job: Job) -> Result<(), Failure> {
        let opened = Box::pin(self.open(job)).await?;
        self.flow(opened).await
    }

    async fn open(&self, job: Job) -> Result<Ready, Failure> {
        match job {
            Job::Answer {
                proposed,
                request,
                service,
                seat,
            } => {
                let (waiting, secured) = self.answer(*proposed, request, service).await?;
                Ok(Ready {
                    source: waiting.source(),
                    waiting,
                    secured,
                    _seat: seat,
                })
            }
            Job::Ask {
                program,
                request,
                tube,
                seat,
            } => Ok(Ready {
                secured: self.ask(request, &tube).await?,
                waiting: program,
                source: None,
                _seat: seat,
            }),
        }
    }

    async fn ask(&self, request: Request, tube: &Recipient<Disowned>) -> Result<Secured, Failure> {
        let asked = self.opening().ask(request).await;
        asked.map_err(|unopened| match unopened {
            Unopened::Failed(failure) => failure,
            Unopened::Open(error) => {
                if failure::is_disowned(&error) {
                    // At most one for each connection.
                    tube.do_send(Disowned);
                }
                self.name.venue.failure(&error)
            }
        })
    }

    async fn answer(
        &self,
        proposed: Proposed,
        request: Request,
        service: Addr<ExportedEndpoint>,
    ) -> Result<(Waiting, Secured), Failure> {
        let opening = self.opening();
        let vetted = match opening.vet(&proposed.proposal.extensions).await {
            Ok(vetted) => vetted,
            Err(vetoed) => {
                let for_peer = vetoed.for_peer();
                let failure = Failure::from(vetoed);
                proposed.decline(for_peer.unwrap_or_else(|| no_service(failure.kind)));
                return Err(failure);
            }
        };
        let peer = self.name.peer.clone();
        let socket = match service.send(Dial { peer }).await {
            Ok(Ok(socket)) => socket,
            undialled => {
                let failure = match undialled {
                    Ok(Err(failure)) => failure,
                    _ => failure::abandoned(),
                };
                proposed.decline(no_service(failure.kind));
                return Err(failure);
            }
        };
        let service = Waiting::new(socket);
        let secured = opening.answer(proposed, vetted, request).await?;
        Ok((service, secured))
    }

    fn opening(&self) -> Opening {
        Opening {
            env: self.env.clone(),
            venue: self.name.venue.clone(),
            peer: self.name.peer.clone(),
            said: Arc::clone(&self.name.offer),
        }
    }

    async fn flow(&self, ready: Ready) -> Result<(), Failure> {
        let Ready {
            mut waiting,
            secured,
            source,
            _seat,
        } = ready;
        let Some(socket) = waiting.take() else {
            return Err(failure::internal());
        };
        let transport = secured.stream.label();
        tracing::debug!(transport, "flowing");
        self.env.announcer.announce(Event::ConnectionOpened {
            tube: self.name.tube,
            connection: self.name.connection,
            peer: self.name.peer.clone(),
            transport,
            fell_back_from: secured.attempts.iter().map(failure::tried).collect(),
            setup: self.started.elapsed(),
            source,
            protection: secured.protection,
        });
        let totals = Arc::clone(&self.totals);
        let stop = self.wind_down.clone().cancelled_owned();
        let outcome = splice_until(socket, secured.stream, totals, stop).await;
        outcome
            .error
            .map_or(Ok(()), |error| Err(failure::splice(&error)))
    }
}

/// What is there once a bytestream is open.
struct Ready {
    waiting: Waiting,
    secured: Secured,
    /// Where the service sees the connection come from.
    source: Option<String>,
    /// The connection's place in the tube.
    _seat: Seat,
}

/// What the peer's program is told: its own connection is refused.
fn no_service(why: FailureKind) -> StanzaError {
    let (condition, text) = match why {
        FailureKind::Limit => (DefinedCondition::ResourceConstraint, "too many connections"),
        _ => (
            DefinedCondition::ServiceUnavailable,
            "the service does not answer",
        ),
    };
    StanzaError::new(ErrorType::Wait, condition, "en", text)
}
