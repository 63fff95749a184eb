//! The actor that knows the signallings, and how much is being negotiated.
//!
//! It admits and reads; the negotiating itself runs in the task of the bytestream concerned, so
//! that a slow peer delays nobody else.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};
use tubes_transport::{Ask, Proposal, Reading, Signalling, Stanzas};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::limits::{self, Limit, Limits};
use crate::notices::Notices;

/// Agrees with peers on bytestreams, by any of its signallings.
#[derive(Debug)]
pub(crate) struct NegotiatorActor {
    signallings: Vec<Arc<dyn Signalling>>,
    runtime: Handle,
    exploring: Option<DropGuard>,
    asking: Quota,
    answering: Quota,
    notices: Notices,
}

impl NegotiatorActor {
    /// The first signalling is the one to ask with; all are listened to.
    pub(crate) fn new(
        signallings: Vec<Arc<dyn Signalling>>,
        runtime: Handle,
        limits: &Limits,
        notices: Notices,
    ) -> Self {
        let Limits {
            negotiations,
            negotiations_per_contact,
            ..
        } = *limits;
        Self {
            signallings,
            runtime,
            exploring: None,
            asking: Quota::new(limits::ASKED, limits::ASKED_PER_CONTACT),
            answering: Quota::new(negotiations, negotiations_per_contact),
            notices,
        }
    }
}

impl Actor for NegotiatorActor {
    type Context = Context<Self>;
}

/// The account has logged in to a new session.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LoggedIn {
    pub(crate) account: FullJid,
    pub(crate) stanzas: Stanzas,
}

impl Handler<LoggedIn> for NegotiatorActor {
    type Result = ();

    /// Lets the transports look around; what was looked for over the former session is given up.
    fn handle(&mut self, message: LoggedIn, _: &mut Self::Context) {
        let LoggedIn { account, stanzas } = message;
        let given_up = CancellationToken::new();
        for signalling in &self.signallings {
            let (account, stanzas) = (account.clone(), stanzas.clone());
            let signalling = Arc::clone(signalling);
            let exploring = async move { signalling.explore(account, stanzas).await };
            let given_up = given_up.clone();
            self.runtime
                .spawn(given_up.run_until_cancelled_owned(exploring));
        }
        self.exploring = Some(given_up.drop_guard());
    }
}

/// A bytestream to this contact is to be asked for.
#[derive(Message)]
#[rtype(result = "Option<Admission>")]
pub(crate) struct Open(pub(crate) Jid);

impl Handler<Open> for NegotiatorActor {
    type Result = MessageResult<Open>;

    fn handle(&mut self, Open(peer): Open, _: &mut Self::Context) -> Self::Result {
        let signalling = self.signallings.first().cloned();
        MessageResult(signalling.map(|signalling| Admission {
            signalling,
            queue: self.asking.queue(peer),
        }))
    }
}

/// Somebody asks something that no wire claims.
#[derive(Message)]
#[rtype(result = "Read")]
pub(crate) struct ReadAsk {
    pub(crate) ask: Ask,
    /// As whom the asker counts.
    pub(crate) asker: Jid,
}

/// What became of it.
pub(crate) enum Read {
    /// It was answered.
    Answered,
    /// It belongs to no signalling.
    Foreign(Ask),
    /// A bytestream is proposed.
    Proposed(Box<Proposed>),
}

/// A proposal, and what is needed to answer it.
pub(crate) struct Proposed {
    pub(crate) proposal: Proposal,
    /// As whom the peer counts.
    pub(crate) asker: Jid,
    pub(crate) signalling: Arc<dyn Signalling>,
    pub(crate) place: Place,
}

impl Proposed {
    /// Says no. The peer is refused in any case.
    pub(crate) fn decline(self, why: StanzaError) {
        let Self {
            proposal,
            signalling,
            place: _place,
            ..
        } = self;
        contained("decline", || signalling.decline(proposal, why));
    }
}

impl Handler<ReadAsk> for NegotiatorActor {
    type Result = MessageResult<ReadAsk>;

    fn handle(&mut self, message: ReadAsk, _: &mut Self::Context) -> Self::Result {
        let ReadAsk { mut ask, asker } = message;
        for signalling in &self.signallings {
            // A question that is dropped on the way is answered by that.
            let read = contained("read", || signalling.read(ask));
            match read.unwrap_or(Reading::Answered) {
                Reading::Answered => return MessageResult(Read::Answered),
                Reading::Foreign(back) => ask = back,
                Reading::Proposal(proposal) => {
                    let Some(place) = self.answering.queue(asker.clone()).try_enter() else {
                        self.notices.reached(Limit::Negotiations, Some(asker));
                        let condition = DefinedCondition::ResourceConstraint;
                        proposal.ask.refuse_with(ErrorType::Wait, condition);
                        return MessageResult(Read::Answered);
                    };
                    let signalling = Arc::clone(signalling);
                    let proposed = Proposed {
                        proposal: *proposal,
                        asker,
                        signalling,
                        place,
                    };
                    return MessageResult(Read::Proposed(Box::new(proposed)));
                }
            }
        }
        MessageResult(Read::Foreign(ask))
    }
}

/// The leave to negotiate, once there is room.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) signalling: Arc<dyn Signalling>,
    pub(crate) queue: Queue,
}

/// How many negotiations are pending, with each contact and in all.
#[derive(Debug)]
struct Quota {
    all: Arc<Semaphore>,
    contacts: HashMap<Jid, Arc<Semaphore>>,
    per_contact: usize,
}

impl Quota {
    fn new(all: usize, per_contact: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            contacts: HashMap::new(),
            per_contact,
        }
    }

    fn queue(&mut self, peer: Jid) -> Queue {
        if self.contacts.len() >= limits::ASKED {
            self.contacts
                .retain(|_, contact| Arc::strong_count(contact) > 1);
        }
        let contact = self
            .contacts
            .entry(peer)
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_contact)));
        Queue {
            all: Arc::clone(&self.all),
            contact: Arc::clone(contact),
        }
    }
}

/// Where those wait who want to negotiate with one contact.
#[derive(Debug)]
pub(crate) struct Queue {
    all: Arc<Semaphore>,
    contact: Arc<Semaphore>,
}

impl Queue {
    /// Waits for a place. None only if the negotiator is gone.
    pub(crate) async fn enter(self) -> Option<Place> {
        let contact = self.contact.acquire_owned().await.ok()?;
        let all = self.all.acquire_owned().await.ok()?;
        Some(Place {
            _contact: contact,
            _all: all,
        })
    }

    fn try_enter(self) -> Option<Place> {
        let contact = self.contact.try_acquire_owned().ok()?;
        let all = self.all.try_acquire_owned().ok()?;
        Some(Place {
            _contact: contact,
            _all: all,
        })
    }
}

/// A place among the pending negotiations; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _contact: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// Calls a signalling on the control thread. If it panics there, that is the end of the one
/// question it was called for, and neither of its caller nor of what else the caller has.
fn contained<T>(what: &'static str, call: impl FnOnce() -> T) -> Option<T> {
    // What the signalling left half done is its own; the caller's things are moved in.
    let outcome = catch_unwind(AssertUnwindSafe(call));
    if outcome.is_err() {
        tracing::error!(what, "a signalling panicked; the question is refused");
    }
    outcome.ok()
}
