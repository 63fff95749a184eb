//! Chat rooms, and what happens to people there.

use std::sync::atomic::{AtomicU32, Ordering};

use tubes::{Audience, BareJid, Direction, Event, Failure, FullJid, Offer, TubeId};
use tubes_server::Server;

use super::{Person, patiently};

/// A room that nobody has been in yet.
pub(crate) fn fresh_room(server: &Server) -> BareJid {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let name = format!("room-{process}-{count}@{}", server.rooms());
    name.parse().unwrap()
}

/// Comes into a room.
pub(crate) async fn enter(person: &Person, room: &BareJid, nick: &str) -> FullJid {
    let wanted = room.with_resource_str(nick).unwrap();
    let entering = person.tubes.enter(wanted);
    patiently("the room is entered", entering).await.unwrap()
}

impl Person {
    /// Offers a service in a room, and waits until it stands there.
    pub(crate) async fn offers(&mut self, offer: Offer) -> TubeId {
        let offered = self.tubes.offer(offer).await.unwrap();
        self.event(|event| match event {
            Event::TubeOffered {
                tube,
                direction: Direction::Out,
                ..
            } if *tube == offered => Some(()),
            _ => None,
        })
        .await;
        offered
    }

    /// Somebody in a room offers a tube.
    pub(crate) async fn offered_by(&mut self, occupant: &FullJid) -> TubeId {
        self.event(|event| match event {
            Event::TubeOffered {
                tube,
                peer,
                audience: Audience::Room(room),
                direction: Direction::In,
                ..
            } if peer == occupant && *room == occupant.to_bare() => Some(*tube),
            _ => None,
        })
        .await
    }

    /// The account goes by this name in a room.
    pub(crate) async fn is_called(&mut self, name: &FullJid) {
        self.event(|event| match event {
            Event::RoomEntered { own } if own == name => Some(()),
            _ => None,
        })
        .await;
    }

    /// This tube was closed, and why.
    pub(crate) async fn closed(&mut self, wanted: TubeId) -> Option<Failure> {
        self.event(|event| match event {
            Event::TubeClosed { tube, error, .. } if *tube == wanted => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// The account is out of a room, and why.
    pub(crate) async fn out_of(&mut self, wanted: &BareJid) -> Option<Failure> {
        self.event(|event| match event {
            Event::RoomLeft { room, error } if room == wanted => Some(error.clone()),
            _ => None,
        })
        .await
    }
}
