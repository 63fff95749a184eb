//! The rooms that the account is in, and what is offered there.

use std::collections::BTreeMap;

use actix::{
    ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use tokio::sync::{oneshot, watch};
use tubes_protocol::tube::{Ended, TubeNumber, TubeOffer};
use tubes_session::RoomSays;
use xmpp_parsers::jid::{BareJid, FullJid};

use super::{Party, Phase, SessionActor, Tube};
use crate::event::{Audience, Event, Failure};
use crate::failure;
use crate::limits::{self, Limit};
use crate::obituary::Obituary;
use crate::room::{self, Heard, News, RoomActor};
use crate::tube::{About, Close, Left, OffererRenamed, Presence, TubeActor, Venue};

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
        let heard = stay.addr.send(Heard(says)).into_actor(self);
        let (done, finished) = oneshot::channel();
        ctx.spawn(heard.map(move |news, actor, ctx| {
            // A room that is gone has no news.
            let told = actor.take_in(&room, news.unwrap_or_default(), ctx);
            // The session waits for this before it reads on.
            let _ = done.send(told);
        }));
        Box::pin(async move {
            if let Ok(told) = finished.await {
                told.await;
            }
        })
    }

    fn take_in(
        &mut self,
        room: &BareJid,
        news: Vec<News>,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let mut telling: Vec<ResponseFuture<()>> = Vec::new();
        for news in news {
            match news {
                News::Offered { by, offer } => self.offered_in_room(room, &by, &offer, ctx),
                News::Out(failure) => self.out(room, failure, ctx),
                News::Renamed { from, to } => telling.extend(self.offerer_renamed(&from, &to)),
                News::Withdrawn { by, number, why } => {
                    telling.extend(self.withdrawn_in_room(&by, number, why));
                }
            }
        }
        Box::pin(async move {
            for told in telling {
                told.await;
            }
        })
    }

    fn offered_in_room(
        &mut self,
        room: &BareJid,
        by: &FullJid,
        offer: &TubeOffer,
        ctx: &Context<Self>,
    ) {
        let Some(stay) = self.stays.get(room).cloned() else {
            return;
        };
        let in_rooms = |tube: &&Tube| {
            matches!(tube.party, Party::Joined(_)) && self.stays.contains_key(&tube.peer)
        };
        if self.tubes.values().filter(in_rooms).count() >= self.env.seats.limits.invitations {
            let by = Some(by.clone().into());
            self.env.seats.reached(Limit::InvitationsInRooms, by);
            return;
        }
        let (tube, obituary) = self.new_tube(ctx);
        let about = About {
            tube,
            number: offer.number(),
            venue: Venue::Room(room.clone(), stay),
            service: offer.service().to_owned(),
            parameters: offer.parameters().clone(),
        };
        let number = about.number;
        let presence = Presence::Other;
        let addr = TubeActor::invite(self.env.clone(), about, by.clone(), presence, obituary);
        let (peer, party) = (room.clone(), Party::Joined(by.clone()));
        self.add(
            tube,
            Tube {
                addr,
                number,
                peer,
                party,
            },
        );
    }

    fn withdrawn_in_room(
        &self,
        by: &FullJid,
        number: TubeNumber,
        why: Ended,
    ) -> Vec<ResponseFuture<()>> {
        // A former tube of this number may still wind down.
        let joined = self.joined_from(by).into_iter();
        let withdrawn = joined.filter(|tube| tube.number == number);
        let telling = withdrawn.map(|tube| -> ResponseFuture<()> {
            // Said now, so that the tube hears it before the application hears what follows.
            let left = tube.addr.send(Left(why));
            Box::pin(async move {
                // A tube that is gone needs no news.
                let _ = left.await;
            })
        });
        telling.collect()
    }

    fn joined_from(&self, offerer: &FullJid) -> Vec<&Tube> {
        let from = |tube: &&Tube| matches!(&tube.party, Party::Joined(by) if by == offerer);
        self.tubes.values().filter(from).collect()
    }

    fn offerer_renamed(&mut self, from: &FullJid, to: &FullJid) -> Vec<ResponseFuture<()>> {
        let mut telling: Vec<ResponseFuture<()>> = Vec::new();
        for tube in self.tubes.values_mut() {
            if matches!(&tube.party, Party::Joined(by) if by == from) {
                tube.party = Party::Joined(to.clone());
                let (addr, to) = (tube.addr.clone(), to.clone());
                telling.push(Box::pin(async move {
                    let _ = addr.send(OffererRenamed(to)).await;
                }));
            }
        }
        telling
    }

    /// This side is in the room no more, and so are its tubes.
    fn out(&mut self, room: &BareJid, failure: Option<Failure>, ctx: &mut Context<Self>) {
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

/// What did not come of something that the room said: of time that passed, or of a login.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RoomNews {
    pub(crate) room: BareJid,
    pub(crate) news: Vec<News>,
}

impl Handler<RoomNews> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        RoomNews { room, news }: RoomNews,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        self.take_in(&room, news, ctx)
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
