//! A tube and its connections, as events tell of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tubes_local::Address;
use tubes_protocol::tube::Parameters;
use tubes_secure::Protection;
use xmpp_parsers::jid::{FullJid, Jid};

use crate::event::{Audience, Direction, Event};
use crate::traffic::Traffic;

/// A tube.
///
/// ```
/// use tubes_actors::state::Tube;
/// use tubes_actors::Direction;
///
/// fn sentence(tube: &Tube) -> String {
///     match tube.direction {
///         Direction::In => format!("{} offers {}", tube.peer, tube.service),
///         Direction::Out => format!("{} is offered {}", tube.peer, tube.service),
///     }
/// }
/// # let _ = sentence;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tube {
    /// Its number on the wire, unique only together with the peer.
    pub number: u32,
    /// Whom it is for: a contact, or all who are in a room.
    pub audience: Audience,
    /// The other side: the contact or the room to whom it is offered, or who offers it.
    pub peer: Jid,
    /// The service's name.
    pub service: String,
    /// Which way the offer went.
    pub direction: Direction,
    /// What the service's clients have to know.
    pub parameters: Parameters,
    /// How far it has come.
    pub phase: Phase,
    /// Where the exported service is, if it is no command, or where programs connect once the tube is accepted.
    pub address: Option<Address>,
    /// The resources to whom it was offered by this account, and who are online since.
    pub offered_to: BTreeSet<FullJid>,
    /// The connections there are, by their number, counted from 1.
    pub connections: BTreeMap<u64, Connection>,
}

/// How far a tube has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Nobody has accepted it yet.
    Offered,
    /// It was accepted, or connected to.
    Open,
}

/// A program's connection through a tube.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// Who is at the other end.
    pub peer: FullJid,
    /// How much it has carried, also after this state was taken.
    pub traffic: Traffic,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Bytes flow.
    Flowing {
        /// What carries it: `ibb`, …
        transport: &'static str,
        /// What was tried before, and why it failed.
        fell_back_from: Vec<(String, String)>,
        /// How long it took, from the program's connect on.
        setup: Duration,
        /// The address of our connection to the service, by which the service knows it.
        source: Option<String>,
        /// Whether somebody on the way can read or change it.
        protection: Protection,
    },
    /// Both sides are agreeing on a transport.
    Negotiating,
}

impl Tube {
    /// The tube that begins with this event, if one does.
    pub(super) fn begun_by(event: &Event) -> Option<Self> {
        let (number, audience, peer, service, direction, parameters, address) = match event.clone()
        {
            Event::TubeExported {
                number,
                audience,
                service,
                parameters,
                address,
                ..
            } => {
                let direction = Direction::Out;
                let peer = audience.jid().clone().into();
                (
                    number, audience, peer, service, direction, parameters, address,
                )
            }
            Event::TubeOffered {
                number,
                peer,
                audience,
                service,
                direction,
                parameters,
                ..
            } => {
                let peer = peer.into();
                (number, audience, peer, service, direction, parameters, None)
            }
            _ => return None,
        };
        Some(Self {
            number,
            audience,
            peer,
            service,
            direction,
            parameters,
            phase: Phase::Offered,
            address,
            offered_to: BTreeSet::new(),
            connections: BTreeMap::new(),
        })
    }

    pub(super) fn handle(&mut self, event: &Event) {
        match event {
            Event::ConnectionClosed { connection, .. } => {
                self.connections.remove(connection);
            }
            Event::ConnectionOpened { connection, .. } => {
                if let Some(connection) = self.connections.get_mut(connection) {
                    connection.handle(event);
                }
            }
            Event::ConnectionOpening {
                connection,
                peer,
                traffic,
                ..
            } => {
                let new = Connection {
                    peer: peer.clone(),
                    traffic: traffic.clone(),
                    stage: Stage::Negotiating,
                };
                self.connections.entry(*connection).or_insert(new);
            }
            Event::ConnectionRenamed {
                connection, peer, ..
            } => {
                if let Some(connection) = self.connections.get_mut(connection) {
                    connection.peer = peer.clone();
                }
            }
            Event::Listening { address, .. } if self.direction == Direction::In => {
                self.address = Some(address.clone());
            }
            Event::TubeOffered {
                peer, direction, ..
            } if *direction == self.direction => match direction {
                Direction::In => self.peer = peer.clone().into(),
                Direction::Out => drop(self.offered_to.insert(peer.clone())),
            },
            Event::TubeOpened { .. } => self.phase = Phase::Open,
            _ => {}
        }
    }
}

impl Connection {
    fn handle(&mut self, event: &Event) {
        if let Event::ConnectionOpened {
            transport,
            fell_back_from,
            setup,
            source,
            protection,
            ..
        } = event
        {
            self.stage = Stage::Flowing {
                transport,
                fell_back_from: fell_back_from.clone(),
                setup: *setup,
                source: source.clone(),
                protection: protection.clone(),
            };
        }
    }
}
