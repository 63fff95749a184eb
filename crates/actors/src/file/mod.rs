//! The actor of one file that is sent.
//!
//! ```text
//!   sender      Waiting ──► Offering ──► Flowing ──► Gone
//!   receiver    Offered ──► Accepting ─► Flowing ──► Gone
//! ```
//!
//! The actor owns the file's life; negotiating and copying run in one task on the embedder's
//! runtime, from the offer on. However that ends, by return, abort or panic, the application hears of it
//! exactly once: when the task has ended, and what became of the file by the time when that was known. What
//! ends the task while it still says farewell does not change it.
//!
//! - [`Particulars`], [`Progress`], [`Delivered`]: what is known of it (`particulars.rs`)
//! - `sending.rs`, `receiving.rs`: the tasks; `passage.rs`: what they share; `site.rs`: where to receive
//! - `end.rs`: how it ends; `trouble.rs`: why; `claims.rs`: which are being received
//! - `hearsay.rs`: what is said of it in the sender's name

mod claims;
mod end;
mod hearsay;
mod particulars;
mod passage;
mod receiving;
mod sending;
mod site;
mod trouble;

use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    MessageResult, WrapFuture,
};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tubes_files::{Destination, Stop};

pub(crate) use self::claims::Claims;
pub use self::particulars::{Delivered, FileId, Particulars, Progress};
pub(crate) use self::receiving::Receiving;
pub(crate) use self::sending::{Sending, Taker};
pub(crate) use self::trouble::withdrawn;

use self::end::{Concluded, End, Fate};
use self::hearsay::Hearsay;
use crate::env::Env;
use crate::event::Failure;
use crate::failure;
use crate::obituary::Obituary;

/// One file; ends by itself.
#[derive(Debug)]
pub(crate) struct FileActor {
    task: Option<JoinHandle<()>>,
    abort: AbortHandle,
    /// What it is said to have ended for, if it is given up.
    given_up: Fate,
    stop: Stop,
    cue: Option<Cue>,
    hearsay: Hearsay,
    end: End,
    /// Dropped after everything else: whoever waits for the end hears of it last.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What the task waits for before it goes on.
#[derive(Debug)]
enum Cue {
    /// The application, to accept it.
    Destination(oneshot::Sender<Destination>),
    /// A resource of the contact that takes files.
    Taker(oneshot::Sender<Taker>),
}

impl FileActor {
    /// Offers a file, now or as soon as somebody is there who takes it.
    pub(crate) fn send(
        env: &Env,
        file: FileId,
        sending: Sending,
        taker: Option<Taker>,
        obituary: Obituary,
    ) -> Addr<Self> {
        let progress = Progress::new();
        let end = End::of(env, file, &progress, obituary);
        sending.announce(env, file, &progress);
        let stop = Stop::default();
        let (cue, found) = oneshot::channel();
        let cue = match taker {
            Some(taker) => {
                // The task waits for it.
                let _ = cue.send(taker);
                None
            }
            None => Some(Cue::Taker(cue)),
        };
        let work = sending.run(env.clone(), file, progress, found, stop.clone());
        Self::launch(env, end, work, stop, cue, Hearsay::default())
    }

    /// A contact offers a file.
    pub(crate) fn receive(
        env: &Env,
        file: FileId,
        receiving: Receiving,
        obituary: Obituary,
    ) -> Addr<Self> {
        let progress = Progress::new();
        let end = End::of(env, file, &progress, obituary);
        receiving.announce(env, file, &progress);
        let stop = Stop::default();
        let (cue, accepted) = oneshot::channel();
        let hearsay = Hearsay::default();
        let work = receiving.run(
            env.clone(),
            file,
            progress,
            accepted,
            stop.clone(),
            hearsay.clone(),
        );
        let cue = Some(Cue::Destination(cue));
        Self::launch(env, end, work, stop, cue, hearsay)
    }

    fn launch(
        env: &Env,
        end: End,
        work: impl Future<Output = Concluded> + Send + 'static,
        stop: Stop,
        cue: Option<Cue>,
        hearsay: Hearsay,
    ) -> Addr<Self> {
        let span = tracing::info_span!("file", file = %end.file);
        let known = end.known.clone();
        let running = async move {
            let Concluded { fate, farewell } = work.await;
            if !matches!(fate, Fate::GivenUp) {
                known.say(fate);
            }
            if let Some(farewell) = farewell {
                farewell.say().await;
            }
        };
        let running = tracing::Instrument::instrument(running, span);
        let task = env.runtime.spawn(running);
        Self {
            abort: task.abort_handle(),
            given_up: Fate::GivenUp,
            task: Some(task),
            stop,
            cue,
            hearsay,
            end,
            waiting: Vec::new(),
        }
        .start()
    }

    /// Ends it at once, for this reason unless it is known by now what became of it. The last step into its
    /// place is not interrupted: as soon as it is known what came of that, the rest is.
    fn abort(&mut self, why: Fate, ctx: &mut Context<Self>) {
        if self.end.known.fate().is_none() {
            if !self.stop.order() {
                ctx.run_later(GLANCE, |actor, ctx| actor.abort(why, ctx));
                return;
            }
            self.given_up = why;
        }
        self.abort.abort();
    }
}

impl Actor for FileActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(task) = self.task.take() else { return };
        ctx.spawn(task.into_actor(self).map(|ended, actor, ctx| {
            actor.end.known.say(match ended {
                Err(error) if error.is_panic() => failure::internal().into(),
                _ => actor.given_up.clone(),
            });
            ctx.stop();
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        // Or it might get into its place yet, and nobody would say so.
        self.stop.order();
        self.abort.abort();
    }
}

/// Receive it, there.
#[derive(Message)]
#[rtype(result = "Result<(), AcceptFileError>")]
pub(crate) struct AcceptFile(pub(crate) Destination);

impl Handler<AcceptFile> for FileActor {
    type Result = Result<(), AcceptFileError>;

    fn handle(&mut self, AcceptFile(there): AcceptFile, _: &mut Self::Context) -> Self::Result {
        match self.cue.take() {
            Some(Cue::Destination(cue)) => {
                // A task that has ended meanwhile says so itself.
                cue.send(there).map_err(|_| AcceptFileError::Gone)
            }
            other => {
                self.cue = other;
                Err(AcceptFileError::Decided)
            }
        }
    }
}

/// Why a file cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptFileError {
    /// It is an own one, or was accepted.
    #[error("nobody waits for that file to be accepted")]
    Decided,
    /// It is offered no more.
    #[error("the file is offered no more")]
    Gone,
}

/// A resource of the contact is online that takes files.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Found(pub(crate) Taker);

impl Handler<Found> for FileActor {
    type Result = ();

    fn handle(&mut self, Found(taker): Found, _: &mut Self::Context) {
        match self.cue.take() {
            Some(Cue::Taker(cue)) => {
                // Who has ended needs nobody.
                let _ = cue.send(taker);
            }
            other => self.cue = other,
        }
    }
}

/// Give it up: decline it, or stop. The answer ends when it is gone.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub(crate) struct GiveUp;

impl Handler<GiveUp> for FileActor {
    type Result = MessageResult<GiveUp>;

    fn handle(&mut self, GiveUp: GiveUp, ctx: &mut Self::Context) -> Self::Result {
        self.stop.order();
        ctx.run_later(FAREWELL, |actor, ctx| actor.abort(Fate::GivenUp, ctx));
        let (until_gone, gone) = oneshot::channel();
        self.waiting.push(until_gone);
        MessageResult(gone)
    }
}

/// Who offers it is offline: if nobody has decided on it, nobody needs to.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Unattended(pub(crate) Failure);

impl Handler<Unattended> for FileActor {
    type Result = ();

    fn handle(&mut self, Unattended(why): Unattended, ctx: &mut Self::Context) {
        if let Some(Cue::Destination(_)) = self.cue {
            self.abort(why.into(), ctx);
        }
    }
}

/// It is said in its sender's name that it is given up.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Withdrawn(pub(crate) Failure);

impl Handler<Withdrawn> for FileActor {
    type Result = ();

    fn handle(&mut self, Withdrawn(why): Withdrawn, ctx: &mut Self::Context) {
        if let Some(why) = self.hearsay.hear(why) {
            self.abort(why.into(), ctx);
        }
    }
}

/// The session is gone: there is nobody left to say anything to.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Lost(pub(crate) Failure);

impl Handler<Lost> for FileActor {
    type Result = ();

    fn handle(&mut self, Lost(why): Lost, ctx: &mut Self::Context) {
        self.abort(why.into(), ctx);
    }
}

/// How soon an order is repeated that came during the last step.
const GLANCE: Duration = Duration::from_millis(100);

/// Time to tell the other side that a file is given up.
const FAREWELL: Duration = Duration::from_millis(2500);
