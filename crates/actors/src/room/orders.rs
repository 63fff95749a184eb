//! What the account and its tubes want of a room.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message, MessageResult};
use tokio::sync::oneshot;
use tubes_protocol::tube::{TubeNumber, TubeOffer};
use tubes_secure::{Occupant, Whom};
use xmpp_parsers::jid::FullJid;

use super::{Names, Offered, RoomActor, Stands};
use crate::event::TubeId;

/// Offer a tube to everybody here.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Publish {
    pub(crate) tube: TubeId,
    pub(crate) offer: TubeOffer,
}

impl Handler<Publish> for RoomActor {
    type Result = ();

    fn handle(&mut self, Publish { tube, offer }: Publish, ctx: &mut Self::Context) {
        let stands = Stands::Unmade;
        let offered = Offered {
            tube,
            offer,
            stands,
        };
        self.offers.insert(offered.offer.number(), offered);
        self.update(ctx);
    }
}

/// Offer a tube no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Withdraw(pub(crate) TubeNumber);

impl Handler<Withdraw> for RoomActor {
    type Result = ();

    fn handle(&mut self, Withdraw(number): Withdraw, ctx: &mut Self::Context) {
        if self.offers.remove(&number).is_some() {
            self.update(ctx);
        }
    }
}

impl RoomActor {
    /// Who is not inside tells the room when it is.
    fn update(&mut self, ctx: &mut Context<Self>) {
        if self.entry.is_inside() {
            let listing = self.present_listing();
            self.say([listing], ctx);
        }
    }
}

/// Go by another name, if nobody has it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rename(pub(crate) FullJid);

impl Handler<Rename> for RoomActor {
    type Result = ();

    fn handle(&mut self, Rename(to): Rename, ctx: &mut Self::Context) {
        if self.entry.is_inside() {
            let listing = self.listing_at(to);
            self.say([listing], ctx);
        }
    }
}

/// Find out who somebody is, as far as it can be known; nothing if it is not there.
#[derive(Message)]
#[rtype(result = "Option<Whom>")]
pub(crate) struct WhoIs(pub(crate) FullJid);

impl Handler<WhoIs> for RoomActor {
    type Result = MessageResult<WhoIs>;

    fn handle(&mut self, WhoIs(jid): WhoIs, _: &mut Self::Context) -> Self::Result {
        let known = self.entry.known(jid.resource().as_str()).cloned();
        let stay = self.stays.get(jid.resource().as_str()).copied();
        let names = self.names;
        MessageResult(known.zip(stay).map(|(known, stay)| {
            Whom::Occupant(Occupant {
                jid,
                stay,
                id: known.id.filter(|_| names == Names::OfService),
                real: known.real.map(|real| real.to_bare()),
            })
        }))
    }
}

/// The account has logged in to a new session, which is in no room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Reset;

impl Handler<Reset> for RoomActor {
    type Result = ();

    fn handle(&mut self, Reset: Reset, ctx: &mut Self::Context) {
        if !self.leaving.is_empty() {
            // The new session is not in the room.
            let news = self.gone(None);
            return self.report(news, ctx);
        }
        let steps = self.entry.handle_lost();
        let news = self.follow(steps, ctx);
        self.report(news, ctx);
    }
}

/// Leave the room. Whoever holds the answer learns from its end that it is done.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub(crate) struct Leave;

impl Handler<Leave> for RoomActor {
    type Result = MessageResult<Leave>;

    fn handle(&mut self, Leave: Leave, ctx: &mut Self::Context) -> Self::Result {
        let (left, answer) = oneshot::channel();
        self.leaving.push(left);
        // Nor does it come in any more.
        if let Some(due) = self.due.take() {
            ctx.cancel_future(due);
        }
        let farewell = self.farewell();
        self.say([farewell], ctx);
        // A room that does not take note is left all the same.
        ctx.run_later(PATIENCE, |actor, ctx| {
            let news = actor.gone(None);
            actor.report(news, ctx);
        });
        MessageResult(answer)
    }
}

/// How long a room may take to say goodbye.
const PATIENCE: Duration = Duration::from_secs(3);
