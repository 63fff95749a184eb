//! What becomes of the tubes in a room by what happens there.

use actix::{Addr, Context, Handler, Message, ResponseFuture};
use tubes_protocol::tube::{Ended, Setting, TubeNumber, TubeOffer};
use xmpp_parsers::jid::{BareJid, FullJid};

use super::{Party, SessionActor, Tube};
use crate::room::{News, RoomActor};
use crate::seats::Place;
use crate::tube::{About, Left, OffererRenamed, Presence, TubeActor, UserLeft, UserRenamed, Venue};

impl SessionActor {
    pub(super) fn take_in(
        &mut self,
        room: &BareJid,
        from: &Addr<RoomActor>,
        news: Vec<News>,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        if self.stays.get(room).is_none_or(|stay| stay.addr != *from) {
            // Of a former stay: its tubes are closed.
            return Box::pin(async {});
        }
        let mut telling: Vec<ResponseFuture<()>> = Vec::new();
        for news in news {
            match news {
                News::Left(who) => telling.extend(self.peer_left(room, &who)),
                News::Offered { by, offer, place } => {
                    self.offered_in_room(&by, &offer, place, ctx);
                }
                News::Out(failure) => self.out(room, failure, ctx),
                News::Renamed { from, to } => {
                    telling.extend(self.offerer_renamed(&from, &to));
                    telling.extend(self.user_renamed(room, &from, &to));
                }
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
        by: &FullJid,
        offer: &TubeOffer,
        place: Place,
        ctx: &Context<Self>,
    ) {
        let room = by.to_bare();
        let Some(stay) = self.stays.get(&room).cloned() else {
            return;
        };
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
        let (peer, party) = (room, Party::Joined(by.clone()));
        self.add(
            tube,
            Tube {
                addr,
                number,
                peer,
                setting: Setting::Room,
                party,
                _place: Some(place),
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

    /// Nobody who is not there has connections there; also not those that need no room to go on.
    fn peer_left(&self, room: &BareJid, who: &FullJid) -> Vec<ResponseFuture<()>> {
        let tubes = self.tubes_with(room).into_iter();
        let telling = tubes.map(|tube| {
            let who = who.clone();
            let told: ResponseFuture<()> = Box::pin(async move {
                // A tube that is gone needs no news.
                let _ = tube.send(UserLeft(who)).await;
            });
            told
        });
        telling.collect()
    }

    fn user_renamed(
        &self,
        room: &BareJid,
        from: &FullJid,
        to: &FullJid,
    ) -> Vec<ResponseFuture<()>> {
        let tubes = self.tubes_with(room).into_iter();
        let telling = tubes.map(|tube| {
            let (from, to) = (from.clone(), to.clone());
            let told: ResponseFuture<()> = Box::pin(async move {
                let _ = tube.send(UserRenamed { from, to }).await;
            });
            told
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
}

/// What did not come of something that the room said: of time that passed, or of a login.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RoomNews {
    pub(crate) room: BareJid,
    pub(crate) from: Addr<RoomActor>,
    pub(crate) news: Vec<News>,
}

impl Handler<RoomNews> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        RoomNews { room, from, news }: RoomNews,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        self.take_in(&room, &from, news, ctx)
    }
}
