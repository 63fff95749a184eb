//! What a tube tells its peers, one after the other.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tubes_transport::Stanzas;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

use crate::complaints::{Complaint, Complaints};
use crate::env::Env;

/// Carries messages to the session in the order in which they were given, so that no close
/// overtakes its offer, and an actor need not wait while the session is down.
#[derive(Debug)]
pub(super) struct Herald {
    errands: mpsc::Sender<Errand>,
    complaints: Complaints,
}

impl Herald {
    /// Starts the task that carries; it ends with this value, and what is left is still said.
    pub(super) fn new(env: &Env) -> Self {
        let (errands, inbox) = mpsc::channel(ERRANDS);
        env.runtime.spawn(carry(inbox, env.stanzas.clone()));
        Self {
            errands,
            complaints: env.complaints.clone(),
        }
    }

    /// Tells a resource something, now or as soon as the session can.
    pub(super) fn tell(&self, to: FullJid, payloads: Vec<Element>) {
        let of = to.to_bare();
        if let Err(error) = self.errands.try_send(Errand::Tell(to, payloads))
            && self.complaints.is_news(Complaint::TooMuch, Some(of))
        {
            tracing::warn!(%error, "too much to tell while the session is down");
        }
    }

    /// Waits until all that was told is on its way, or the session takes too long.
    pub(super) fn flushed(&self) -> impl Future<Output = ()> + 'static {
        let (mark, marked) = oneshot::channel();
        let herald = self.errands.clone();
        async move {
            let _ = timeout(PATIENCE, async {
                if herald.send(Errand::Mark(mark)).await.is_ok() {
                    let _ = marked.await;
                }
            })
            .await;
        }
    }
}

#[derive(Debug)]
enum Errand {
    /// Everything before this is on its way.
    Mark(oneshot::Sender<()>),
    Tell(FullJid, Vec<Element>),
}

async fn carry(mut inbox: mpsc::Receiver<Errand>, stanzas: Stanzas) {
    while let Some(errand) = inbox.recv().await {
        match errand {
            // Whoever waited may have lost patience.
            Errand::Mark(mark) => drop(mark.send(())),
            Errand::Tell(to, payloads) => {
                if stanzas.tell(to.into(), payloads).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Messages that wait for the session: two for each of the resources that a tube knows.
const ERRANDS: usize = 128;

/// How long a closing tube waits for the session. A part of the five seconds that an
/// interrupted program has.
const PATIENCE: Duration = Duration::from_millis(500);
