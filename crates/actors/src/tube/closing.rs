//! How a tube closes: connections first finish what they were given.

use std::time::Duration;

use actix::{
    ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture,
};
use tokio::sync::oneshot;
use tubes_protocol::tube::TubeClose;
use xmpp_parsers::jid::FullJid;

use super::{Side, TubeActor, Venue, stop};
use crate::endpoint::{self, ListeningEndpoint};
use crate::event::Failure;
use crate::limits;
use crate::room::Withdraw;

/// A tube on its way out.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) error: Option<Failure>,
    /// Who is told when the connections are done: Gabble cuts them when it hears of the close.
    tell_last: Vec<FullJid>,
}

/// Close, or decline, the tube. Whoever holds the answer learns from its end that it is done.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub(crate) struct Close {
    pub(crate) error: Option<Failure>,
    /// How long connections may take to finish what they were given. One that is closed already
    /// takes no longer than that from now on.
    pub(crate) wind_down: Duration,
}

impl Handler<Close> for TubeActor {
    type Result = MessageResult<Close>;

    fn handle(&mut self, message: Close, ctx: &mut Self::Context) -> Self::Result {
        let Close { error, wind_down } = message;
        let closed = self.end.awaited();
        let tell = match &mut self.side {
            Side::Joined(joined) => joined.close(),
            Side::Offered(offered) => offered.invitees.handle_close(),
        };
        self.close(error, tell, ctx);
        ctx.run_later(wind_down, |actor, _| actor.streams.abort());
        MessageResult(closed)
    }
}

impl TubeActor {
    /// Takes no more connections, lets those there are finish, and tells the peers.
    pub(super) fn close(
        &mut self,
        error: Option<Failure>,
        tell: Vec<FullJid>,
        ctx: &mut Context<Self>,
    ) {
        if self.closing.is_some() {
            return;
        }
        // Our own kind winds down likewise when it hears of it, so it hears of it first.
        let (now, tell_last) = tell.into_iter().partition(|jid| self.is_ours(jid));
        self.closing = Some(Closing { error, tell_last });
        self.tell_closed(now);
        self.withdraw();
        let told = self.herald.flushed();
        let listener = match &mut self.side {
            Side::Joined(joined) => joined.listener.take(),
            Side::Offered(_) => None,
        };
        // Nothing else happens to the tube meanwhile. (One future: actix takes the last first.)
        let closing = async move {
            if let Some(listener) = listener {
                listen_no_more(listener).await;
            }
            told.await;
        };
        ctx.wait(closing.into_actor(self).map(|(), actor, ctx| {
            actor.streams.wind_down();
            ctx.run_later(limits::WIND_DOWN, |actor, _| actor.streams.abort());
            actor.finish_closing(ctx);
        }));
    }

    /// Stops when the last connection is gone.
    pub(super) fn finish_closing(&mut self, ctx: &mut Context<Self>) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        if self.streams.is_empty() {
            let tell = std::mem::take(&mut closing.tell_last);
            self.tell_closed(tell);
            let told = self.herald.flushed().into_actor(self);
            ctx.wait(told.map(|(), actor, ctx| stop(actor, ctx)));
        }
    }

    fn withdraw(&self) {
        if let (Side::Offered(_), Some(room)) = (&self.side, self.about.venue.room()) {
            // One for each tube there was.
            room.do_send(Withdraw(self.about.number));
        }
    }

    fn tell_closed(&self, peers: Vec<FullJid>) {
        let number = self.about.number;
        if let Venue::Room(..) = self.about.venue {
            // What is offered there stands in a presence.
            return;
        }
        for peer in peers {
            self.herald.tell(peer, TubeClose { number }.payloads());
        }
    }

    fn is_ours(&self, peer: &FullJid) -> bool {
        match &self.side {
            Side::Joined(joined) => joined.ours,
            Side::Offered(offered) => offered.invitees.is_ours(peer),
        }
    }
}

/// When the tube is closed, its address is free for the next one.
async fn listen_no_more(listener: Addr<ListeningEndpoint>) {
    if let Ok(closed) = listener.send(endpoint::Close).await {
        // The end of the listener is the end of the sender.
        let _ = closed.await;
    }
}
