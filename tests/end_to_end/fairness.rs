//! One tube does not push another aside, nor what is said about tubes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::task::JoinSet;
use tubes::{Access, Address, Direction, Event, Offer, TransportName, TubeId};
use tubes_server::Server;

use crate::stage::{
    Content, Family, Person, Service, Stream, connect, echo, pair, patiently, transport,
};

/// Over each transport, but not through Prosody's proxy: it lives in the one thread that Prosody has,
/// and a flood through it can hold every stanza back for longer than a negotiation lasts.
macro_rules! beside_floods {
    ($($name:ident),+ $(,)?) => {
        crate::on_each_server!($($name),+);
        mod socks5_direct {
            crate::over_transport!(Socks5Direct: $($name),+);
            crate::on_each_server!($($name),+);
        }
        mod socks5_proxy {
            crate::over_transport!(Socks5Proxy: $($name),+);
            crate::on_server!(embedded, Embedded: $($name),+);
            crate::on_server!(ejabberd, Ejabberd: $($name),+);
        }
    };
}

beside_floods!(
    an_interactive_tube_is_usable_beside_a_saturated_one,
    tubes_come_and_go_while_twenty_connections_saturate_the_session,
);

async fn an_interactive_tube_is_usable_beside_a_saturated_one(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let quick = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let bulk = Service::listen(Family::Tcp).await.unwrap().serve(flood);
    let quick_tube = share(&alice, &mut fernand, "quick", &quick.address).await;
    let bulk_tube = share(&alice, &mut fernand, "bulk", &bulk.address).await;
    let mut program = connect(&quick_tube).await.unwrap();
    let alone = Echoes::of(&mut program).await;
    let flood = Floods::start(1, &bulk_tube).await;
    let beside_one = Echoes::of(&mut program).await;
    let floods = Floods::start(FLOODS, &bulk_tube).await;
    let beside_many = Echoes::of(&mut program).await;
    eprintln!(
        "{}, {}: an echo takes {alone:?} alone, {beside_one:?} beside one flood, {beside_many:?} \
         beside {FLOODS} more",
        server.kind(),
        transport()
    );
    assert!(beside_one.median < usable(), "{beside_one:?}");
    // Each flood has a block of its own in every queue, so that this is a share, not a delay.
    assert!(beside_many.median < prompt(), "{beside_many:?}");
    drop((flood, floods, program));
    fernand.leave().await;
    alice.leave().await;
}

async fn tubes_come_and_go_while_twenty_connections_saturate_the_session(server: &Server) {
    let (alice, mut fernand) = pair(server).await;
    let quick = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let bulk = Service::listen(Family::Tcp).await.unwrap().serve(flood);
    let bulk_tube = share(&alice, &mut fernand, "bulk", &bulk.address).await;
    let floods = Floods::start(FLOODS, &bulk_tube).await;

    let begun = Instant::now();
    let tube = offer(&alice, &fernand, "quick", &quick.address).await;
    let invitation = invitation(&mut fernand, "quick").await;
    let offered = begun.elapsed();

    let address = accept(&fernand, invitation).await;
    let begun = Instant::now();
    let mut program = connect(&address).await.unwrap();
    echo_once(&mut program).await;
    let connected = begun.elapsed();

    let begun = Instant::now();
    alice.tubes.close(tube).await;
    fernand
        .event(|event| {
            matches!(event, Event::TubeClosed { tube, .. } if *tube == invitation).then_some(())
        })
        .await;
    let closed = begun.elapsed();
    eprintln!(
        "{}, {}: beside {FLOODS} floods an offer takes {offered:?}, a connection {connected:?}, a \
         close {closed:?}",
        server.kind(),
        transport()
    );
    for time in [offered, connected] {
        assert!(time < prompt(), "{time:?}");
    }
    // A program that is still connected has two and a half seconds to finish.
    let winding_down = Duration::from_millis(2500);
    assert!(closed < prompt() + winding_down, "{closed:?}");
    drop(floods);
    fernand.leave().await;
    alice.leave().await;
}

/// Programs that write and read as much as they can, to a service that does likewise.
struct Floods(#[expect(dead_code, reason = "they stop when dropped")] JoinSet<std::io::Result<()>>);

impl Floods {
    /// Returns when each is well under way.
    async fn start(count: usize, tube: &Address) -> Self {
        let mut floods = JoinSet::new();
        let mut opened = Vec::new();
        for _ in 0..count {
            opened.push(connect(tube).await.unwrap());
        }
        for mut program in opened {
            // Both directions at once: otherwise neither would be read to here.
            let (said, mut heard) = (Content::of(1, BEGINNING), vec![0; BEGINNING]);
            let (mut reader, mut writer) = tokio::io::split(&mut program);
            let beginning =
                async { tokio::try_join!(writer.write_all(&said), reader.read_exact(&mut heard)) };
            patiently("a flood begins", beginning).await.unwrap();
            floods.spawn(flood(program));
        }
        Self(floods)
    }
}

/// Writes and reads without an end.
async fn flood(stream: Stream) -> std::io::Result<()> {
    let (mut reader, writer) = tokio::io::split(stream);
    let mut sink = tokio::io::sink();
    tokio::try_join!(pour(writer), tokio::io::copy(&mut reader, &mut sink)).map(|_| ())
}

async fn pour(mut writer: WriteHalf<Stream>) -> std::io::Result<()> {
    let said = Content::of(3, 64 * 1024);
    loop {
        writer.write_all(&said).await?;
    }
}

/// How long a byte takes to the service and back.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "is printed")]
struct Echoes {
    median: Duration,
    longest: Duration,
}

impl Echoes {
    async fn of(program: &mut Stream) -> Self {
        let mut times = Vec::new();
        for _ in 0..ECHOES {
            let begun = Instant::now();
            echo_once(program).await;
            times.push(begun.elapsed());
        }
        times.sort();
        Self {
            median: *times.get(ECHOES / 2).unwrap(),
            longest: *times.last().unwrap(),
        }
    }
}

async fn echo_once(program: &mut Stream) {
    let mut heard = [0];
    let echo = async {
        program.write_all(b"x").await?;
        program.read_exact(&mut heard).await
    };
    patiently("a byte is back", echo).await.unwrap();
    assert_eq!(heard, *b"x");
}

async fn share(alice: &Person, fernand: &mut Person, name: &str, service: &Address) -> Address {
    offer(alice, fernand, name, service).await;
    let tube = invitation(fernand, name).await;
    accept(fernand, tube).await
}

async fn offer(alice: &Person, fernand: &Person, name: &str, service: &Address) -> TubeId {
    let offer = Offer::new(fernand.jid.clone(), name, service.clone());
    alice.tubes.offer(offer).await.unwrap()
}

async fn invitation(fernand: &mut Person, name: &str) -> TubeId {
    fernand
        .event(|event| match event {
            Event::TubeOffered {
                tube,
                service,
                direction: Direction::In,
                ..
            } if service == name => Some(*tube),
            _ => None,
        })
        .await
}

async fn accept(fernand: &Person, tube: TubeId) -> Address {
    let listen = Family::Tcp.place().address;
    let accepting = fernand.tubes.accept(tube, listen, Access::Localhost);
    accepting.await.unwrap()
}

/// Far more than it takes on an idle machine, and far less than behind all that a flood says:
/// that has no end. Direct floods pass the session and the server by: only the processor is shared.
fn usable() -> Duration {
    match transport() {
        TransportName::Socks5Direct => Duration::from_secs(1),
        _ => Duration::from_secs(6),
    }
}

/// A question and its answer, or a few of them, behind no data to speak of; likewise.
fn prompt() -> Duration {
    match transport() {
        TransportName::Socks5Direct => Duration::from_secs(8),
        _ => Duration::from_secs(24),
    }
}

/// Connections that saturate a session, or the processor.
const FLOODS: usize = 20;

/// Bytes each way after which a flood is under way.
const BEGINNING: usize = 128 * 1024;

/// Echoes that are timed.
const ECHOES: usize = 41;
