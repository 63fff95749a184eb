//! What must have happened between two states, for whoever missed it.

use std::collections::BTreeSet;

use xmpp_parsers::jid::FullJid;

use super::{Connection, Link, Stage, State, Tube, file};
use crate::event::{Direction, Event, TubeId};
use crate::failure;

impl State {
    /// Events that lead from an `earlier` state of the account to this one: in place of those
    /// that were missed.
    ///
    /// What came and went in between is not among them, and what ended for an unknown reason
    /// has a [`Failure`](crate::Failure) that says so.
    pub fn since(&self, earlier: &Self) -> Vec<Event> {
        let mut course = Course {
            at: earlier.clone(),
            events: Vec::new(),
        };
        course.end(self);
        course.link(self);
        course.peers(self);
        course.rooms(self);
        for event in file::since(&earlier.files, &self.files) {
            course.step(event);
        }
        for (tube, there) in &self.tubes {
            course.tube(*tube, there);
        }
        course.events
    }
}

/// A way from one state to another.
struct Course {
    at: State,
    events: Vec<Event>,
}

impl Course {
    fn step(&mut self, event: Event) {
        self.at.handle(&event);
        self.events.push(event);
    }

    /// What is there no more: connections before their tubes.
    fn end(&mut self, goal: &State) {
        for (tube, here) in self.at.tubes.clone() {
            let there = goal.tubes.get(&tube);
            for (number, connection) in here.connections {
                if !there.is_some_and(|tube| tube.connections.contains_key(&number)) {
                    self.step(connection_closed(tube, number, &connection));
                }
            }
            if there.is_none() {
                self.step(Event::TubeClosed {
                    tube,
                    number: here.number,
                    error: Some(failure::missed()),
                });
            }
        }
    }

    fn link(&mut self, goal: &State) {
        if self.at.link == goal.link {
            return;
        }
        match goal.link.clone() {
            Link::Offline { reason, retry_in } => self.step(Event::Offline { reason, retry_in }),
            Link::Online {
                jid,
                server,
                tls,
                resumed,
            } => self.step(Event::Online {
                jid,
                server,
                tls,
                resumed,
            }),
            // No event leads there; the end of the events tells of the one.
            Link::Closed | Link::Starting => {}
        }
    }

    fn peers(&mut self, goal: &State) {
        let gone = self.at.peers.difference(&goal.peers).cloned();
        // They have left in between, even if they are back: only so an offer is forgotten.
        let forgot = self.at.tubes.iter().flat_map(|(tube, here)| {
            let there = goal.tubes.get(tube);
            here.offered_to
                .iter()
                .filter(move |peer| !there.is_some_and(|there| there.offered_to.contains(*peer)))
                .cloned()
        });
        let left: BTreeSet<_> = gone.chain(forgot).collect();
        for peer in left {
            self.step(Event::PeerOffline { peer });
        }
        let came: Vec<_> = goal.peers.difference(&self.at.peers).cloned().collect();
        for peer in came {
            self.step(Event::PeerOnline { peer });
        }
    }

    fn rooms(&mut self, goal: &State) {
        for room in self.at.rooms.keys().cloned().collect::<Vec<_>>() {
            if !goal.rooms.contains_key(&room) {
                let error = Some(failure::missed());
                self.step(Event::RoomLeft { room, error });
            }
        }
        for (jid, room) in &goal.rooms {
            for event in room.since(jid, self.at.rooms.get(jid)) {
                self.step(event);
            }
        }
    }

    fn tube(&mut self, tube: TubeId, there: &Tube) {
        if !self.at.tubes.contains_key(&tube) {
            self.begin(tube, there);
        }
        let Some(here) = self.at.tubes.get(&tube).cloned() else {
            return;
        };
        if here.peer != there.peer
            && let Ok(peer) = there.peer.clone().try_into_full()
        {
            self.step(offered(tube, there, peer));
        }
        for peer in there.offered_to.difference(&here.offered_to) {
            self.step(offered(tube, there, peer.clone()));
        }
        if here.phase < there.phase {
            self.step(Event::TubeOpened { tube });
        }
        if here.address != there.address
            && let Some(address) = there.address.clone()
        {
            self.step(Event::Listening { tube, address });
        }
        for (number, connection) in &there.connections {
            let known = here.connections.get(number);
            if known.is_some_and(|known| known.peer != connection.peer) {
                self.step(Event::ConnectionRenamed {
                    tube,
                    connection: *number,
                    peer: connection.peer.clone(),
                });
            }
            let stage = known.map(|here| &here.stage);
            self.connection(tube, *number, connection, stage);
        }
    }

    fn begin(&mut self, tube: TubeId, there: &Tube) {
        match (there.direction, there.peer.clone().try_into_full()) {
            (Direction::In, Ok(peer)) => self.step(offered(tube, there, peer)),
            (Direction::Out, _) => self.step(exported(tube, there)),
            // Only a resource offers.
            (Direction::In, Err(_)) => {}
        }
    }

    fn connection(&mut self, tube: TubeId, number: u64, there: &Connection, here: Option<&Stage>) {
        if here.is_none() {
            self.step(Event::ConnectionOpening {
                tube,
                connection: number,
                peer: there.peer.clone(),
                traffic: there.traffic.clone(),
            });
        }
        let was_negotiating = here.is_none_or(|stage| *stage == Stage::Negotiating);
        if let Stage::Flowing {
            transport,
            fell_back_from,
            setup,
            source,
            protection,
        } = there.stage.clone()
            && was_negotiating
        {
            self.step(Event::ConnectionOpened {
                tube,
                connection: number,
                peer: there.peer.clone(),
                transport,
                fell_back_from,
                setup,
                source,
                protection,
            });
        }
    }
}

fn connection_closed(tube: TubeId, connection: u64, was: &Connection) -> Event {
    Event::ConnectionClosed {
        tube,
        connection,
        sent: was.traffic.sent(),
        received: was.traffic.received(),
        error: Some(failure::missed()),
    }
}

fn offered(tube: TubeId, there: &Tube, peer: FullJid) -> Event {
    Event::TubeOffered {
        tube,
        number: there.number,
        peer,
        service: there.service.clone(),
        audience: there.audience.clone(),
        direction: there.direction,
        parameters: there.parameters.clone(),
    }
}

fn exported(tube: TubeId, there: &Tube) -> Event {
    Event::TubeExported {
        tube,
        number: there.number,
        audience: there.audience.clone(),
        service: there.service.clone(),
        parameters: there.parameters.clone(),
        address: there.address.clone(),
    }
}
