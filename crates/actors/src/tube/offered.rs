//! The side that exports a service.

use actix::{Actor, Addr, Handler, Message};
use tubes_local::Export;
use tubes_protocol::tube::{Announce, Offerer, Refusal, StreamFor, TubeClose, TubeOffer};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::invitees::{Invitees, Phase};
use super::{About, PeerOnline, Side, TubeActor, Venue};
use crate::bytestream::Job;
use crate::complaints::Complaint;
use crate::disregarded::Disregarded;
use crate::endpoint::ExportedEndpoint;
use crate::env::Env;
use crate::event::{Direction, Event};
use crate::negotiator::Proposed;
use crate::obituary::Obituary;
use crate::room::Publish;

/// What only the offering side has.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) invitees: Invitees,
    service: Addr<ExportedEndpoint>,
}

impl TubeActor {
    /// Starts a tube that leads to what is exported and is offered to those who are online now.
    pub(crate) fn offer(
        env: Env,
        about: About,
        export: Export,
        online: Vec<PeerOnline>,
        obituary: Obituary,
    ) -> Addr<Self> {
        env.announcer.announce(Event::TubeExported {
            tube: about.tube,
            number: about.number.value(),
            audience: about.venue.audience(),
            service: about.service.clone(),
            parameters: about.parameters.clone(),
            address: export.address().cloned(),
        });
        let service =
            ExportedEndpoint::new(env.runtime.clone(), export, about.service.clone()).start();
        let side = Side::Offered(Offered {
            invitees: match &about.venue {
                Venue::Contact(_) => Invitees::Contact(Offerer::new()),
                Venue::Room(..) => Invitees::Room(Phase::Open),
            },
            service,
        });
        let mut tube = Self::new(env, about, side, obituary);
        tube.publish();
        for PeerOnline { resource, ours } in online {
            tube.offer_to(resource, ours);
        }
        tube.start()
    }

    /// A resource is online: offers the tube to it, if it does not know of it.
    pub(super) fn offer_to(&mut self, resource: FullJid, ours: bool) {
        let Side::Offered(offered) = &mut self.side else {
            return;
        };
        if let Some(announce) = offered.invitees.handle_online(resource.clone(), ours) {
            self.announce(resource, announce);
        }
    }

    /// In a room everybody is told at once, and whoever comes later.
    fn publish(&self) {
        let about = &self.about;
        let offer = TubeOffer::new(
            about.number,
            about.service.clone(),
            about.parameters.clone(),
        );
        if let (Some(room), Ok(offer)) = (about.venue.room(), offer) {
            let tube = about.tube;
            // One for each tube there is.
            room.do_send(Publish { tube, offer });
        }
    }

    fn announce(&self, resource: FullJid, announce: Announce) {
        let About {
            tube,
            number,
            service,
            parameters,
            ..
        } = self.about.clone();
        let Ok(offer) = TubeOffer::new(number, service.clone(), parameters.clone()) else {
            return;
        };
        if announce == Announce::Renew {
            let close = TubeClose { number }.payloads();
            self.herald.tell(resource.clone(), close);
        }
        self.herald.tell(resource.clone(), offer.payloads());
        self.env.announcer.announce(Event::TubeOffered {
            tube,
            number: number.value(),
            peer: resource,
            audience: self.about.venue.audience(),
            service,
            direction: Direction::Out,
            parameters,
        });
    }
}

/// A resource of the peer asks for a connection to the service.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Propose(pub(crate) Box<Proposed>);

impl Handler<Propose> for TubeActor {
    type Result = ();

    fn handle(&mut self, Propose(proposed): Propose, ctx: &mut Self::Context) {
        let Side::Offered(offered) = &mut self.side else {
            return decline(*proposed, &DefinedCondition::Forbidden);
        };
        let peer = proposed.proposal.peer.clone();
        let first = match offered.invitees.handle_connect(&peer) {
            Ok(first) => first,
            Err(refusal) => {
                let of = Some(peer.to_bare());
                if self.env.complaints.is_news(Complaint::Refused, of) {
                    tracing::warn!(%peer, tube = %self.about.tube, %refusal, "connection refused");
                }
                // What was closed the peer may not know.
                if refusal == Refusal::NotOffered {
                    let asker = peer.to_bare().into();
                    self.env.notices.disregarded(Disregarded::Initiation, asker);
                }
                return decline(*proposed, &DefinedCondition::Forbidden);
            }
        };
        let service = offered.service.clone();
        let asker = proposed.asker.clone();
        let Some(seat) = self.streams.seats.for_peer(asker) else {
            return decline(*proposed, &DefinedCondition::ResourceConstraint);
        };
        if first {
            self.env.announcer.announce(Event::TubeOpened {
                tube: self.about.tube,
            });
        }
        let stream = proposed.proposal.stream.clone();
        let request = self.request(stream, peer.clone(), StreamFor::answer());
        let job = Job::Answer {
            proposed,
            request,
            service,
            seat,
        };
        self.streams.launch(&self.env, peer, job, ctx);
    }
}

/// Refuses a connection; `Forbidden` is how Gabble says no (XEP-0095 §3).
pub(crate) fn decline(proposed: Proposed, condition: &DefinedCondition) {
    proposed.decline(refusal(condition));
}

fn refusal(condition: &DefinedCondition) -> StanzaError {
    let (type_, text) = match condition {
        DefinedCondition::Forbidden => (ErrorType::Cancel, "Offer Declined"),
        DefinedCondition::ResourceConstraint => (ErrorType::Wait, "too many connections"),
        _ => (ErrorType::Cancel, ""),
    };
    StanzaError::new(type_, condition.clone(), "en", text)
}
