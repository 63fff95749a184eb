//! What the application orders.

use std::time::Duration;

use actix::{
    ActorContext, ActorFutureExt, Addr, Context, Handler, Message, MessageResult,
    ResponseActFuture, ResponseFuture, WrapFuture,
};
use tokio::time::timeout;
use tubes_local::Export;
use tubes_protocol::tube::{Parameters, TubeNumber};
use tubes_session::Subscribe;
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;

use super::files::give_up_all;
use super::{Party, Phase, SessionActor, Tube};
use crate::account::OfferError;
use crate::event::{Audience, TubeId};
use crate::limits;
use crate::tube::{About, Close, PeerOnline, TubeActor, Venue};

/// Deal with a contact.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Consent {
    pub(crate) contact: BareJid,
    pub(crate) subscribe: Subscribe,
}

impl Handler<Consent> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(
        &mut self,
        Consent { contact, subscribe }: Consent,
        _: &mut Self::Context,
    ) -> Self::Result {
        let session = self.session.clone();
        Box::pin(async move { session.consent(contact, subscribe).await })
    }
}

/// Say that offers of these services are welcome.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Welcome(pub(crate) Vec<String>);

impl Handler<Welcome> for SessionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Welcome(services): Welcome, ctx: &mut Self::Context) -> Self::Result {
        self.welcome = services;
        let said = self.advertise(ctx);
        Box::pin(async move {
            // Its end is the word.
            let _ = said.await;
        })
    }
}

/// Offer a service to a contact, or in a room.
#[derive(Message)]
#[rtype(result = "Result<TubeId, OfferError>")]
pub(crate) struct Offer {
    pub(crate) audience: Audience,
    pub(crate) service: String,
    pub(crate) export: Export,
    pub(crate) parameters: Parameters,
}

impl Handler<Offer> for SessionActor {
    type Result = Result<TubeId, OfferError>;

    fn handle(&mut self, offer: Offer, ctx: &mut Self::Context) -> Self::Result {
        if self.phase != Phase::Live {
            return Err(OfferError::Closed);
        }
        if self.tubes.len() - self.joined() >= self.env.seats.limits.offers {
            return Err(OfferError::Full);
        }
        self.check_room(&offer)?;
        let room = offer.audience.jid().clone();
        let Some(venue) = self.venue(offer.audience.clone()) else {
            return Err(OfferError::NotInRoom(room));
        };
        let tube = self.offer(offer, venue, ctx);
        self.advertise(ctx);
        Ok(tube)
    }
}

impl SessionActor {
    /// What is offered in a room stands in one presence, of which others look at so much.
    fn check_room(&self, offer: &Offer) -> Result<(), OfferError> {
        let Audience::Room(room) = &offer.audience else {
            return Ok(());
        };
        let offered = |tube: &&Tube| tube.peer == *room && matches!(tube.party, Party::Offered(_));
        if self.tubes.values().filter(offered).count() >= limits::OFFERS_PER_ROOM {
            return Err(OfferError::Full);
        }
        let said = String::from(&Element::from(&offer.parameters));
        match said.len() <= limits::PARAMETERS_IN_ROOM {
            true => Ok(()),
            false => Err(OfferError::TooLong(room.clone())),
        }
    }

    fn offer(&mut self, offer: Offer, venue: Venue, ctx: &Context<Self>) -> TubeId {
        let (peer, setting) = (venue.jid().clone(), venue.setting());
        let (tube, obituary) = self.new_tube(ctx);
        let number = self.new_number();
        let about = About {
            tube,
            number,
            venue,
            service: offer.service.clone(),
            parameters: offer.parameters,
        };
        let online = self.online_of(&peer);
        let addr = TubeActor::offer(self.env.clone(), about, offer.export, online, obituary);
        let entry = Tube {
            addr,
            number,
            peer,
            setting,
            party: Party::Offered(offer.service),
            _place: None,
        };
        self.add(tube, entry);
        tube
    }

    /// A number that no other tube has: Gabble keeps one table for all contacts.
    fn new_number(&self) -> TubeNumber {
        loop {
            let number = TubeNumber::from_random(rand::random());
            if !self.tubes.values().any(|tube| tube.number == number) {
                return number;
            }
        }
    }

    fn online_of(&self, contact: &BareJid) -> Vec<PeerOnline> {
        let of_contact = self
            .online
            .iter()
            .filter(|(resource, _)| resource.to_bare() == *contact);
        of_contact
            .map(|(resource, abilities)| PeerOnline {
                resource: resource.clone(),
                ours: abilities.ours,
            })
            .collect()
    }
}

/// Find a tube.
#[derive(Message)]
#[rtype(result = "Option<Addr<TubeActor>>")]
pub(crate) struct Find(pub(crate) TubeId);

impl Handler<Find> for SessionActor {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find(tube): Find, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.tubes.get(&tube).map(|tube| tube.addr.clone()))
    }
}

/// Close all tubes and log out.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Leave;

impl Handler<Leave> for SessionActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Leave: Leave, _: &mut Self::Context) -> Self::Result {
        // From here on an end is what was asked for.
        self.phase = Phase::Left;
        let tubes: Vec<_> = self.tubes.values().map(|tube| tube.addr.clone()).collect();
        let files = self.all_files();
        let session = self.session.clone();
        let leaving = async move {
            let leaving = async {
                tokio::join!(
                    close_all(tubes, limits::WIND_DOWN_LEAVING),
                    give_up_all(files)
                )
            };
            let _ = timeout(limits::LEAVE, leaving).await;
            session.close().await;
        };
        Box::pin(leaving.into_actor(self).map(|(), actor, ctx| {
            actor.all_rooms_left();
            ctx.stop();
        }))
    }
}

/// All at once: each takes up to a few seconds.
pub(super) async fn close_all(tubes: Vec<Addr<TubeActor>>, wind_down: Duration) {
    let mut closing = Vec::new();
    for tube in tubes {
        let close = Close {
            error: None,
            wind_down,
        };
        closing.extend(tube.send(close).await);
    }
    for closed in closing {
        // The end of a tube is the end of its sender.
        let _ = closed.await;
    }
}
