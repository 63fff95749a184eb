//! Alice and a Gabble with a tube between them: as contacts or, where a test says so, in a room.

use tokio::io::AsyncWriteExt;
use tubes::{Access, Address, FullJid, Offer, Socks5};
use tubes_protocol::ns;
use tubes_protocol::tube::Setting;
use tubes_server::Server;

use super::occupant::stream_tube;
use super::{Gabble, InBand, Negotiation};
use crate::stage::{
    Content, Family, Person, Service, Serving, Stream, at_end, connect, digest, echo, enter,
    fresh_room, patiently, setting,
};

/// A Gabble that was offered Alice's echo.
pub(crate) struct Joining {
    pub(crate) alice: Person,
    /// Where she speaks to the Gabble.
    pub(crate) at_alice: FullJid,
    pub(crate) gabble: Gabble,
    pub(crate) tube: u32,
    _service: Serving,
}

impl Joining {
    pub(crate) async fn on(server: &Server) -> Self {
        Self::with(server, Socks5::new()).await
    }

    pub(crate) async fn with(server: &Server, socks5: Socks5) -> Self {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        Self::of(server, service, socks5).await
    }

    /// To whom Alice offers this service.
    pub(crate) async fn of(server: &Server, service: Serving, socks5: Socks5) -> Self {
        let (mut alice, at_alice, mut gabble) = meet(server, socks5).await;
        let (name, address) = ("x-echo", service.address.clone());
        let offer = match setting() {
            Setting::Private => Offer::new(gabble.jid.clone(), name, address),
            Setting::Room => Offer::in_room(at_alice.to_bare(), name, address),
        };
        alice.offers(offer).await;
        let offer = match setting() {
            Setting::Private => gabble.told("tube").await,
            Setting::Room => gabble.sees_tubes_of(&at_alice).await.remove(0),
        };
        Self {
            alice,
            at_alice,
            gabble,
            tube: offer.attr("id").unwrap().parse().unwrap(),
            _service: service,
        }
    }

    /// Falls back as a Gabble does: the same stream, in-band. Hears its echo, and closes.
    pub(crate) async fn falls_back(&mut self, negotiation: &Negotiation) {
        let mut stream = self.gabble.opens_in_band(negotiation, BLOCK_SIZE).await;
        self.hears_its_echo(&mut stream).await;
        self.gabble.closes_in_band(stream).await;
        assert_eq!(self.alice.connection_closed().await, (BURST, BURST, None));
    }

    async fn hears_its_echo(&mut self, stream: &mut InBand) {
        let said = Content::of(3, LENGTH);
        let conversing = self.gabble.converses_in_band(stream, &said, LENGTH);
        assert_eq!(digest(&conversing.await), digest(&said));
    }
}

/// A Gabble's tube, that Alice has joined.
pub(crate) struct Offering {
    pub(crate) alice: Person,
    /// Where she speaks to the Gabble.
    pub(crate) at_alice: FullJid,
    pub(crate) gabble: Gabble,
    address: Address,
}

impl Offering {
    pub(crate) async fn on(server: &Server) -> Self {
        Self::with(server, Socks5::new()).await
    }

    pub(crate) async fn with(server: &Server, socks5: Socks5) -> Self {
        let (mut alice, at_alice, gabble) = meet(server, socks5).await;
        let tube = stream_tube(TUBE, "x-echo");
        match setting() {
            Setting::Private => gabble.tell(at_alice.clone(), &tube).await,
            Setting::Room => gabble.lists([tube]).await,
        }
        let tube = alice.offered().await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let accepting = alice.tubes.accept(tube, listen, Access::Localhost);
        let address = accepting.await.unwrap();
        Self {
            alice,
            at_alice,
            gabble,
            address,
        }
    }

    /// Connects one of Alice's programs.
    pub(crate) async fn program(&self) -> Stream {
        connect(&self.address).await.unwrap()
    }

    /// Is fallen back to: the same stream, in-band. Echoes, until the program has enough.
    pub(crate) async fn is_fallen_back_to(
        &mut self,
        negotiation: &Negotiation,
        mut program: Stream,
    ) {
        let mut stream = self.gabble.is_opened_in_band(negotiation).await;
        echoes_in_band(&mut self.gabble, &mut stream, &mut program).await;
        program.shutdown().await.unwrap();
        self.gabble.is_closed_in_band(stream).await;
        assert_eq!(at_end(&mut program).await, 0);
        assert_eq!(self.alice.connection_closed().await, (BURST, BURST, None));
    }
}

/// The Gabble's service says back in-band what Alice's program says.
pub(crate) async fn echoes_in_band(gabble: &mut Gabble, stream: &mut InBand, program: &mut Stream) {
    let said = Content::of(5, LENGTH);
    program.write_all(&said).await.unwrap();
    let hearing = gabble.converses_in_band(stream, &[], LENGTH).await;
    assert_eq!(digest(&hearing), digest(&said));
    gabble.converses_in_band(stream, &hearing, 0).await;
    let mut heard = vec![0; LENGTH];
    let reading = tokio::io::AsyncReadExt::read_exact(program, &mut heard);
    patiently("the echo arrives", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

/// Alice, where she speaks to the Gabble, and the Gabble, which deal with each other. In a room, she was
/// there first.
async fn meet(server: &Server, socks5: Socks5) -> (Person, FullJid, Gabble) {
    let alice = Person::with_all(server, "alice", socks5).await;
    let mut gabble = Gabble::on(server, "fernand").await;
    let at_alice = match setting() {
        Setting::Private => {
            alice.tubes.befriend(&gabble.jid).await;
            gabble.befriend(&alice.jid).await;
            gabble.sees().await
        }
        Setting::Room => {
            let room = fresh_room(server);
            let at_alice = enter(&alice, &room, "alice").await;
            gabble.enters(&room, "fernand").await;
            at_alice
        }
    };
    (alice, at_alice, gabble)
}

/// In a Gabble's order.
pub(crate) const BOTH: [&str; 2] = [ns::BYTESTREAMS, ns::IBB];

/// Prosody's proxy withholds the end of such a burst.
pub(crate) const LENGTH: usize = 5000;
pub(crate) const BURST: u64 = 5000;

/// As a Gabble proposes it.
const BLOCK_SIZE: u16 = 4096;

/// The number of the Gabble's tube.
pub(crate) const TUBE: u32 = 2_077_776_406;
