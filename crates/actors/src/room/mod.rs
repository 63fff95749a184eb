//! The actor of a stay in a chat room.
//!
//! ```text
//!   Entering ──► Inside ⇄ Returning ──► Outside
//! ```
//!
//! What presences mean is decided by [`Entry`] (who is there) and [`Board`] (what they offer). What that
//! means for tubes is [`News`] for the account, which has the tubes.
//!
//! - this file: what follows from what the room says
//! - `occupants.rs`: who comes, leaves, and changes its name
//! - `places.rs`: what is offered here, and the places for it
//! - `orders.rs`: what the account and its tubes want
//! - `talk.rs`: what is said to the room

mod occupants;
mod orders;
mod places;
mod talk;

use std::collections::{BTreeMap, HashMap};

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, MessageResult, SpawnHandle,
};
use tokio::sync::{oneshot, watch};
use tubes_protocol::room::{Board, Entry, Listing, Occupant, Step, Told};
use tubes_protocol::tube::{Ended, TubeNumber, TubeOffer};
use tubes_session::{RoomSays, Session};
use xmpp_parsers::jid::{BareJid, FullJid};

pub(crate) use self::orders::{Leave, Publish, Rename, Reset, WhoIs, Withdraw};
use self::talk::Saying;

use crate::env::Env;
use crate::event::{Event, Failure, TubeId};
use crate::failure;
use crate::limits::Limit;
use crate::obituary::Obituary;
use crate::seats::Place;
use crate::session::{RoomNews, SessionActor};

/// This account in one room.
#[derive(Debug)]
pub(crate) struct RoomActor {
    env: Env,
    session: Session,
    owner: Addr<SessionActor>,
    room: BareJid,
    password: Option<String>,
    entry: Entry,
    /// What its presences say, to know them by.
    stay: String,
    /// How often it asked to be let in.
    wishes: u64,
    board: Board,
    /// What waits for a place for something on it.
    seeking: Option<SpawnHandle>,
    /// What this account offers here.
    offers: BTreeMap<TubeNumber, Offered>,
    /// The name here, under which tubes speak.
    address: watch::Sender<FullJid>,
    names: Names,
    /// The stays of those who are there, by their names.
    stays: HashMap<Occupant, u64>,
    due: Option<SpawnHandle>,
    entered: Option<oneshot::Sender<Result<FullJid, Failure>>>,
    leaving: Vec<oneshot::Sender<()>>,
    _obituary: Obituary,
}

/// Whose word the names are that presences bear beside the nick (XEP-0421).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Anybody's, as far as it is known.
    Anybodys,
    /// The service's.
    OfService,
}

/// A tube that this account offers in the room.
#[derive(Debug)]
struct Offered {
    tube: TubeId,
    offer: TubeOffer,
    stands: Stands,
}

/// How far the application has heard of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stands {
    /// It is yet to be made.
    Unmade,
    /// It was made, in a stay that is over.
    Before,
    /// It stands in the room.
    Now,
}

/// What an account needs to come into a room.
pub(crate) struct Start {
    pub(crate) env: Env,
    pub(crate) session: Session,
    pub(crate) owner: Addr<SessionActor>,
    pub(crate) nick: String,
    pub(crate) room: BareJid,
    pub(crate) password: Option<String>,
    pub(crate) address: watch::Sender<FullJid>,
    /// Told once, when this side is in the room, or is not let in.
    pub(crate) entered: oneshot::Sender<Result<FullJid, Failure>>,
    pub(crate) obituary: Obituary,
}

/// What follows for the account's tubes.
#[derive(Debug)]
pub(crate) enum News {
    /// Somebody is there no more, and has no connections here any more.
    Left(FullJid),
    /// Somebody offers a tube, for which this is the place.
    Offered {
        by: FullJid,
        offer: TubeOffer,
        place: Place,
    },
    /// This side is in the room no more, for this reason, if it did not want to leave.
    Out(Option<Failure>),
    /// Somebody goes by another name.
    Renamed { from: FullJid, to: FullJid },
    /// A tube is offered no more.
    Withdrawn {
        by: FullJid,
        number: TubeNumber,
        why: Ended,
    },
}

impl RoomActor {
    pub(crate) fn start(start: Start) -> Addr<Self> {
        let (entry, _) = Entry::new(&start.nick);
        // Not the name by which contacts know the session: here they may be strangers.
        let stay = format!("{:016x}", rand::random::<u64>());
        let actor = Self {
            env: start.env,
            session: start.session,
            owner: start.owner,
            room: start.room,
            password: start.password,
            entry: entry.with_session(&stay),
            stay,
            wishes: 0,
            board: Board::new(),
            seeking: None,
            offers: BTreeMap::new(),
            address: start.address,
            names: Names::Anybodys,
            stays: HashMap::new(),
            due: None,
            entered: Some(start.entered),
            leaving: Vec::new(),
            _obituary: start.obituary,
        };
        Self::create(move |ctx| {
            let mut actor = actor;
            actor.look_before(ctx);
            actor
        })
    }

    /// Does what follows; what is said to the room goes out in one go, and in order.
    fn follow(
        &mut self,
        steps: impl IntoIterator<Item = Step>,
        ctx: &mut Context<Self>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let mut sayings = Vec::new();
        let steps: Vec<_> = steps.into_iter().collect();
        if steps
            .iter()
            .any(|step| matches!(step, Step::Enter { .. } | Step::EnterLater))
        {
            // What was under way in a former stay must not go on with whoever has the names now. It comes to
            // nothing before anything is said.
            sayings.push(Saying::Abandon);
        }
        if let [
            Step::Left { .. },
            ..,
            Step::Enter { .. } | Step::EnterLater | Step::Out { .. },
        ] = &steps[..]
        {
            self.board.handle_lost();
        }
        for step in steps {
            match step {
                Step::Came { occupant, real } => self.came(&occupant, real),
                Step::Enter { nick } => {
                    self.wishes += 1;
                    sayings.extend(self.entrance(&nick));
                    self.expect(talk::ENTRANCE, ctx);
                }
                Step::EnterLater => {
                    self.env.announcer.announce(Event::RoomLost {
                        room: self.room.clone(),
                    });
                    self.again_later(ctx);
                }
                Step::Entered { nick, is_new } => {
                    self.inside(&nick, is_new, ctx);
                    sayings.extend(self.listing());
                }
                Step::Left { occupant } => news.extend(self.left(&occupant)),
                Step::Named { nick } => self.named(&nick),
                Step::Out { why, reason } => {
                    let failure = why.map(|why| failure::room(&self.room, &why, reason.as_deref()));
                    news.extend(self.gone(failure));
                }
                Step::Rename { nick } => {
                    let other = self.entry.nick().to_owned();
                    let real = self
                        .entry
                        .known(&other)
                        .and_then(|known| known.real.clone());
                    self.came(&other, real);
                    let to = self.occupant(&nick);
                    sayings.extend(to.map(|to| self.listing_at(to)));
                }
                Step::Renamed { from, to } => news.extend(self.renamed(&from, &to)),
            }
        }
        self.say(sayings, ctx);
        self.seek_place(ctx);
        // Whoever is out sees all others go, who have not gone: its tubes end for its own reason.
        news.sort_by_key(|news| !matches!(news, News::Out(_)));
        news
    }

    fn inside(&mut self, nick: &str, is_new: bool, ctx: &mut Context<Self>) {
        if let Some(due) = self.due.take() {
            ctx.cancel_future(due);
        }
        self.named(nick);
        match is_new {
            true => self.unlock(ctx),
            false => self.settle(),
        }
        self.look_around(ctx);
        self.watch(ctx);
    }

    fn named(&mut self, nick: &str) {
        if let Some(own) = self.occupant(nick) {
            self.address.send_replace(own.clone());
            self.env.announcer.announce(Event::RoomEntered { own });
        }
    }

    /// Whoever waits for this hears that it is done.
    fn settle(&mut self) {
        if let Some(entered) = self.entered.take() {
            // It may have stopped waiting.
            let _ = entered.send(Ok(self.address.borrow().clone()));
        }
    }

    fn gone(&mut self, failure: Option<Failure>) -> Vec<News> {
        // Nobody withdrew them: all tubes of the room end with this side's stay, and for its reason.
        let _ = self.board.handle_gone();
        self.env.guard.visits().end(&self.room);
        for stay in std::mem::take(&mut self.stays).into_values() {
            self.env.guard.visits().ended(stay);
        }
        self.entry.handle_out();
        self.env.announcer.announce(Event::RoomLeft {
            room: self.room.clone(),
            error: failure.clone(),
        });
        if let Some(entered) = self.entered.take() {
            let why = failure.clone().unwrap_or_else(failure::abandoned);
            let _ = entered.send(Err(why));
        }
        vec![News::Out(failure)]
    }

    fn occupant(&self, nick: &str) -> Option<FullJid> {
        // A name that came as one.
        self.room.with_resource_str(nick).ok()
    }

    fn heard(&mut self, says: RoomSays, ctx: &mut Context<Self>) -> Vec<News> {
        match says {
            RoomSays::Available { occupant, payloads } => {
                let nick: Occupant = occupant.resource().to_string();
                let told = Told::among(&payloads);
                let is_own = self.entry.is_own(&nick, &told);
                let steps = self.entry.handle_available(&nick, &told);
                let mut news = self.follow(steps, ctx);
                let is_known = self.entry.known(&nick).is_some();
                // Who is beyond the bound, or outside, is nobody.
                if !is_own && is_known {
                    news.extend(self.listed(&nick, Listing::among(&payloads)));
                    self.seek_place(ctx);
                } else if !is_own && self.entry.is_full() {
                    let room = self.room.clone().into();
                    self.env.notices.reached(Limit::Occupants, Some(room));
                }
                news
            }
            RoomSays::Unavailable { occupant, payloads } => {
                let nick = occupant.resource().as_str();
                let told = Told::among(&payloads);
                let steps = self.entry.handle_unavailable(nick, &told);
                self.follow(steps, ctx)
            }
            RoomSays::Refused { id, why, .. } => {
                let Some(why) = why.filter(|_| self.is_of_wish(id.as_deref())) else {
                    return Vec::new();
                };
                let step = self.entry.handle_error(&why.defined_condition);
                self.follow(step, ctx)
            }
            _ => Vec::new(),
        }
    }

    /// Tells the account what did not come of something that the room said.
    fn report(&self, news: Vec<News>, ctx: &Context<Self>) {
        if !news.is_empty() {
            let room = self.room.clone();
            // A few for each time that a timer goes off, and for each login.
            let from = ctx.address();
            self.owner.do_send(RoomNews { room, from, news });
        }
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;
}

/// The account has taken note that this side is out: nothing follows.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End;

impl Handler<End> for RoomActor {
    type Result = ();

    fn handle(&mut self, End: End, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The room says something.
#[derive(Message)]
#[rtype(result = "Vec<News>")]
pub(crate) struct Heard(pub(crate) RoomSays);

impl Handler<Heard> for RoomActor {
    type Result = MessageResult<Heard>;

    fn handle(&mut self, Heard(says): Heard, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.heard(says, ctx))
    }
}
