//! The actor of one tube.
//!
//! ```text
//!   offered:  Offering ──► Open   ──► Closing ──► Closed
//!   joined:   Invited  ──► Joined ──► Closing ──► Closed
//! ```
//!
//! What the peer's stanzas mean for the tube is decided by its side's machine
//! (`tubes_protocol::tube`); this actor owns the endpoint and the connections.

mod closing;
mod end;
mod herald;
mod invitees;
mod joined;
mod offered;
mod streams;
mod venue;

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, SpawnHandle};
use tubes_protocol::transcript::Transcript;
use tubes_protocol::tube::{Ended, Parameters, TubeNumber, TubeOffer, Whose};
use tubes_transport::{Patience, Request, StreamId};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

pub(crate) use self::closing::Close;
pub use self::joined::AcceptError;
pub(crate) use self::joined::{
    Accept, AcceptAt, Attach, Left, OfferedAgain, OffererRenamed, Presence,
};
pub(crate) use self::offered::{Propose, decline};
pub(crate) use self::streams::{UserLeft, UserRenamed};
pub(crate) use self::venue::Venue;

use self::closing::Closing;
use self::end::End;
use self::herald::Herald;
use self::joined::Joined;
use self::offered::Offered;
use self::streams::Streams;
use crate::endpoint;
use crate::env::Env;
use crate::event::TubeId;
use crate::failure;
use crate::obituary::Obituary;

/// One tube, of either side.
#[derive(Debug)]
pub(crate) struct TubeActor {
    env: Env,
    about: About,
    side: Side,
    streams: Streams,
    herald: Herald,
    closing: Option<Closing>,
    timer: Option<SpawnHandle>,
    end: Arc<End>,
}

impl TubeActor {
    fn new(env: Env, about: About, side: Side, obituary: Obituary) -> Self {
        let announcer = env.announcer.clone();
        let end = End::of(about.tube, about.number, announcer, obituary);
        let end = Arc::new(end);
        let streams = Streams::new(&about, Arc::clone(&end), env.seats.of_tube());
        let herald = Herald::new(&env);
        Self {
            env,
            about,
            side,
            streams,
            herald,
            closing: None,
            timer: None,
            end,
        }
    }

    /// What a negotiation with `peer` is about.
    fn request(&self, stream: StreamId, peer: FullJid, purpose: Element) -> Request {
        Request {
            stream,
            local: self.about.venue.local(&self.env),
            peer,
            account: self.env.local.borrow().clone(),
            purpose,
            extensions: Vec::new(),
            // A person took the tube before.
            patience: Patience::NEGOTIATION,
            stanzas: self.env.stanzas.clone(),
        }
    }

    /// Looks again when the machine wants to be asked.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let due = match &self.side {
            Side::Joined(joined) => joined.machine.poll_timeout(),
            Side::Offered(offered) => offered.invitees.poll_timeout(),
        };
        self.timer = due.map(|due| {
            ctx.run_later(
                due.saturating_duration_since(Instant::now()),
                Self::timed_out,
            )
        });
    }

    fn timed_out(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let ended = match &mut self.side {
            Side::Joined(joined) => joined.machine.handle_timeout(now),
            Side::Offered(offered) => offered.invitees.handle_timeout(now),
        };
        match ended {
            Some(ended) => self.ended(ended, ctx),
            None => self.rearm(ctx),
        }
    }

    /// The other side ended the tube, or left it.
    fn ended(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        let peer = match (&self.side, &self.about.venue) {
            (Side::Joined(joined), Venue::Room(..)) => joined.offerer.as_str(),
            (_, venue) => venue.jid().as_str(),
        };
        let error = failure::ended(ended, peer);
        self.close(Some(error), Vec::new(), ctx);
    }
}

impl Actor for TubeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.rearm(ctx);
    }

    /// Also after a panic: what the tube has left does not outlive it.
    fn stopped(&mut self, _: &mut Self::Context) {
        self.streams.abort();
        if let Side::Joined(joined) = &mut self.side
            && let Some(listener) = joined.listener.take()
        {
            // One to each listener that is left.
            listener.do_send(endpoint::Close);
        }
    }
}

/// What a tube is.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) tube: TubeId,
    pub(crate) number: TubeNumber,
    pub(crate) venue: Venue,
    pub(crate) service: String,
    pub(crate) parameters: Parameters,
}

impl About {
    /// What was offered, in a form that is the same at both sides.
    fn transcript(&self) -> Transcript {
        let offer = TubeOffer::new(self.number, self.service.clone(), self.parameters.clone());
        // Nothing else becomes a tube.
        offer.map_or_else(
            |_| Transcript::default(),
            |offer| Transcript::of(&offer.into()),
        )
    }
}

#[derive(Debug)]
enum Side {
    Joined(Joined),
    Offered(Offered),
}

/// A resource of the peer is online and does tubes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PeerOnline {
    pub(crate) resource: FullJid,
    pub(crate) ours: bool,
}

impl Handler<PeerOnline> for TubeActor {
    type Result = ();

    fn handle(&mut self, PeerOnline { resource, ours }: PeerOnline, ctx: &mut Self::Context) {
        match &mut self.side {
            Side::Joined(joined) => joined.online(&resource, ours),
            Side::Offered(_) => self.offer_to(resource, ours),
        }
        self.rearm(ctx);
    }
}

/// A resource of the peer went offline.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PeerOffline {
    pub(crate) resource: FullJid,
    pub(crate) whose: Whose,
}

impl Handler<PeerOffline> for TubeActor {
    type Result = ();

    fn handle(&mut self, peer: PeerOffline, ctx: &mut Self::Context) {
        let PeerOffline { resource, whose } = peer;
        let now = Instant::now();
        match &mut self.side {
            Side::Joined(joined) => joined.offline(&resource, now),
            Side::Offered(offered) => offered.invitees.handle_offline(&resource, whose, now),
        }
        self.rearm(ctx);
    }
}

/// A resource of the peer closed or declined the tube.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PeerClosed(pub(crate) FullJid);

impl Handler<PeerClosed> for TubeActor {
    type Result = ();

    fn handle(&mut self, PeerClosed(from): PeerClosed, ctx: &mut Self::Context) {
        let ended = match &mut self.side {
            Side::Joined(joined) if joined.offerer == from => joined.machine.handle_closed(),
            Side::Joined(_) => None,
            Side::Offered(offered) => offered.invitees.handle_declined(&from, Instant::now()),
        };
        match ended {
            Some(ended) => self.ended(ended, ctx),
            None => self.rearm(ctx),
        }
    }
}

fn stop(actor: &mut TubeActor, ctx: &mut Context<TubeActor>) {
    let error = actor.closing.take().and_then(|closing| closing.error);
    actor.end.because(error);
    ctx.stop();
}
