//! A service that cannot ask who connects is told so.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tubes::local::PEER_TLV;
use tubes::{Address, Audience, Export, FullJid, Parameters, StreamTubeServer};
use tubes_server::Server;

use super::{SERVICE, accepted, added, monitoring_server, offer};
use crate::stage::{Person, connect, enter, fresh_room, pair, patiently};

crate::on_each_server!(
    each_connection_of_the_export_that_wants_a_header_has_one_and_no_other,
    in_a_room_the_header_has_the_name_there,
);

async fn each_connection_of_the_export_that_wants_a_header_has_one_and_no_other(server: &Server) {
    let (told, untold) = (listen().await, listen().await);
    let (alice, mut fernand) = pair(server).await;
    let jid = fernand.online().await;
    let tubes = monitoring_server();
    added(&tubes, &alice).await;
    let export = Export::of(&told).unwrap().with_proxy_header();
    tubes.export(&export, Parameters::default()).unwrap();
    offer(&tubes, &alice, &fernand).await;
    let first = accepted(&mut fernand).await;
    tubes.export(&untold, Parameters::default()).unwrap();
    offer(&tubes, &alice, &fernand).await;
    let second = accepted(&mut fernand).await;
    for _ in 0..2 {
        let (source, heard) = said_through(&first, &told).await;
        assert_eq!(header_of(&heard), (source, jid.clone(), SAID));
        assert_eq!(said_through(&second, &untold).await.1, SAID);
    }
    fernand.leave().await;
    alice.leave().await;
}

async fn in_a_room_the_header_has_the_name_there(server: &Server) {
    let service = listen().await;
    let room = fresh_room(server);
    let alice = Person::on(server, "alice").await;
    let mut fernand = Person::on(server, "fernand").await;
    enter(&alice, &room, "alice").await;
    let own = enter(&fernand, &room, "guest").await;
    let tubes = StreamTubeServer::builder()
        .services_for_rooms([SERVICE])
        .build();
    added(&tubes, &alice).await;
    let export = Export::of(&service).unwrap().with_proxy_header();
    tubes.export(&export, Parameters::default()).unwrap();
    let offering = tubes.offer(&alice.jid, Audience::Room(room), SERVICE);
    patiently("it is offered", offering).await.unwrap();
    let address = accepted(&mut fernand).await;
    let (source, heard) = said_through(&address, &service).await;
    assert_eq!(header_of(&heard), (source, own, SAID));
    fernand.leave().await;
    alice.leave().await;
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Where a connection comes from that says something to the service, and all that arrives there.
async fn said_through(address: &Address, service: &TcpListener) -> (SocketAddr, Vec<u8>) {
    let mut program = connect(address).await.unwrap();
    program.write_all(SAID).await.unwrap();
    program.shutdown().await.unwrap();
    let accepting = service.accept();
    let (mut served, source) = patiently("it is reached", accepting).await.unwrap();
    let mut heard = Vec::new();
    let reading = served.read_to_end(&mut heard);
    patiently("all is heard", reading).await.unwrap();
    (source, heard)
}

/// Where a connection comes from and whose it is, by a header of the PROXY protocol, version 2, over
/// TCP and IPv4; and what was said then.
fn header_of(heard: &[u8]) -> (SocketAddr, FullJid, &[u8]) {
    let heard = heard.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n").unwrap();
    let [0x21, 0x11, length @ ..] = &heard[..4] else {
        panic!("no such header: {heard:?}");
    };
    let length = u16::from_be_bytes(length.try_into().unwrap());
    let (header, said) = heard[4..].split_at(length.into());
    let [a, b, c, d, _, _, _, _, high, low, _, _, fields @ ..] = header else {
        panic!("too short: {header:?}");
    };
    let source = SocketAddr::from(([*a, *b, *c, *d], u16::from_be_bytes([*high, *low])));
    let [PEER_TLV, high, low, jid @ ..] = fields else {
        panic!("names nobody: {fields:?}");
    };
    assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), jid.len());
    (
        source,
        std::str::from_utf8(jid).unwrap().parse().unwrap(),
        said,
    )
}

const SAID: &[u8] = b"hello";
