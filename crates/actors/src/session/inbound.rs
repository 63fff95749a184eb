//! What peers say that no wire claims: offers, closes, and questions.

use std::time::Duration;

use actix::{ActorFutureExt, Addr, AsyncContext, Context, ResponseFuture, WrapFuture};
use tokio::time::timeout;
use tubes_protocol::file::Withdrawal;
use tubes_protocol::ns;
use tubes_protocol::tube::{Setting, StreamFor, TubeClose, TubeOffer};
use tubes_secure::{Occupant, Whom};
use tubes_session::{Acquaintance, Ignored};
use tubes_transport::{Ask, Inbound, Tell};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use super::{Heard, Party, SessionActor, Tube};
use crate::complaints::Complaint;
use crate::disregarded::Disregarded;
use crate::limits::Limit;
use crate::negotiator::{Proposed, Read, ReadAsk};
use crate::room::{RoomActor, WhoIs};
use crate::tube::{About, OfferedAgain, PeerClosed, Presence, Propose, TubeActor, Venue, decline};

impl SessionActor {
    pub(super) fn unclaimed(
        &mut self,
        inbound: Inbound,
        sender: Acquaintance,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        match inbound {
            Inbound::Ask(ask) => self.asked(ask, sender, ctx),
            Inbound::Tell(Tell { from, payload }) => {
                let from = match from.try_into_full() {
                    Ok(full) => full,
                    Err(bare) => {
                        if sender == Acquaintance::Contact {
                            let account = self.local.borrow().to_bare();
                            self.devices.announced(bare, &account, &payload);
                        }
                        return Box::pin(async {});
                    }
                };
                if self.stays.contains_key(&from.to_bare()) {
                    // In a room it is presences that say what is offered.
                    return self.passed_over(&payload, from);
                }
                if payload.is("close", ns::TUBES) {
                    return self.told_close(TubeClose::try_from(&payload).ok(), from);
                }
                if Withdrawal::is(&payload) {
                    return self.told_withdrawal(&payload, &from);
                }
                if payload.is("tube", ns::TUBES) {
                    if sender == Acquaintance::Contact {
                        return self.told_offer(TubeOffer::try_from(&payload), from, ctx);
                    }
                    if self.env.complaints.is_news(Complaint::StrangersOffer, None) {
                        tracing::info!(%from, "a stranger's offer is ignored");
                    }
                }
                self.passed_over(&payload, from)
            }
            _ => Box::pin(async {}),
        }
    }

    /// A question goes to the negotiator; a proposal comes back and goes to its tube.
    fn asked(
        &mut self,
        ask: Ask,
        sender: Acquaintance,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let stay = self.stays.get(&ask.from().to_bare());
        let asker = counted(ask.from().clone(), stay.map(|stay| stay.addr.clone()));
        let negotiator = self.env.negotiator.clone();
        let reading = async move {
            let asker = asker.await;
            negotiator.send(ReadAsk { ask, asker }).await
        };
        let reading = reading.into_actor(self);
        let (done, finished) = tokio::sync::oneshot::channel();
        ctx.spawn(reading.map(move |read, actor, ctx| {
            let forward = match read {
                Ok(Read::Proposed(proposed))
                    if proposed.proposal.purpose.has_ns(ns::FILE_TRANSFER) =>
                {
                    actor.file_proposed(proposed, sender, ctx);
                    None
                }
                Ok(Read::Proposed(proposed)) => actor.proposed(proposed),
                Ok(Read::Foreign(ask)) => {
                    actor.foreign(ask);
                    None
                }
                Ok(Read::Answered) | Err(_) => None,
            };
            // The session waits for this before it reads on; if it is gone, so is the question.
            let _ = done.send(forward);
        }));
        Box::pin(async move {
            if let Ok(Some((tube, propose))) = finished.await {
                let _ = tube.send(propose).await;
            }
        })
    }

    fn proposed(&self, proposed: Box<Proposed>) -> Option<(Addr<TubeActor>, Propose)> {
        let from = proposed.proposal.peer.to_bare();
        let stream = match StreamFor::try_from(&proposed.proposal.purpose) {
            Ok(stream) => stream,
            Err(error) => {
                self.disregarded(Disregarded::Initiation, &proposed.proposal.peer);
                proposed.decline(error.to_stanza_error());
                return None;
            }
        };
        let setting = match self.stays.contains_key(&from) {
            true => Setting::Room,
            false => Setting::Private,
        };
        // The number alone opens nothing: it must be this contact's, or this room's, tube.
        let offered = self.tubes.values().find(|tube| {
            stream.setting == setting
                && matches!(tube.party, Party::Offered(_))
                && tube.number == stream.number
                && tube.peer == from
        });
        match offered {
            Some(tube) => Some((tube.addr.clone(), Propose(proposed))),
            None => {
                tracing::debug!(peer = %proposed.proposal.peer, tube = %stream.number, "no such tube for this contact");
                self.disregarded(Disregarded::Initiation, &proposed.proposal.peer);
                decline(*proposed, &DefinedCondition::BadRequest);
                None
            }
        }
    }

    fn told_close(&self, close: Option<TubeClose>, from: FullJid) -> ResponseFuture<()> {
        let bare = from.to_bare();
        let is_meant = |tube: &&Tube| {
            let number = close.map(|close| close.number);
            number == Some(tube.number) && tube.peer == bare && tube.may_close(&from)
        };
        // A former one of this number may be winding down.
        let meant = self.tubes.values().filter(is_meant);
        let meant: Vec<_> = meant.map(|tube| tube.addr.clone()).collect();
        Box::pin(async move {
            for addr in meant {
                let _ = addr.send(PeerClosed(from.clone())).await;
            }
        })
    }

    fn told_offer(
        &mut self,
        offer: Result<TubeOffer, tubes_protocol::tube::TubeError>,
        from: FullJid,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<()> {
        let offer = match offer {
            Ok(offer) => offer,
            Err(error) => return self.bad_offer(&error, from),
        };
        let same = |tube: &&Tube| {
            tube.number == offer.number()
                && matches!(&tube.party, Party::Joined(jid) if *jid == from)
        };
        let same: Vec<_> = self
            .tubes
            .values()
            .filter(same)
            .map(|tube| tube.addr.clone())
            .collect();
        if same.is_empty() {
            self.offered_anew(&offer, from, ctx);
            return Box::pin(async {});
        }
        let asking = async move {
            let mut alive = false;
            for tube in same {
                alive |= tube.send(OfferedAgain).await.unwrap_or(false);
            }
            alive
        };
        let (done, finished) = tokio::sync::oneshot::channel::<()>();
        ctx.spawn(asking.into_actor(self).map(move |alive, actor, ctx| {
            // What winds down does not come back: then it is another tube.
            if !alive {
                actor.offered_anew(&offer, from, ctx);
            }
            drop(done);
        }));
        Box::pin(async move {
            // The session waits for this before it reads on.
            let _ = finished.await;
        })
    }

    fn offered_anew(&mut self, offer: &TubeOffer, from: FullJid, ctx: &Context<Self>) {
        if let Some(limit) = self.limit_of_invitations(&from.to_bare()) {
            self.env.notices.reached(limit, Some(from.to_bare().into()));
            return;
        }
        self.invited(offer, from, ctx);
    }

    /// Of what there are too many for one tube more.
    fn limit_of_invitations(&self, contact: &BareJid) -> Option<Limit> {
        let limits = &self.env.seats.limits;
        let is_of_contact = |tube: &&Tube| {
            matches!(tube.party, Party::Joined(_)) && tube.setting == Setting::Private
        };
        let joined = || self.tubes.values().filter(is_of_contact);
        if joined().filter(|tube| tube.peer == *contact).count() >= limits.invitations_per_contact {
            Some(Limit::InvitationsPerContact)
        } else if joined().count() >= limits.invitations {
            Some(Limit::Invitations)
        } else {
            None
        }
    }

    fn invited(&mut self, offer: &TubeOffer, from: FullJid, ctx: &Context<Self>) {
        let (tube, obituary) = self.new_tube(ctx);
        let number = offer.number();
        let peer = from.to_bare();
        let about = About {
            tube,
            number,
            venue: Venue::Contact(peer.clone()),
            service: offer.service().to_owned(),
            parameters: offer.parameters().clone(),
        };
        let presence = match self.online.get(&from) {
            Some(abilities) if abilities.ours => Presence::Ours,
            Some(_) => Presence::Other,
            None => Presence::Unseen,
        };
        let addr = TubeActor::invite(self.env.clone(), about, from.clone(), presence, obituary);
        self.add(
            tube,
            Tube {
                addr,
                number,
                peer,
                setting: Setting::Private,
                party: Party::Joined(from),
                _place: None,
            },
        );
    }

    /// Gabble answers an offer that it cannot take with a close.
    fn bad_offer(
        &self,
        error: &tubes_protocol::tube::TubeError,
        from: FullJid,
    ) -> ResponseFuture<()> {
        // A tube of another type is a tube.
        if error.is_nonsense() {
            let of = Some(from.to_bare());
            if self.env.complaints.is_news(Complaint::Nonsense, of) {
                tracing::warn!(%from, %error, "an offer makes no sense");
            }
            self.disregarded(Disregarded::Offer, &from.clone().into());
        }
        let close = error.to_close();
        let stanzas = self.env.stanzas.clone();
        Box::pin(async move {
            if let Some(close) = close {
                // The session waits for this, and reads nothing meanwhile.
                let telling = stanzas.tell(from.into(), close.payloads());
                let _ = timeout(COURTESY, telling).await;
            }
        })
    }
}

impl Tube {
    fn may_close(&self, from: &FullJid) -> bool {
        match &self.party {
            Party::Joined(offerer) => offerer == from,
            Party::Offered(_) => true,
        }
    }
}

impl SessionActor {
    /// Nothing follows from what somebody said to the session.
    pub(super) fn ignored(&self, what: Ignored, who: &Jid) {
        if let Some(what) = Disregarded::of_session(what) {
            self.disregarded(what, who);
        }
    }

    /// Nothing follows from what somebody said.
    pub(super) fn disregarded(&self, what: Disregarded, who: &Jid) {
        let peer = match self.stays.contains_key(&who.to_bare()) {
            true => who.clone(),
            false => who.to_bare().into(),
        };
        self.env.notices.disregarded(what, peer);
    }

    /// Nothing follows from what a message says.
    fn passed_over(&self, payload: &Element, from: FullJid) -> ResponseFuture<()> {
        if payload.is("tube", ns::TUBES) {
            self.disregarded(Disregarded::Offer, &from.into());
        } else {
            self.about_no_stream(payload, &from.into());
        }
        Box::pin(async {})
    }

    /// What somebody says is about a bytestream that is not there. If it was just before, the peer may not know.
    fn about_no_stream(&self, payload: &Element, from: &Jid) {
        // Another protocol may have a `sid` of its own.
        if !payload.has_ns(ns::IBB) && !payload.has_ns(ns::BYTESTREAMS) {
            return;
        }
        let stream = payload.attr("sid").unwrap_or_default().into();
        if !self.env.stanzas.was_on_the_way(from, &stream) {
            self.disregarded(Disregarded::Stream, from);
        }
    }

    /// Nobody here knows what it means; the application may. With a `sid` it belongs to a bytestream
    /// that is not there (XEP-0047 §2.2, XEP-0065 §5.3).
    fn foreign(&mut self, ask: Ask) {
        if ask.payload().attr("sid").is_some() {
            self.about_no_stream(ask.payload(), ask.from());
            ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
        } else {
            // Without anybody to hear it, it is refused by that.
            self.hand_on(Heard::Ask(ask));
        }
    }
}

/// As whom somebody counts who asks: one contact, in a room, too, where it shows whose occupant that is;
/// else one occupant, who is not to use up what all others have.
async fn counted(asker: Jid, stay: Option<Addr<RoomActor>>) -> Jid {
    let Some(stay) = stay else {
        return asker.to_bare().into();
    };
    let Ok(occupant) = asker.try_as_full().cloned() else {
        return asker;
    };
    match stay.send(WhoIs(occupant)).await {
        Ok(Some(Whom::Occupant(Occupant {
            real: Some(real), ..
        }))) => real.into(),
        _ => asker,
    }
}

/// How long a peer that makes no sense is worth waiting for.
const COURTESY: Duration = Duration::from_secs(1);
