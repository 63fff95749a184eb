//! The thread on which an account's actors live.

use std::io;
use std::sync::Arc;
use std::thread;

use actix::{Actor, Addr, System};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tubes_secure::Guard;
use tubes_session::{Session, SessionEvent};
use tubes_transport::Signalling;
use xmpp_parsers::jid::FullJid;

use crate::announcer::Announcer;
use crate::complaints::Complaints;
use crate::env::Env;
use crate::file::Claims;
use crate::limits::Limits;
use crate::negotiator::NegotiatorActor;
use crate::notices::Notices;
use crate::obituary::Obituary;
use crate::seats::Seats;
use crate::session::{Leave, Report, SessionActor, Silent};

/// What an account's actors are started with.
pub(crate) struct Crew {
    pub(crate) session: Session,
    pub(crate) reports: mpsc::Receiver<SessionEvent>,
    pub(crate) announcer: Announcer,
    pub(crate) signallings: Vec<Arc<dyn Signalling>>,
    pub(crate) features: Vec<String>,
    pub(crate) services: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) guard: Guard,
    pub(crate) jid: FullJid,
}

/// The running thread: where to send orders, and the word of its end.
pub(crate) struct Running {
    pub(crate) account: Addr<SessionActor>,
    pub(crate) ended: oneshot::Receiver<()>,
}

/// Starts the thread and the actors on it. Must be called within the embedder's runtime.
pub(crate) async fn start(crew: Crew) -> io::Result<Running> {
    let runtime = Handle::current();
    let (ready, started) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    thread::Builder::new()
        .name("tubes-control".to_owned())
        .spawn(move || {
            let system = System::new();
            let account = system.block_on(async move { launch(crew, runtime) });
            // Whoever started it may have lost interest; then nobody needs it.
            if let Err(account) = ready.send(account) {
                account.do_send(Leave);
            }
            if let Err(error) = system.run() {
                tracing::error!(%error, "the control thread ended badly");
            }
            drop(end);
        })?;
    let account = started.await.map_err(io::Error::other)?;
    Ok(Running { account, ended })
}

fn launch(crew: Crew, runtime: Handle) -> Addr<SessionActor> {
    let (local, jid) = watch::channel(crew.jid);
    let notices = Notices::new(crew.announcer.clone());
    let negotiator = NegotiatorActor::new(
        crew.signallings,
        runtime.clone(),
        &crew.limits,
        notices.clone(),
    );
    let seats = Seats::new(crew.limits, notices.clone());
    let env = Env {
        runtime: runtime.clone(),
        announcer: crew.announcer,
        negotiator: negotiator.start(),
        notices,
        seats,
        claims: Claims::default(),
        complaints: Complaints::new(runtime.clone()),
        stanzas: crew.session.stanzas().clone(),
        guard: crew.guard,
        local: jid,
    };
    let account = SessionActor::new(env, crew.session, local, crew.features, crew.services).start();
    runtime.spawn(forward(crew.reports, account.clone()));
    account
}

/// Hands the session's reports over one by one, so that a busy actor slows the session instead
/// of filling its mailbox, which has no bound.
async fn forward(mut reports: mpsc::Receiver<SessionEvent>, account: Addr<SessionActor>) {
    // Not every end of a session has a last word, and the embedder may end its runtime.
    let silenced = account.clone();
    let _obituary = Obituary::new(move || silenced.do_send(Silent));
    while let Some(report) = reports.recv().await {
        if account.send(Report(report)).await.is_err() {
            return;
        }
    }
}
