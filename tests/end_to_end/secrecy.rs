//! Nobody on the way reads what is carried.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Account, Encryption, Event, Protection, Tls};
use tubes_protocol::ns;
use tubes_server::{Server, Setup};
use tubes_testkit::Fate;

use crate::stage::{
    self, Family, Person, Service, Shared, Tap, befriended, echo, encryption, patiently,
    share_between, transport,
};

crate::on_each_server_and_transport!(nobody_on_the_way_reads);

mod in_band {
    use super::no_server_reads;

    crate::on_each_server!(no_server_reads);
}

async fn nobody_on_the_way_reads(server: &Server) {
    assert!(!is_read(&tapped(server).await));
    // And it would be seen if it were otherwise.
    assert!(is_read(&stage::in_clear(tapped(server)).await));
}

/// What somebody on the way has seen.
async fn tapped(server: &Server) -> Vec<u8> {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let taps = [Tap::default(), Tap::default()];
    let tapped = |tap: &Tap| vec![tap.on(transport())];
    let (alice, fernand) = tokio::join!(
        Person::with_ladder(server, "alice", tapped(&taps[0])),
        Person::with_ladder(server, "fernand", tapped(&taps[1])),
    );
    let (alice, fernand) = befriended(alice, fernand).await;
    let shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    tell(shared).await;
    taps.map(|tap| tap.seen()).concat()
}

async fn no_server_reads(shared: &Server) {
    let setup = Setup::new().without_required_encryption();
    let starting = Server::start(shared.kind(), setup);
    let server = starting.await.unwrap();
    assert!(!is_read(&overheard(&server).await));
    assert!(is_read(&stage::in_clear(overheard(&server)).await));
    server.stop().await;
}

/// What a server has seen in blocks of in-band bytestreams.
async fn overheard(server: &Server) -> Vec<u8> {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
    let (alice, link) = Person::linked(server, "alice", in_clear).await;
    let fernand = Person::on(server, "fernand").await;
    let hearing = Arc::clone(&seen);
    link.set_filter(move |_, stanza| {
        if let Some(data) = stanza.get_child("data", ns::IBB) {
            let block = STANDARD.decode(data.text()).unwrap();
            hearing.lock().unwrap().extend(block);
        }
        Fate::Pass
    });
    let (alice, fernand) = befriended(alice, fernand).await;
    let shared = share_between(alice, fernand, &service.address, Family::Tcp).await;
    tell(shared).await;
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.is_empty());
    seen
}

/// Fernand's program tells a secret, and hears it again.
async fn tell(mut shared: Shared) {
    let mut program = shared.program().await;
    program.write_all(SECRET).await.unwrap();
    program.shutdown().await.unwrap();
    let mut heard = Vec::new();
    let hearing = program.read_to_end(&mut heard);
    patiently("the secret comes back", hearing).await.unwrap();
    assert_eq!(heard, SECRET);
    for person in [&mut shared.alice, &mut shared.fernand] {
        let protection = person.event(|event| match event {
            Event::ConnectionOpened { protection, .. } => Some(protection.clone()),
            _ => None,
        });
        let is_plain = protection.await == Protection::Plain;
        assert_eq!(is_plain, encryption() == Encryption::Off);
    }
    shared.leave().await;
}

fn is_read(seen: &[u8]) -> bool {
    let tell_tale = &SECRET[..16];
    seen.windows(tell_tale.len())
        .any(|window| window == tell_tale)
}

/// Shorter than any block, so that it is carried in one.
const SECRET: &[u8] = b"what nobody but Alice is to know, and nobody but Fernand";
