//! Tubes in chat rooms: everybody there offers, and uses what others offer.

mod ending;
mod meeting;
mod names;
mod outage;
mod rules;
mod seats;
mod trust;

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{
    Access, Address, Audience, BareJid, Direction, Event, Failure, FullJid, Offer, TubeId,
};
use tubes_server::Server;
use tubes_transport::{Patience, Question};
use xmpp_parsers::minidom::Element;

use crate::stage::{Family, Person, Service, Serving, Stream, connect, echo, exchange, patiently};

/// A room that nobody has been in yet.
fn fresh_room(server: &Server) -> BareJid {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let name = format!("room-{process}-{count}@{}", server.rooms());
    name.parse().unwrap()
}

/// Somebody who is in a room, and offers an echo there.
struct Occupant {
    person: Person,
    own: FullJid,
    echo: Serving,
    offered: TubeId,
}

impl Occupant {
    /// Logs in, comes in under this name, and offers a service of the same name.
    async fn in_room(server: &Server, room: &BareJid, nick: &str) -> Self {
        let mut person = Person::on(server, nick).await;
        let own = enter(&person, room, nick).await;
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let offered = offer(&mut person, room, nick, service.address.clone()).await;
        Self {
            person,
            own,
            echo: service,
            offered,
        }
    }

    /// Accepts the tube of this occupant's; where programs connect.
    async fn accept_of(&mut self, other: &FullJid) -> (TubeId, Address) {
        let tube = self.person.offered_by(other).await;
        let listen = Family::Tcp.place().address;
        let accepting = self.person.tubes.accept(tube, listen, Access::Localhost);
        let address = patiently("the tube is accepted", accepting).await.unwrap();
        (tube, address)
    }
}

/// Comes into a room.
async fn enter(person: &Person, room: &BareJid, nick: &str) -> FullJid {
    let wanted = room.with_resource_str(nick).unwrap();
    let entering = person.tubes.enter(wanted);
    patiently("the room is entered", entering).await.unwrap()
}

/// Offers a service in a room, and waits until it stands there.
async fn offer(person: &mut Person, room: &BareJid, service: &str, at: Address) -> TubeId {
    let offer = Offer::in_room(room.clone(), service, at);
    let offered = person.tubes.offer(offer).await.unwrap();
    person
        .event(|event| match event {
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

impl Person {
    /// Somebody in a room offers a tube.
    async fn offered_by(&mut self, occupant: &FullJid) -> TubeId {
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
    async fn is_called(&mut self, name: &FullJid) {
        self.event(|event| match event {
            Event::RoomEntered { own } if own == name => Some(()),
            _ => None,
        })
        .await;
    }

    /// This tube was closed, and why.
    async fn closed(&mut self, wanted: TubeId) -> Option<Failure> {
        self.event(|event| match event {
            Event::TubeClosed { tube, error, .. } if *tube == wanted => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// The account is out of a room, and why.
    async fn out_of(&mut self, wanted: &BareJid) -> Option<Failure> {
        self.event(|event| match event {
            Event::RoomLeft { room, error } if room == wanted => Some(error.clone()),
            _ => None,
        })
        .await
    }

    /// Asks a room for something that only those may who have made it.
    async fn command(&self, room: &BareJid, what: &str) {
        let what: Element = what.parse().unwrap();
        let stanzas = self.tubes.stanzas();
        let room = Some(room.clone().into());
        let asked = stanzas.ask(room, Question::Set, what, Patience::default());
        let answer = patiently("the room answers", async { asked.await?.await });
        answer.await.unwrap();
    }
}

fn kick(nick: &str) -> String {
    format!(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>\
         <item nick='{nick}' role='none'><reason>enough</reason></item></query>"
    )
}

async fn is_served(address: &Address) {
    patiently("the service answers", exchange(address))
        .await
        .unwrap();
}

/// A program whose connection has said something and heard it.
async fn program_at(address: &Address) -> Stream {
    let mut program = patiently("a program is let in", connect(address))
        .await
        .unwrap();
    says_back(&mut program).await;
    program
}

/// The echo at the other end of it is there.
async fn says_back(program: &mut Stream) {
    program.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    patiently("the echo answers", program.read_exact(&mut heard))
        .await
        .unwrap();
    assert_eq!(&heard, b"hello");
}

/// Alice, who has made the room, and Fernand.
async fn both(server: &Server) -> (Occupant, Occupant) {
    let room = fresh_room(server);
    let alice = Occupant::in_room(server, &room, "alice").await;
    let fernand = Occupant::in_room(server, &room, "fernand").await;
    (alice, fernand)
}

async fn leave(alice: Occupant, fernand: Occupant) {
    fernand.person.leave().await;
    alice.person.leave().await;
    drop((alice.echo, fernand.echo));
}
