//! Rooms with a telepathy-gabble in them.
//!
//! - what it sees of our tubes (`showing.rs`)
//! - what it lists, and how that changes (`listing.rs`)
//! - it leaves, and somebody else comes by its name (`leaving.rs`)
//! - it asks for what it may not have (`refusing.rs`)
//! - how bytes get through, as far as that is otherwise than between contacts (`carrying.rs`); for
//!   the rest see `gabble_socks5`

mod carrying;
mod leaving;
mod listing;
mod refusing;
mod showing;

use tokio::io::AsyncReadExt;
use tubes::{Access, Address, BareJid, Direction, Event, FailureKind, FullJid, Socks5, TubeId};
use tubes_server::Server;

use crate::stage::{
    BOTH, Gabble, InBand, Multiple, Person, Stream, connect, echoes_in_band, enter, fresh_room,
    patiently,
};

/// Alice, who has made a room, and a Gabble in it.
struct Room {
    alice: Person,
    at_alice: FullJid,
    gabble: Gabble,
    jid: BareJid,
}

impl Room {
    async fn on(server: &Server) -> Self {
        let alice = Person::with_all(server, "alice", Socks5::new()).await;
        Self::of(server, alice).await
    }

    /// With Alice as she has logged in.
    async fn of(server: &Server, alice: Person) -> Self {
        let jid = fresh_room(server);
        let at_alice = enter(&alice, &jid, "alice").await;
        let gabble = another(server, &jid, "fernand").await;
        Self {
            alice,
            at_alice,
            gabble,
            jid,
        }
    }

    /// The Gabble lists this tube, and no other; Alice accepts it.
    async fn lists(&mut self, tube: String) -> (TubeId, Address) {
        self.gabble.lists([tube]).await;
        let occupant = self.gabble.full.clone();
        let tube = self.alice.offered_by(&occupant).await;
        (tube, self.alice.accepts(tube).await)
    }

    /// Goes through a tube of the Gabble's, and is served in-band.
    async fn is_served(&mut self, number: u32, address: &Address) -> (Stream, InBand) {
        is_served_by(&mut self.gabble, number, address).await
    }
}

impl Person {
    /// Accepts a tube; where programs connect.
    async fn accepts(&self, tube: TubeId) -> Address {
        let listen = "127.0.0.1:0".parse().unwrap();
        let accepting = self.tubes.accept(tube, listen, Access::Localhost);
        patiently("the tube is accepted", accepting).await.unwrap()
    }

    /// An occupant offers the service of this name; its number.
    async fn offered_service(&mut self, occupant: &FullJid, service: &str) -> (TubeId, u32) {
        self.event(|event| match event {
            Event::TubeOffered {
                tube,
                number,
                peer,
                service: offered,
                direction: Direction::In,
                ..
            } if peer == occupant && offered == service => Some((*tube, *number)),
            _ => None,
        })
        .await
    }
}

/// Another Gabble in the room.
async fn another(server: &Server, room: &BareJid, nick: &str) -> Gabble {
    let mut gabble = Gabble::on(server, "carol").await;
    gabble.enters(room, nick).await;
    gabble
}

async fn is_served_by(gabble: &mut Gabble, number: u32, address: &Address) -> (Stream, InBand) {
    let mut program = connect(address).await.unwrap();
    let negotiation = gabble.is_initiated(number, Multiple::Yes, &BOTH[1..]).await;
    let mut stream = gabble.is_opened_in_band(&negotiation).await;
    echoes_in_band(gabble, &mut stream, &mut program).await;
    (program, stream)
}

/// A program is not let through.
async fn is_refused(address: &Address) {
    // Nobody may listen there any more.
    if let Ok(mut program) = connect(address).await {
        breaks(&mut program).await;
    }
}

/// The connection ends otherwise than in good order.
async fn breaks(program: &mut Stream) {
    let reading = program.read_u8();
    let rest = patiently("the connection ends", reading).await;
    assert!(rest.is_err(), "{rest:?}");
}

/// Why a tube was closed, each time that it was; none: by Alice herself, who closes all when she
/// leaves.
fn closings(events: &[Event], closed: TubeId) -> Vec<Option<FailureKind>> {
    let why = |event: &Event| match event {
        Event::TubeClosed { tube, error, .. } if *tube == closed => {
            Some(error.as_ref().map(|error| error.kind))
        }
        _ => None,
    };
    events.iter().filter_map(why).collect()
}
