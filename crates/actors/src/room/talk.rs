//! What is said to a room, and asked of it.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::timeout;
use tubes_protocol::ns;
use tubes_protocol::room::{Listing, Occupant};
use tubes_session::Showing;
use tubes_transport::{AskError, Patience, Question};
use xmpp_parsers::disco::{DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult};
use xmpp_parsers::jid::{BareJid, FullJid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::ping::Ping;

use super::{Names, RoomActor, Stands};
use crate::event::{Audience, Direction, Event};

/// What is done about the room, one after the other.
#[derive(Debug)]
pub(super) enum Saying {
    /// What is under way with whoever is, or was, there comes to nothing.
    Abandon,
    /// A presence for the room.
    Presence {
        to: FullJid,
        id: String,
        showing: Showing,
        payloads: Vec<Element>,
    },
}

impl RoomActor {
    /// Asks the room who is there, and then to be let in under a name that nobody has: another session of
    /// the account would have to share it (XEP-0045 §6.5, §7.2.9).
    ///
    /// A room need not tell. Who comes back does not ask: it may find itself there.
    pub(super) fn look_before(&mut self, ctx: &mut Context<Self>) {
        let query = DiscoItemsQuery {
            node: None,
            rsm: None,
        };
        let asking = ask(self, self.room.clone().into(), Question::Get, query.into());
        let asking = timeout(GLANCE, asking).into_actor(self);
        let looking = ctx.spawn(asking.map(|answer, actor, ctx| {
            actor.due = None;
            let there = occupants(&actor.room, answer.ok().and_then(Result::ok).flatten());
            let step = actor.entry.handle_occupants(&there);
            let news = actor.follow([step], ctx);
            actor.report(news, ctx);
        }));
        self.due = Some(looking);
    }

    /// The wish to come in, under this name. The listing is empty, as Gabble's is then: nothing can be
    /// offered by who is not there.
    pub(super) fn entrance(&self, nick: &str) -> Option<Saying> {
        let mut wish = Element::builder("x", ns::MUC)
            // What was talked about before is of no use here.
            .append(history_of_nothing());
        if let Some(password) = &self.password {
            wish = wish.append(Element::builder("password", ns::MUC).append(password.as_str()));
        }
        Some(Saying::Presence {
            to: self.occupant(nick)?,
            id: self.wish(),
            showing: Showing::Available,
            payloads: vec![
                wish.build(),
                Element::from(&Listing::default()),
                self.signature(),
            ],
        })
    }

    /// By what a refusal of the latest wish to come in is known.
    fn wish(&self) -> String {
        format!("{}-{}", self.stay, self.wishes)
    }

    /// Whether a refusal may be one of the latest wish to come in, and not of something that was said
    /// before: in a former stay, for example, whose end it crossed.
    pub(super) fn is_of_wish(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| id == self.wish())
    }

    /// What this account offers here, to be said by who has just come in.
    pub(super) fn listing(&mut self) -> Option<Saying> {
        for offered in self.offers.values_mut() {
            offered.stands = offered.stands.min(Stands::Before);
        }
        (!self.offers.is_empty()).then(|| self.present_listing())
    }

    pub(super) fn present_listing(&mut self) -> Saying {
        let own = self.address.borrow().clone();
        for offered in self.offers.values_mut() {
            let before = std::mem::replace(&mut offered.stands, Stands::Now);
            if before < Stands::Now {
                self.env.announcer.announce(Event::TubeOffered {
                    tube: offered.tube,
                    number: offered.offer.number().value(),
                    peer: own.clone(),
                    audience: Audience::Room(self.room.clone()),
                    service: offered.offer.service().to_owned(),
                    direction: Direction::Out,
                    parameters: offered.offer.parameters().clone(),
                });
            }
            if before == Stands::Unmade {
                // Nobody is asked in a room.
                let tube = offered.tube;
                self.env.announcer.announce(Event::TubeOpened { tube });
            }
        }
        self.listing_at(own)
    }

    /// What is offered, said under this name: another one than the own is the wish to have it.
    pub(super) fn listing_at(&self, to: FullJid) -> Saying {
        let offers = self.offers.values().map(|offered| offered.offer.clone());
        Saying::Presence {
            to,
            id: self.stay.clone(),
            showing: Showing::Available,
            payloads: vec![Element::from(&Listing::new(offers)), self.signature()],
        }
    }

    /// Tells this session's presences from those of others of the account.
    fn signature(&self) -> Element {
        Element::builder("session", ns::KIND)
            .attr(xml_ncname!("id").into(), &self.stay)
            .build()
    }

    pub(super) fn farewell(&self) -> Saying {
        Saying::Presence {
            to: self.address.borrow().clone(),
            id: self.stay.clone(),
            showing: Showing::Unavailable,
            payloads: vec![Element::from(&Listing::default())],
        }
    }

    /// Says these things one after the other, before anything else happens here.
    pub(super) fn say(&self, sayings: impl IntoIterator<Item = Saying>, ctx: &mut Context<Self>) {
        let sayings: Vec<_> = sayings.into_iter().collect();
        if sayings.is_empty() {
            return;
        }
        let (session, room) = (self.session.clone(), self.room.clone());
        // One future: of several that are waited for, actix runs the last one first.
        let saying = async move {
            for saying in sayings {
                match saying {
                    Saying::Abandon => session.abandon(room.clone()).await,
                    Saying::Presence {
                        to,
                        id,
                        showing,
                        payloads,
                    } => session.present(to, id, showing, payloads).await,
                }
            }
        };
        ctx.wait(saying.into_actor(self));
    }

    /// Looks whether anything has come of a wish when it should have.
    pub(super) fn expect(&mut self, within: Duration, ctx: &mut Context<Self>) {
        let silent = ctx.run_later(within, |actor, ctx| {
            let step = actor.entry.handle_silence();
            let news = actor.follow(step, ctx);
            actor.report(news, ctx);
        });
        if let Some(before) = self.due.replace(silent) {
            ctx.cancel_future(before);
        }
    }

    /// Tries to come in again after a while.
    pub(super) fn again_later(&mut self, ctx: &mut Context<Self>) {
        let again = ctx.run_later(RESPITE, |actor, ctx| {
            let step = actor.entry.handle_timeout();
            let news = actor.follow(step, ctx);
            actor.report(news, ctx);
        });
        if let Some(before) = self.due.replace(again) {
            ctx.cancel_future(before);
        }
    }

    /// Asks for a sign of life by the own name, again and again: only so a room that has forgotten this
    /// side is noticed (XEP-0410).
    pub(super) fn watch(&mut self, ctx: &mut Context<Self>) {
        let due = ctx.run_later(WATCH, |actor, ctx| {
            actor.due = None;
            let own = actor.address.borrow().clone();
            let asking = ask(actor, own.clone().into(), Question::Get, Ping.into());
            ctx.spawn(asking.into_actor(actor).map(move |answer, actor, ctx| {
                let is_named_so = *actor.address.borrow() == own;
                if let Err(AskError::Refused(error)) = answer
                    && is_named_so
                    && actor.leaving.is_empty()
                {
                    let steps = actor.entry.handle_ping_refused(&error.defined_condition);
                    let news = actor.follow(steps, ctx);
                    actor.report(news, ctx);
                }
                if actor.entry.is_inside() && actor.due.is_none() {
                    actor.watch(ctx);
                }
            }));
        });
        self.due = Some(due);
    }

    /// A new room is locked until its owner says how it is to be: as rooms are (XEP-0045 §10.1.2).
    pub(super) fn unlock(&self, ctx: &mut Context<Self>) {
        let form = Element::builder("x", ns::DATA_FORMS).attr(xml_ncname!("type").into(), "submit");
        let query = Element::builder("query", ns::MUC_OWNER).append(form);
        let room = self.room.clone().into();
        let asking = ask(self, room, Question::Set, query.build());
        ctx.spawn(asking.into_actor(self).map(|answer, actor, _| {
            if let Err(error) = answer {
                tracing::warn!(room = %actor.room, %error, "the new room stays locked");
            }
            actor.settle();
        }));
    }

    /// Asks the room whether the names of XEP-0421 are its own.
    pub(super) fn look_around(&self, ctx: &mut Context<Self>) {
        let query = DiscoInfoQuery { node: None };
        let room = self.room.clone().into();
        let asking = ask(self, room, Question::Get, query.into());
        ctx.spawn(asking.into_actor(self).map(|answer, actor, _| {
            let info = answer.ok().flatten();
            let info = info.and_then(|info| DiscoInfoResult::try_from(info).ok());
            let knows = info.is_some_and(|info| info.features.contains(ns::OCCUPANT_ID));
            actor.names = match knows {
                true => Names::OfService,
                false => Names::Anybodys,
            };
        }));
    }
}

/// Asks the room, or somebody in it.
fn ask(
    actor: &RoomActor,
    to: xmpp_parsers::jid::Jid,
    question: Question,
    payload: Element,
) -> impl Future<Output = Result<Option<Element>, AskError>> + 'static {
    let stanzas = actor.env.stanzas.clone();
    async move {
        let asked = stanzas.ask(Some(to), question, payload, Patience::default());
        asked.await.map_err(AskError::Gone)?.await
    }
}

/// Who is in the room, by its answer; nobody, if it does not tell.
fn occupants(room: &BareJid, answer: Option<Element>) -> BTreeSet<Occupant> {
    let items = answer.and_then(|answer| DiscoItemsResult::try_from(answer).ok());
    let items = items.into_iter().flat_map(|items| items.items);
    let here = items.filter(|item| item.jid.to_bare() == *room);
    here.filter_map(|item| Some(item.jid.resource()?.to_string()))
        .collect()
}

fn history_of_nothing() -> Element {
    Element::builder("history", ns::MUC)
        .attr(xml_ncname!("maxstanzas").into(), "0")
        .build()
}

/// How long a room may take to let somebody in.
pub(super) const ENTRANCE: Duration = Duration::from_secs(30);

/// How long a room may take to say who is there, before it is entered without knowing.
const GLANCE: Duration = Duration::from_millis(1500);

/// A pause before a room that is not there is tried again.
const RESPITE: Duration = Duration::from_secs(10);

/// How often this side asks whether it is still there.
const WATCH: Duration = Duration::from_secs(30);
