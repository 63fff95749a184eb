//! Tubes in chat rooms: everybody there offers, and uses what others offer.

mod doors;
mod ending;
mod meeting;
mod names;
mod outage;
mod places;
mod rules;
mod seats;
mod trust;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Access, Address, BareJid, FullJid, Offer, TubeId};
use tubes_server::Server;
use tubes_transport::{Patience, Question};
use xmpp_parsers::minidom::Element;

use crate::stage::{
    Family, Person, Service, Serving, Stream, connect, echo, enter, exchange, fresh_room, patiently,
};

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
        let offer = Offer::in_room(room.clone(), nick, service.address.clone());
        let offered = person.offers(offer).await;
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

impl Person {
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
