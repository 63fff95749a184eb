//! The connections of one tube.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Addr, AsyncContext, Context, Handler, Message};
use tokio_util::sync::CancellationToken;
use xmpp_parsers::jid::FullJid;

use super::end::End;
use super::{About, Side, TubeActor, Venue};
use crate::bytestream::{Abort, BytestreamActor, Job, Name};
use crate::env::Env;
use crate::event::{Event, TubeId};
use crate::failure;
use crate::obituary::Obituary;
use crate::seats::TubeSeats;
use tubes_protocol::transcript::Transcript;

/// Those that are open or being opened, and the places for more.
#[derive(Debug)]
pub(super) struct Streams {
    tube: TubeId,
    end: Arc<End>,
    open: HashMap<u64, Stream>,
    count: u64,
    pub(super) seats: TubeSeats,
    wind_down: CancellationToken,
    /// What was offered, as both sides know it.
    offer: Arc<Transcript>,
    venue: Venue,
}

/// One of them, and who is at the other end.
#[derive(Debug)]
struct Stream {
    actor: Addr<BytestreamActor>,
    peer: FullJid,
}

impl Streams {
    pub(super) fn new(about: &About, end: Arc<End>, seats: TubeSeats) -> Self {
        Self {
            tube: about.tube,
            end,
            open: HashMap::new(),
            count: 0,
            seats,
            wind_down: CancellationToken::new(),
            offer: Arc::new(about.transcript()),
            venue: about.venue.clone(),
        }
    }

    pub(super) fn launch(&mut self, env: &Env, peer: FullJid, job: Job, ctx: &Context<TubeActor>) {
        self.count += 1;
        let connection = self.count;
        let tube = ctx.address();
        // One notice for each connection there was, so their number is bounded by the places.
        let end = Arc::clone(&self.end);
        let obituary = Obituary::new(move || {
            drop(end);
            tube.do_send(Gone(connection));
        });
        let name = Name {
            tube: self.tube,
            connection,
            peer: peer.clone(),
            offer: Arc::clone(&self.offer),
            venue: self.venue.clone(),
        };
        let wind_down = self.wind_down.clone();
        let actor = BytestreamActor::launch(env, name, job, wind_down, obituary);
        self.open.insert(connection, Stream { actor, peer });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Lets them finish what they were given, and take no more.
    pub(super) fn wind_down(&self) {
        self.wind_down.cancel();
    }

    pub(super) fn abort(&self) {
        for stream in self.open.values() {
            // One to each connection that is left.
            stream.actor.do_send(Abort(failure::abandoned()));
        }
    }

    /// Whoever is at the other end of these is no more who it was.
    fn abort_those_of(&self, peer: &FullJid) {
        for stream in self.open.values().filter(|stream| stream.peer == *peer) {
            // One to each connection that is left.
            stream.actor.do_send(Abort(failure::not_there(peer)));
        }
    }

    /// The connections whose other end goes by another name from now on.
    fn rename(&mut self, from: &FullJid, to: &FullJid) -> Vec<u64> {
        let mut renamed = Vec::new();
        for (connection, stream) in &mut self.open {
            if stream.peer == *from {
                stream.peer = to.clone();
                renamed.push(*connection);
            }
        }
        renamed
    }
}

/// Somebody has left the room that the tube is in.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserLeft(pub(crate) FullJid);

impl Handler<UserLeft> for TubeActor {
    type Result = ();

    fn handle(&mut self, UserLeft(who): UserLeft, _: &mut Self::Context) {
        // What it offers itself winds down with its tube.
        if let Side::Offered(_) = self.side {
            self.streams.abort_those_of(&who);
        }
    }
}

/// Somebody in the room that the tube is in goes by another name.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct UserRenamed {
    pub(crate) from: FullJid,
    pub(crate) to: FullJid,
}

impl Handler<UserRenamed> for TubeActor {
    type Result = ();

    fn handle(&mut self, UserRenamed { from, to }: UserRenamed, _: &mut Self::Context) {
        for connection in self.streams.rename(&from, &to) {
            self.env.announcer.announce(Event::ConnectionRenamed {
                tube: self.about.tube,
                connection,
                peer: to.clone(),
            });
        }
    }
}

/// A connection is no more.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Gone(u64);

impl Handler<Gone> for TubeActor {
    type Result = ();

    fn handle(&mut self, Gone(connection): Gone, ctx: &mut Self::Context) {
        self.streams.open.remove(&connection);
        self.finish_closing(ctx);
    }
}
