//! What the application orders.

use actix::{
    ActorContext, ActorFutureExt, Addr, Context, Handler, Message, MessageResult,
    ResponseActFuture, ResponseFuture, WrapFuture,
};
use tubes_local::Address;
use tubes_protocol::tube::{Parameters, TubeNumber};
use tubes_session::Subscribe;
use xmpp_parsers::jid::BareJid;

use super::{Party, SessionActor, Tube};
use crate::event::TubeId;
use crate::limits;
use crate::tube::{About, Close, PeerOnline, TubeActor};

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
    type Result = ();

    fn handle(&mut self, Welcome(services): Welcome, ctx: &mut Self::Context) {
        self.welcome = services;
        self.advertise(ctx);
    }
}

/// Offer a service to a contact.
#[derive(Message)]
#[rtype(result = "Option<TubeId>")]
pub(crate) struct Offer {
    pub(crate) peer: BareJid,
    pub(crate) service: String,
    pub(crate) address: Address,
    pub(crate) parameters: Parameters,
}

impl Handler<Offer> for SessionActor {
    type Result = ResponseActFuture<Self, Option<TubeId>>;

    fn handle(&mut self, offer: Offer, ctx: &mut Self::Context) -> Self::Result {
        if self.tubes.len() >= limits::TUBES {
            return Box::pin(std::future::ready(None).into_actor(self));
        }
        let (tube, addr) = self.offer(offer, ctx);
        self.advertise(ctx);
        let online = self.online_of(tube);
        let telling = async move {
            for online in online {
                // A tube that is gone already needs no news.
                let _ = addr.send(online).await;
            }
        };
        Box::pin(telling.into_actor(self).map(move |(), _, _| Some(tube)))
    }
}

impl SessionActor {
    fn offer(&mut self, offer: Offer, ctx: &Context<Self>) -> (TubeId, Addr<TubeActor>) {
        let Offer {
            peer,
            service,
            address,
            parameters,
        } = offer;
        let (tube, obituary) = self.new_tube(ctx);
        let number = self.new_number();
        let about = About {
            tube,
            number,
            peer: peer.clone(),
            service: service.clone(),
            parameters,
        };
        let addr = TubeActor::offer(self.env.clone(), about, address, obituary);
        let party = Party::Offered(service);
        self.add(
            tube,
            Tube {
                addr: addr.clone(),
                number,
                peer,
                party,
            },
        );
        (tube, addr)
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

    fn online_of(&self, tube: TubeId) -> Vec<PeerOnline> {
        let Some(peer) = self.tubes.get(&tube).map(|tube| &tube.peer) else {
            return Vec::new();
        };
        let of_peer = self
            .online
            .iter()
            .filter(|(resource, _)| resource.to_bare() == *peer);
        of_peer
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
        let tubes: Vec<_> = self.tubes.values().map(|tube| tube.addr.clone()).collect();
        let session = self.session.clone();
        let leaving = async move {
            // All at once: each takes up to a few seconds.
            let mut closing = Vec::new();
            for tube in tubes {
                closing.extend(tube.send(Close(None)).await);
            }
            for closed in closing {
                // The end of a tube is the end of its sender.
                let _ = closed.await;
            }
            session.close().await;
        };
        Box::pin(leaving.into_actor(self).map(|(), actor, ctx| {
            actor.has_left = true;
            ctx.stop();
        }))
    }
}
