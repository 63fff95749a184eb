//! Servers that take next to nothing, as they come out of the box.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Access, Event, Offer};
use tubes_server::{Server, ServerKind, Setup};

use crate::stage::{Content, Family, Service, connect, digest, echo, patiently, set_up, share};

#[tokio::test(flavor = "multi_thread")]
async fn prosody_as_installed_carries_data_and_lets_what_is_urgent_pass() {
    on(ServerKind::Prosody, 10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ejabberd_as_installed_carries_data_and_lets_what_is_urgent_pass() {
    on(ServerKind::Ejabberd, 3_000).await;
}

async fn on(kind: ServerKind, allowed: u64) {
    set_up();
    if !kind.wanted().unwrap() {
        return;
    }
    let starting = Server::start(kind, Setup::new().with_stock_limits());
    let server = patiently("the server starts", starting).await.unwrap();
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share(&server, &service.address()).await;
    let (mut program, mut served) = (shared.program().await, service.accept().await);

    // More than will ever get through.
    let said = Content::of(1, 4 * 1024 * 1024);
    let expected = said.clone();
    let writing = tokio::spawn(async move { program.write_all(&said).await });
    let reading = tokio::spawn(async move {
        let mut heard = vec![0; SAMPLE];
        served.read_exact(&mut heard).await.unwrap();
        (heard, served)
    });
    let told = shared.fernand.event(|event| match event {
        Event::Throttled { bytes_per_second } => Some(*bytes_per_second),
        _ => None,
    });
    let rate = told.await;
    assert!((allowed / 3..allowed * 3).contains(&rate), "{rate}");

    // Another tube, in the midst of it: an offer, a negotiation, a few bytes there and back.
    let began = Instant::now();
    let other = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let offer = Offer::new(shared.fernand.jid.clone(), "x-other", other.address.clone());
    shared.alice.tubes.offer(offer).await.unwrap();
    let tube = shared.fernand.offered().await;
    let listen = Family::Tcp.place().address;
    let accepting = shared.fernand.tubes.accept(tube, listen, Access::Localhost);
    let address = accepting.await.unwrap();
    let mut urgent = connect(&address).await.unwrap();
    urgent.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let echoed = urgent.read_exact(&mut hello);
    patiently("the other tube works", echoed).await.unwrap();
    println!("{rate} B/s; beside bulk data, {:?}", began.elapsed());
    assert!(began.elapsed() < URGENT, "{:?}", began.elapsed());

    let (heard, served) = patiently("some of it arrives", reading).await.unwrap();
    assert_eq!(digest(&heard), digest(&expected[..SAMPLE]));
    writing.abort();
    drop((served, urgent));
    shared.leave().await;
    patiently("the server stops", server.stop()).await;
}

/// What is read of what is written.
const SAMPLE: usize = 24 * 1024;

/// Five stanzas of Fernand's, each of which may find one block of data under way before it, and
/// one more in the lane; generous, as other tests keep the machine busy. Were they to wait for all
/// that the program wrote, it would be seven minutes, and at ejabberd more than twenty.
const URGENT: Duration = Duration::from_secs(60);
