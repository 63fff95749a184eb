//! What is offered in a room, and the places that the account has for it.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tubes_protocol::room::{Change, Listing};
use tubes_protocol::tube::Ended;

use super::{News, RoomActor};
use crate::disregarded::Disregarded;
use crate::limits::Limit;
use crate::seats::Place;
use crate::session::RoomNews;

impl RoomActor {
    /// An occupant says what it offers, if anything.
    pub(super) fn listed(&mut self, nick: &str, listing: Option<Listing>) -> Vec<News> {
        let Some((left_out, senseless)) = listing
            .as_ref()
            .map(|listing| (listing.left_out(), listing.senseless()))
        else {
            return Vec::new();
        };
        let changes = self.board.handle_presence(nick, listing);
        let news = self.news(changes, Ended::ByPeer);
        let who = || self.occupant(nick).map(Into::into);
        if left_out > 0 {
            let limit = Limit::InvitationsPerOccupant;
            self.env.notices.reached(limit, who());
        }
        if let (1.., Some(who)) = (senseless, who()) {
            self.env.notices.disregarded(Disregarded::Offer, who);
        }
        if self.board.keeps_waiting(nick) {
            self.env.notices.reached(Limit::InvitationsInRooms, who());
        }
        news
    }

    /// What follows for tubes. What there is no place for goes back to the board, and waits there.
    pub(super) fn news(&mut self, changes: Vec<Change>, why: Ended) -> Vec<News> {
        let news = changes.into_iter().filter_map(|change| match change {
            Change::Offered { occupant, offer } => match self.env.seats.place() {
                Some(place) => Some(News::Offered {
                    by: self.occupant(&occupant)?,
                    offer,
                    place,
                }),
                None => {
                    self.board.handle_refused(&occupant, offer.number());
                    None
                }
            },
            Change::Renamed { from, to } => Some(News::Renamed {
                from: self.occupant(&from)?,
                to: self.occupant(&to)?,
            }),
            Change::Withdrawn { occupant, number } => Some(News::Withdrawn {
                by: self.occupant(&occupant)?,
                number,
                why,
            }),
        });
        news.collect()
    }

    /// Waits for a place, as long as something here waits for one.
    pub(super) fn seek_place(&mut self, ctx: &mut Context<Self>) {
        if !self.board.wants_place() {
            if let Some(seeking) = self.seeking.take() {
                ctx.cancel_future(seeking);
            }
            return;
        }
        if self.seeking.is_none() {
            let next = self.env.seats.next_place().into_actor(self);
            let seeking = ctx.spawn(next.map(|place, actor, ctx| {
                actor.seeking = None;
                if let Some(place) = place {
                    actor.has_place(place, ctx);
                    actor.seek_place(ctx);
                }
            }));
            self.seeking = Some(seeking);
        }
    }

    fn has_place(&mut self, place: Place, ctx: &mut Context<Self>) {
        let Some(Change::Offered { occupant, offer }) = self.board.handle_vacancy() else {
            return;
        };
        let by = self.occupant(&occupant);
        let news = by.map(|by| News::Offered { by, offer, place });
        let told = self.owner.send(RoomNews {
            room: self.room.clone(),
            from: ctx.address(),
            news: news.into_iter().collect(),
        });
        // Before anything else is heard here, such as that it is withdrawn.
        ctx.wait(told.into_actor(self).map(|_, _, _| ()));
    }
}
