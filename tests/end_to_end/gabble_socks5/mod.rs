//! SOCKS5 bytestreams with a telepathy-gabble at the other end.
//!
//! - it joins our tube, asks for the bytestream, and waits to be dialled (`joining.rs`)
//! - it offers a tube, is asked for the bytestream, and dials (`offering.rs`)
//! - both meet at a proxy (`relaying.rs`)

mod joining;
mod offering;
mod relaying;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tubes::{Access, Address, Event, FullJid, Offer, Socks5};
use tubes_protocol::ns;
use tubes_server::Server;
use tubes_transport::AskError;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::stage::{
    Content, Family, Gabble, InBand, Negotiation, Person, Service, Serving, Stream, connect,
    digest, echo, patiently,
};

/// A Gabble that was offered Alice's echo.
struct Joining {
    alice: Person,
    at_alice: FullJid,
    gabble: Gabble,
    tube: u32,
    _service: Serving,
}

impl Joining {
    async fn on(server: &Server) -> Self {
        Self::with(server, Socks5::new()).await
    }

    async fn with(server: &Server, socks5: Socks5) -> Self {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        Self::of(server, service, socks5).await
    }

    /// To whom Alice offers this service.
    async fn of(server: &Server, service: Serving, socks5: Socks5) -> Self {
        let mut alice = Person::with_all(server, "alice", socks5).await;
        let at_alice = alice.online().await;
        let mut gabble = Gabble::on(server, "fernand").await;
        alice.tubes.befriend(&gabble.jid).await;
        gabble.befriend(&alice.jid).await;
        let offer = Offer::new(gabble.jid.clone(), "x-echo", service.address.clone());
        alice.tubes.offer(offer).await.unwrap();
        let tube = gabble.told("tube").await.attr("id").unwrap().parse();
        Self {
            alice,
            at_alice,
            gabble,
            tube: tube.unwrap(),
            _service: service,
        }
    }

    /// Falls back as a Gabble does: the same stream, in-band. Hears its echo, and closes.
    async fn falls_back(&mut self, negotiation: &Negotiation) {
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
struct Offering {
    alice: Person,
    at_alice: FullJid,
    gabble: Gabble,
    address: Address,
}

impl Offering {
    async fn on(server: &Server) -> Self {
        Self::with(server, Socks5::new()).await
    }

    async fn with(server: &Server, socks5: Socks5) -> Self {
        let mut alice = Person::with_all(server, "alice", socks5).await;
        let mut gabble = Gabble::on(server, "fernand").await;
        alice.tubes.befriend(&gabble.jid).await;
        gabble.befriend(&alice.jid).await;
        let at_alice = gabble.sees().await;
        let offer = format!(
            "<tube xmlns='{}' type='stream' service='x-echo' id='{TUBE}'><parameters/></tube>",
            ns::TUBES
        );
        gabble.tell(at_alice.clone(), &offer).await;
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
    async fn program(&self) -> Stream {
        connect(&self.address).await.unwrap()
    }

    /// Is fallen back to: the same stream, in-band. Echoes, until the program has enough.
    async fn is_fallen_back_to(&mut self, negotiation: &Negotiation, mut program: Stream) {
        let mut stream = self.gabble.is_opened_in_band(negotiation).await;
        self.echoes_in_band(&mut stream, &mut program).await;
        program.shutdown().await.unwrap();
        self.gabble.is_closed_in_band(stream).await;
        assert_eq!(at_end(&mut program).await, 0);
        assert_eq!(self.alice.connection_closed().await, (BURST, BURST, None));
    }

    async fn echoes_in_band(&mut self, stream: &mut InBand, program: &mut Stream) {
        let said = Content::of(5, LENGTH);
        program.write_all(&said).await.unwrap();
        let hearing = self.gabble.converses_in_band(stream, &[], LENGTH).await;
        assert_eq!(digest(&hearing), digest(&said));
        self.gabble.converses_in_band(stream, &hearing, 0).await;
        let mut heard = vec![0; LENGTH];
        let reading = program.read_exact(&mut heard);
        patiently("the echo arrives", reading).await.unwrap();
        assert_eq!(digest(&heard), digest(&said));
    }
}

/// Alice's echo says back what the Gabble says.
async fn hears_its_echo(stream: &mut TcpStream) {
    let said = Content::of(4, LENGTH);
    stream.write_all(&said).await.unwrap();
    let mut heard = vec![0; LENGTH];
    let reading = stream.read_exact(&mut heard);
    patiently("the echo arrives", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

/// The Gabble's service says back what Alice's program says.
async fn echoes(stream: &mut TcpStream, program: &mut Stream) {
    let said = Content::of(6, LENGTH);
    program.write_all(&said).await.unwrap();
    let mut heard = vec![0; LENGTH];
    let reading = stream.read_exact(&mut heard);
    patiently("all arrives at the Gabble", reading)
        .await
        .unwrap();
    stream.write_all(&heard).await.unwrap();
    let mut back = vec![0; LENGTH];
    let reading = program.read_exact(&mut back);
    patiently("the echo arrives", reading).await.unwrap();
    assert_eq!(digest(&back), digest(&said));
}

/// How much more there is before the end.
async fn at_end(stream: &mut (impl AsyncReadExt + Unpin)) -> usize {
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    patiently("the end is heard", reading).await.unwrap()
}

/// By what the next connection was opened, and how many ways failed before.
async fn opened(alice: &mut Person) -> (&'static str, usize) {
    let opened = alice.event(|event| match event {
        Event::ConnectionOpened {
            transport,
            fell_back_from,
            ..
        } => Some((*transport, fell_back_from.len())),
        _ => None,
    });
    opened.await
}

/// It was not found, and a Gabble would go on.
fn assert_not_found<T: std::fmt::Debug>(answer: Result<T, AskError>) {
    let Err(AskError::Refused(why)) = answer else {
        panic!("not refused, but {answer:?}");
    };
    assert_eq!(why.defined_condition, DefinedCondition::ItemNotFound);
}

/// In a Gabble's order.
const BOTH: [&str; 2] = [ns::BYTESTREAMS, ns::IBB];

/// Prosody's proxy withholds the end of such a burst.
const LENGTH: usize = 5000;
const BURST: u64 = 5000;

/// As a Gabble proposes it.
const BLOCK_SIZE: u16 = 4096;

/// The number of the Gabble's tube.
const TUBE: u32 = 2_077_776_406;
