//! The rooms that the account is in, and what is offered there.

use std::collections::BTreeMap;

use actix::{
    ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use tokio::sync::{oneshot, watch};
use tubes_session::RoomSays;
use xmpp_parsers::jid::{BareJid, FullJid};

use super::{Phase, SessionActor};
use crate::event::{Audience, Event, Failure};
use crate::failure;
use crate::limits;
use crate::obituary::Obituary;
use crate::room::{self, Heard, RoomActor};
use crate::tube::{Close, Venue};

/// A room, as the account finds it.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) addr: Addr<RoomActor>,
    /// The room, and the name there.
    pub(crate) address: watch::Receiver<FullJid>,
}

pub(super) type Stays = BTreeMap<BareJid, Stay>;

/// Come into a room.
#[derive(Message)]
#[rtype(result = "Result<FullJid, EnterError>")]
pub(crate) struct Enter {
    pub(crate) wanted: FullJid,
    pub(crate) password: Option<String>,
}

/// Why this account is not in a room.
///
/// ```
/// use tubes_actors::{EnterError, FailureKind};
///
/// /// Whether to ask the user for a password, or for another room.
/// fn was_refused(why: &EnterError) -> bool {
///     matches!(why, EnterError::Refused(why) if why.kind == FailureKind::Declined)
/// }
///
/// assert!(!was_refused(&EnterError::Full));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// It is in it, or on its way.
    #[error("{0} was entered before")]
    Already(BareJid),
    /// The account is closed.
    #[error("the account is closed")]
    Closed,
    /// The account is in as many rooms as it may.
    #[error("the account is in as many rooms as it may")]
    Full,
    /// The room does not let it in.
    #[error("{0}")]
    Refused(Failure),
}

impl Handler<Enter> for SessionActor {
    type Result = ResponseActFuture<Self, Result<FullJid, EnterError>>;

    fn handle(&mut self, enter: Enter, ctx: &mut Self::Context) -> Self::Result {
        let entered = self.enter(enter, ctx);
        let entering = async move {
            match entered?.await {
                Ok(entered) => entered.map_err(EnterError::Refused),
                Err(_) => Err(EnterError::Closed),
            }
        };
        Box::pin(entering.into_actor(self))
    }
}

/// What becomes of the wish to come in.
type Entering = oneshot::Receiver<Result<FullJid, Failure>>;

impl SessionActor {
    fn enter(&mut self, enter: Enter, ctx: &mut Context<Self>) -> Result<Entering, EnterError> {
        let room = enter.wanted.to_bare();
        if self.phase != Phase::Live {
            return Err(EnterError::Closed);
        }
        if self.stays.contains_key(&room) {
            return Err(EnterError::Already(room));
        }
        if self.stays.len() >= self.env.seats.limits.rooms {
            return Err(EnterError::Full);
        }
        let (entered, entering) = oneshot::channel();
        let (address, own) = watch::channel(enter.wanted.clone());
        let (owner, gone) = (ctx.address(), room.clone());
        // One for each room there was.
        let obituary = Obituary::new(move || owner.do_send(RoomGone(gone)));
        let session = self.session.clone();
        let attended = room.clone();
        let attending = async move { session.attend(attended).await };
        let start = room::Start {
            env: self.env.clone(),
            session: self.session.clone(),
            owner: ctx.address(),
            nick: enter.wanted.resource().to_string(),
            room: room.clone(),
            password: enter.password,
            address,
            entered,
            obituary,
        };
        // Before anything is said to it, the room is listened to.
        ctx.wait(attending.into_actor(self).map(move |(), actor, _| {
            let addr = RoomActor::start(start);
            let address = own;
            actor.stays.insert(room, Stay { addr, address });
        }));
        Ok(entering)
    }

    /// A room that is attended says something.
    pub(super) fn room_says(
        &mut self,
        says: RoomSays,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let room = says.room();
        let Some(stay) = self.stays.get(&room) else {
            return Box::pin(async {});
        };
        let stay = stay.addr.clone();
        let heard = stay.send(Heard(says)).into_actor(self);
        let (done, finished) = oneshot::channel();
        ctx.spawn(heard.map(move |news, actor, ctx| {
            // A room that is gone has no news.
            let told = actor.take_in(&room, &stay, news.unwrap_or_default(), ctx);
            // The session waits for this before it reads on.
            let _ = done.send(told);
        }));
        Box::pin(async move {
            if let Ok(told) = finished.await {
                told.await;
            }
        })
    }

    /// This side is in the room no more, and so are its tubes.
    pub(super) fn out(
        &mut self,
        room: &BareJid,
        failure: Option<Failure>,
        ctx: &mut Context<Self>,
    ) {
        if let Some(stay) = self.stays.remove(room) {
            // Once, to each room there is.
            stay.addr.do_send(room::End);
        }
        for tube in self.tubes_with(room) {
            // Once, to each tube there is.
            tube.do_send(Close {
                error: failure.clone(),
                wind_down: limits::WIND_DOWN,
            });
        }
        let (session, room) = (self.session.clone(), room.clone());
        // Before it can be entered again.
        let forsaking = async move { session.forsake(room).await };
        ctx.wait(forsaking.into_actor(self));
    }

    /// The account has left, and no room hears it any more.
    pub(super) fn all_rooms_left(&mut self) {
        for room in std::mem::take(&mut self.stays).into_keys() {
            let error = None;
            let event = Event::RoomLeft { room, error };
            self.env.announcer.announce(event);
        }
    }

    /// Whom a tube is for, and where.
    pub(super) fn venue(&self, audience: Audience) -> Option<Venue> {
        match audience {
            Audience::Contact(contact) => Some(Venue::Contact(contact)),
            Audience::Room(room) => {
                let stay = self.stays.get(&room)?.clone();
                Some(Venue::Room(room, stay))
            }
        }
    }
}

/// A room's actor is no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RoomGone(BareJid);

impl Handler<RoomGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, RoomGone(room): RoomGone, ctx: &mut Self::Context) {
        // It has said so itself, unless it panicked.
        let is_gone = |stay: &Stay| !stay.addr.connected();
        if self.stays.get(&room).is_some_and(is_gone) {
            let error = Some(failure::internal());
            self.env.announcer.announce(Event::RoomLeft {
                room: room.clone(),
                error: error.clone(),
            });
            self.out(&room, error, ctx);
        }
    }
}

/// Go by another name in a room.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RenameInRoom(pub(crate) FullJid);

impl Handler<RenameInRoom> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, RenameInRoom(to): RenameInRoom, _: &mut Self::Context) -> Self::Result {
        let stay = self.stays.get(&to.to_bare()).cloned();
        Box::pin(async move {
            if let Some(stay) = stay {
                // A room that is gone knows no names.
                let _ = stay.addr.send(room::Rename(to)).await;
            }
        })
    }
}

/// Leave a room. Its tubes are closed first.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LeaveRoom(pub(crate) BareJid);

impl Handler<LeaveRoom> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, LeaveRoom(room): LeaveRoom, _: &mut Self::Context) -> Self::Result {
        let Some(stay) = self.stays.get(&room).cloned() else {
            return Box::pin(async {});
        };
        let tubes = self.tubes_with(&room);
        Box::pin(async move {
            super::orders::close_all(tubes, limits::WIND_DOWN).await;
            if let Ok(left) = stay.addr.send(room::Leave).await {
                // The end of the stay is the end of the sender.
                let _ = left.await;
            }
        })
    }
}
