//! The side that was offered a service.

use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    WrapFuture,
};
use tubes_local::{Access, Address, BindError, Listener};
use tubes_protocol::tube::{Ended, Joiner, Refusal, StreamFor};
use tubes_transport::StreamId;
use xmpp_parsers::jid::FullJid;

use super::{About, Side, TubeActor};
use crate::bytestream::{Disowned, Job, Waiting};
use crate::endpoint::{Connected, ListeningEndpoint, Owner, Unheard};
use crate::env::Env;
use crate::event::{Direction, Event};
use crate::obituary::Obituary;
use crate::seats::Seat;

/// What only the joining side has.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) machine: Joiner,
    /// The resource that offered the tube; connections are asked of it and of no other.
    pub(super) offerer: FullJid,
    pub(super) ours: bool,
    pub(super) listener: Option<Addr<ListeningEndpoint>>,
}

impl Joined {
    pub(super) fn online(&mut self, resource: &FullJid, ours: bool) {
        if *resource == self.offerer {
            self.ours = ours;
            self.machine.handle_online();
        }
    }

    pub(super) fn offline(&mut self, resource: &FullJid, now: Instant) {
        if *resource == self.offerer {
            self.machine.handle_offline(now);
        }
    }

    pub(super) fn close(&mut self) -> Vec<FullJid> {
        if self.machine.handle_close() {
            vec![self.offerer.clone()]
        } else {
            Vec::new()
        }
    }
}

impl TubeActor {
    /// Starts a tube that `offerer` offers; nothing is accepted yet.
    pub(crate) fn invite(
        env: Env,
        about: About,
        offerer: FullJid,
        presence: Presence,
        obituary: Obituary,
    ) -> Addr<Self> {
        env.announcer.announce(about.invitation(offerer.clone()));
        let machine = match presence {
            Presence::Unseen => Joiner::unseen(Instant::now()),
            Presence::Other | Presence::Ours => Joiner::new(),
        };
        let side = Side::Joined(Joined {
            machine,
            offerer,
            ours: presence == Presence::Ours,
            listener: None,
        });
        Self::new(env, about, side, obituary).start()
    }

    /// A program, or the application, wants a connection.
    fn connect(
        &mut self,
        program: Waiting,
        seat: Seat,
        ctx: &Context<Self>,
    ) -> Result<(), Refusal> {
        let Side::Joined(joined) = &self.side else {
            return Err(Refusal::NotOffered);
        };
        if let Err(refusal) = joined.machine.handle_connect() {
            tracing::warn!(tube = %self.about.tube, %refusal, "a program's connection was refused");
            return Err(refusal);
        }
        let peer = joined.offerer.clone();
        let purpose = StreamFor {
            number: self.about.number,
            setting: self.about.venue.setting(),
        }
        .into();
        let request = self.request(new_stream(), peer.clone(), purpose);
        let tube = ctx.address().recipient();
        let job = Job::Ask {
            program,
            request,
            tube,
            seat,
        };
        self.streams.launch(&self.env, peer, job, ctx);
        Ok(())
    }
}

impl About {
    /// What the application hears of a tube that `offerer` offers.
    fn invitation(&self, offerer: FullJid) -> Event {
        Event::TubeOffered {
            tube: self.tube,
            number: self.number.value(),
            peer: offerer,
            audience: self.venue.audience(),
            service: self.service.clone(),
            direction: Direction::In,
            parameters: self.parameters.clone(),
        }
    }
}

/// What is known of whoever offers a tube.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Online, and not of our kind.
    Other,
    /// Online, and of our kind.
    Ours,
    /// Its presence does not reach us.
    Unseen,
}

/// The offer came again: the offerer has reconnected. False if this tube winds down.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct OfferedAgain;

impl Handler<OfferedAgain> for TubeActor {
    type Result = bool;

    fn handle(&mut self, OfferedAgain: OfferedAgain, ctx: &mut Self::Context) -> Self::Result {
        if let Side::Joined(joined) = &mut self.side {
            joined.machine.handle_offered_again();
            self.rearm(ctx);
        }
        self.closing.is_none()
    }
}

/// Whoever offered the tube in a room does so no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Left(pub(crate) Ended);

impl Handler<Left> for TubeActor {
    type Result = ();

    fn handle(&mut self, Left(why): Left, ctx: &mut Self::Context) {
        if let Side::Joined(joined) = &mut self.side
            && joined.machine.handle_closed().is_some()
        {
            self.ended(why, ctx);
        }
    }
}

/// Whoever offers the tube in a room goes by another name.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct OffererRenamed(pub(crate) FullJid);

impl Handler<OffererRenamed> for TubeActor {
    type Result = ();

    fn handle(&mut self, OffererRenamed(to): OffererRenamed, _: &mut Self::Context) {
        if let Side::Joined(joined) = &mut self.side {
            joined.offerer = to.clone();
            // One that winds down is offered no more.
            if self.closing.is_none() {
                self.env.announcer.announce(self.about.invitation(to));
            }
        }
    }
}

impl Handler<Disowned> for TubeActor {
    type Result = ();

    fn handle(&mut self, Disowned: Disowned, ctx: &mut Self::Context) {
        if let Side::Joined(joined) = &mut self.side
            && let Some(ended) = joined.machine.handle_closed()
        {
            self.ended(ended, ctx);
        }
    }
}

impl Handler<Unheard> for TubeActor {
    type Result = ();

    fn handle(&mut self, Unheard(why): Unheard, ctx: &mut Self::Context) {
        if let Side::Joined(joined) = &mut self.side {
            let tell = joined.close();
            self.close(Some(why), tell, ctx);
        }
    }
}

/// Accept the tube and let programs connect at this address.
#[derive(Message)]
#[rtype(result = "Result<Address, AcceptError>")]
pub(crate) struct Accept {
    pub(crate) address: Address,
    pub(crate) access: Access,
}

/// Why a tube was not accepted.
///
/// ```
/// use tubes_actors::AcceptError;
///
/// /// Whether to ask the user for another port.
/// fn is_in_use(why: &AcceptError) -> bool {
///     matches!(why, AcceptError::Bind(why) if why.is_in_use())
/// }
///
/// assert!(!is_in_use(&AcceptError::Gone));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It listens already.
    #[error("the tube was accepted before")]
    Already,
    /// The local address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It carries as many connections as it may.
    #[error("the tube carries as many connections as it may")]
    Busy,
    /// The tube or the account is no more.
    #[error("the tube is gone")]
    Gone,
    /// The tube does not take it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Handler<Accept> for TubeActor {
    type Result = ResponseActFuture<Self, Result<Address, AcceptError>>;

    fn handle(
        &mut self,
        Accept { address, access }: Accept,
        _: &mut Self::Context,
    ) -> Self::Result {
        // The listener has to live on the embedder's runtime.
        let binding = self
            .env
            .runtime
            .spawn(async move { Listener::bind(&address, access).await });
        Box::pin(binding.into_actor(self).map(|bound, actor, ctx| {
            let listener = bound.map_err(|_| AcceptError::Gone)??;
            actor.listen(listener, ctx)
        }))
    }
}

/// Accept the tube and let programs in at a socket that listens already.
#[derive(Message)]
#[rtype(result = "Result<Address, AcceptError>")]
pub(crate) struct AcceptAt(pub(crate) Listener);

impl Handler<AcceptAt> for TubeActor {
    type Result = Result<Address, AcceptError>;

    fn handle(&mut self, AcceptAt(listener): AcceptAt, ctx: &mut Self::Context) -> Self::Result {
        self.listen(listener, ctx)
    }
}

impl TubeActor {
    fn listen(&mut self, listener: Listener, ctx: &Context<Self>) -> Result<Address, AcceptError> {
        let Side::Joined(joined) = &mut self.side else {
            return Err(Refusal::NotOffered.into());
        };
        if joined.listener.is_some() {
            return Err(AcceptError::Already);
        }
        let first = joined
            .machine
            .handle_accept()
            .map_err(|_| AcceptError::Gone)?;
        let tube = self.about.tube;
        let address = listener.address().clone();
        if first {
            self.env.announcer.announce(Event::TubeOpened { tube });
        }
        self.env.announcer.announce(Event::Listening {
            tube,
            address: address.clone(),
        });
        let seats = self.streams.seats.clone();
        let end = Arc::clone(&self.end);
        joined.listener = Some(ListeningEndpoint::launch(
            &self.env.runtime,
            listener,
            seats,
            Owner {
                connected: ctx.address().recipient(),
                unheard: ctx.address().recipient(),
                obituary: Obituary::new(move || drop(end)),
            },
        ));
        Ok(address)
    }
}

impl Handler<Connected> for TubeActor {
    type Result = ();

    fn handle(&mut self, Connected { program, seat }: Connected, ctx: &mut Self::Context) {
        // The program was told by a reset, the log by a warning.
        let _ = self.connect(program, seat, ctx);
    }
}

/// Use the tube for one connection over a socket in hand; accepts the tube if that was not done.
#[derive(Message)]
#[rtype(result = "Result<(), AcceptError>")]
pub(crate) struct Attach(pub(crate) Waiting);

impl Handler<Attach> for TubeActor {
    type Result = Result<(), AcceptError>;

    fn handle(&mut self, Attach(program): Attach, ctx: &mut Self::Context) -> Self::Result {
        let Side::Joined(joined) = &mut self.side else {
            return Err(Refusal::NotOffered.into());
        };
        // First, or a tube would be accepted of which nobody hears.
        let seat = self.streams.seats.for_own().ok_or(AcceptError::Busy)?;
        let first = joined
            .machine
            .handle_accept()
            .map_err(|_| AcceptError::Gone)?;
        if first {
            self.env.announcer.announce(Event::TubeOpened {
                tube: self.about.tube,
            });
        }
        Ok(self.connect(program, seat, ctx)?)
    }
}

/// Draws an identifier that nobody can guess.
fn new_stream() -> StreamId {
    StreamId::from(format!("{:032x}", rand::random::<u128>()))
}
