//! The listening socket among strangers: it costs them more than it costs this side, and no stream
//! suffers from it.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tubes_socks5::{Destination, Loopback, Query, Socks5, Used};
use tubes_testkit::Hub;
use tubes_transport::{
    Bytestream, ConnectError, Inbound, Kind, Plan, Role, Stanzas, StreamId, Transport, Wire,
};
use xmpp_parsers::jid::FullJid;

/// One side: who it is, whom it speaks with, and what it has for that.
struct Side {
    role: Role,
    own: FullJid,
    peer: FullJid,
    kind: Kind,
    stanzas: Stanzas,
    socks5: Socks5,
}

impl Side {
    fn claim(&self, stream: &str) -> Wire {
        let stream = StreamId::from(stream);
        self.stanzas
            .claim(self.peer.clone().into(), stream)
            .unwrap()
    }

    async fn connect(&self, wire: &mut Wire) -> Result<Bytestream, ConnectError> {
        let plan = Plan {
            role: self.role,
            stream: wire.stream().clone(),
            local: self.own.clone(),
            peer: self.peer.clone(),
            account: self.own.clone(),
            kind: self.kind,
            offer: None,
            stanzas: self.stanzas.clone(),
        };
        self.socks5.prepare(plan).await?.connect(None, wire).await
    }
}

fn sides() -> (Side, Side, Hub) {
    let alice: FullJid = "alice@tubes.example/desk".parse().unwrap();
    let fernand: FullJid = "fernand@tubes.example/lab".parse().unwrap();
    let (a, b, hub) = Hub::pair(alice.clone(), fernand.clone());
    let side = |role, own: &FullJid, peer: &FullJid, stanzas| Side {
        role,
        own: own.clone(),
        peer: peer.clone(),
        kind: Kind::Ours,
        stanzas,
        socks5: Socks5::direct()
            .with_loopback(Loopback::Always)
            // A flood takes time on a busy machine.
            .with_budget(Duration::from_secs(30)),
    };
    (
        side(Role::Requester, &alice, &fernand, a),
        side(Role::Responder, &fernand, &alice, b),
        hub,
    )
}

/// Opens a stream while something happens to the listener as soon as its port is known.
async fn open_while<F: Future<Output = T>, T>(
    stream: &str,
    happening: impl FnOnce(SocketAddr) -> F,
) -> (Bytestream, Bytestream, T) {
    let (requester, responder, _hub) = sides();
    let (mut asking, mut answering) = (requester.claim(stream), responder.claim(stream));
    let answer = async {
        let query = Query::read(answering.peek().await.unwrap().payload()).unwrap();
        let port = query.streamhosts.first().unwrap().port;
        let held = happening(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
        (responder.connect(&mut answering).await.unwrap(), held)
    };
    let both = async { tokio::join!(requester.connect(&mut asking), answer) };
    let (asked, (answered, held)) = timeout(PATIENCE, both).await.unwrap();
    (asked.unwrap(), answered, held)
}

async fn works(mut near: Bytestream, mut far: Bytestream) {
    near.write_all(b"hello").await.unwrap();
    near.shutdown().await.unwrap();
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"hello");
}

/// What SOCKS5 wants from a client, up to the name of the stream.
async fn ask_for(address: SocketAddr, destination: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[5, 1, 0]).await.unwrap();
    stream.read_exact(&mut [0; 2]).await.unwrap();
    let request = [&[5, 1, 0, 3, 40][..], destination.as_bytes(), &[0, 0]].concat();
    stream.write_all(&request).await.unwrap();
    let mut reply = Vec::new();
    // An end or a reset: either way it is over.
    let _ = stream.read_to_end(&mut reply).await;
    reply
}

#[tokio::test]
async fn a_wrong_hash_is_refused_and_costs_the_stream_nothing() {
    let (near, far, reply) = open_while("s1", |listener| async move {
        ask_for(listener, &"0".repeat(40)).await
    })
    .await;
    assert_eq!(reply.get(..2), Some(&[5, 2][..]));
    works(near, far).await;
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_is_in_nobodys_way() {
    let (near, far, _held) = open_while("s1", |listener| async move {
        let silent = TcpStream::connect(listener).await.unwrap();
        let mut loud = TcpStream::connect(listener).await.unwrap();
        loud.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        (silent, loud)
    })
    .await;
    works(near, far).await;
}

#[tokio::test]
async fn a_flood_of_the_silent_delays_nobody() {
    let begun = Instant::now();
    let (near, far, held) = open_while("s1", |listener| async move {
        let mut held = Vec::new();
        for _ in 0..FLOOD {
            held.push(TcpStream::connect(listener).await.unwrap());
        }
        held
    })
    .await;
    // Nobody was waited for until the ten seconds for a handshake were over.
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    works(near, far).await;
    // The first ones had to go for it.
    let mut first = held.into_iter().next().unwrap();
    let gone = timeout(PATIENCE, first.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(gone, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_stream_takes_one_connection() {
    let (near, far, second) = open_while("s1", |listener| async move {
        let alice: FullJid = "alice@tubes.example/desk".parse().unwrap();
        let fernand: FullJid = "fernand@tubes.example/lab".parse().unwrap();
        let destination = Destination::new(&StreamId::from("s1"), &alice, &fernand).to_string();
        // One that knows the hash comes first, and leaves again: it makes room.
        let mut early = TcpStream::connect(listener).await.unwrap();
        let granted = ask_over(&mut early, &destination).await;
        let second = ask_for(listener, &destination).await;
        drop(early);
        (granted, second)
    })
    .await;
    let (granted, second) = second;
    assert_eq!(granted.get(..3), Some(&[5, 0, 0][..]));
    assert_eq!(second.get(..2), Some(&[5, 2][..]));
    works(near, far).await;
}

/// As slixmpp does, which then uses the first one.
#[tokio::test]
async fn others_may_dial_all_hosts_at_once() {
    let (mut requester, responder, _hub) = sides();
    requester.kind = Kind::Other;
    let (mut asking, mut answering) = (requester.claim("s1"), responder.claim("s1"));
    let dialling = async {
        let Ok(Inbound::Ask(ask)) = answering.next().await else {
            unreachable!("it asks for a connection first");
        };
        let query = Query::read(ask.payload()).unwrap();
        let destination = Destination::new(&query.stream, &requester.own, &requester.peer);
        let mut streams = Vec::new();
        // Which of them comes first is a matter of luck.
        for host in query.streamhosts.iter().rev() {
            let address = (host.host.as_str(), host.port);
            let mut stream = TcpStream::connect(address).await.unwrap();
            let granted = ask_over(&mut stream, &destination.to_string()).await;
            assert_eq!(granted.get(..3), Some(&[5, 0, 0][..]), "{}", host.host);
            streams.push(stream);
        }
        let jid = requester.own.clone().into();
        ask.grant(Some(Used { jid }.to_element()));
        streams
    };
    let both = async { tokio::join!(requester.connect(&mut asking), dialling) };
    let (opened, mut streams) = timeout(PATIENCE, both).await.unwrap();
    assert!(streams.len() > 1, "this machine has several addresses");
    opened.unwrap().write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    let first = streams.last_mut().unwrap();
    timeout(PATIENCE, first.read_exact(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&heard, b"hello");
}

/// Asks over an open connection; the answer to a destination.
async fn ask_over(stream: &mut TcpStream, destination: &str) -> [u8; 47] {
    stream.write_all(&[5, 1, 0]).await.unwrap();
    stream.read_exact(&mut [0; 2]).await.unwrap();
    let request = [&[5, 1, 0, 3, 40][..], destination.as_bytes(), &[0, 0]].concat();
    stream.write_all(&request).await.unwrap();
    let mut granted = [0; 47];
    stream.read_exact(&mut granted).await.unwrap();
    granted
}

#[tokio::test]
async fn many_streams_share_one_port() {
    let (requester, responder, hub) = sides();
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let stream = format!("s{number}");
        streams.push((requester.claim(&stream), responder.claim(&stream)));
    }
    let opening = streams.iter_mut().map(|(asking, answering)| async {
        let (near, far) = tokio::join!(requester.connect(asking), async {
            answering.peek().await.unwrap();
            responder.connect(answering).await
        });
        works(near.unwrap(), far.unwrap()).await;
    });
    let all = futures_util::future::join_all(opening);
    timeout(PATIENCE, all).await.unwrap();
    let ports: std::collections::BTreeSet<_> = hub
        .transcript()
        .iter()
        .flat_map(|(_, stanza)| stanza.children())
        .filter_map(|payload| Query::read(payload).ok())
        .flat_map(|query| query.streamhosts)
        .map(|host| host.port)
        .collect();
    assert_eq!(ports.len(), 1, "{ports:?}");
}

/// More than the listener has patience for.
const FLOOD: usize = 300;

const STREAMS: usize = 50;

const PATIENCE: Duration = Duration::from_secs(90);
