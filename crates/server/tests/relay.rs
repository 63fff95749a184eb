//! The proxy for bytestreams by itself, and at its limits.
#![allow(clippy::unwrap_used, reason = "tests")]

mod socks;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use socks::{connect, ends, greet, hash, refused, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::spawn_blocking,
    time::{self, Duration},
};
use tubes_server::{ActivationError, Proxy};

#[tokio::test]
async fn relays_both_ways_at_once() {
    let proxy = proxy().await;
    let [mut alice, mut fernand] = active(&proxy, "both").await;
    let (mut alice_reads, mut alice_writes) = alice.split();
    let (mut fernand_reads, mut fernand_writes) = fernand.split();
    let there = socks::transfer(&mut alice_writes, &mut fernand_reads, MUCH, MUCH, 251);
    let back = socks::transfer(&mut fernand_writes, &mut alice_reads, MUCH, MUCH, 241);
    within(async { tokio::join!(there, back) }).await;
}

#[tokio::test]
async fn takes_a_handshake_in_any_pieces() {
    let proxy = proxy().await;
    let hash = name("pieces");
    let mut tcp = TcpStream::connect(proxy.address()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let request = [b"\x05\x01\x00\x03\x28", hash.as_bytes(), b"\x00\x00"].concat();
    for byte in [b"\x05\x02\x02\x00", request.as_slice()].concat() {
        tcp.write_u8(byte).await.unwrap();
    }
    let mut answer = [0; 2 + 47];
    within(tcp.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer.first_chunk(), Some(b"\x05\x00\x05\x00"));
}

#[tokio::test]
async fn keeps_what_came_before_the_activation() {
    let proxy = proxy().await;
    let [mut alice, mut fernand] = two(&proxy, "early").await;
    alice.write_all(b"early").await.unwrap();
    activate(&proxy, "early").unwrap();
    let mut heard = [0; 5];
    within(fernand.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"early");
}

#[tokio::test]
async fn reads_no_more_than_the_other_side_takes() {
    let proxy = proxy().await;
    let [mut alice, mut fernand] = active(&proxy, "slow").await;
    let written = stall(&mut alice).await;
    let mut heard = vec![0; written];
    within(fernand.read_exact(&mut heard)).await.unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn an_end_delivers_what_was_read_although_the_other_side_talked() {
    let proxy = proxy().await;
    let [mut alice, mut fernand] = active(&proxy, "end").await;
    stall(&mut fernand).await;
    let words = vec![7; MUCH];
    let mut heard = Vec::new();
    within(async {
        alice.write_all(&words).await.unwrap();
        alice.shutdown().await.unwrap();
        // Before Fernand reads the first word, the proxy has read the last one.
        alice.read_to_end(&mut Vec::new()).await.unwrap();
        fernand.read_to_end(&mut heard).await.unwrap();
    })
    .await;
    assert!(heard == words);
}

#[tokio::test]
async fn a_broken_connection_ends_the_other_one() {
    let proxy = proxy().await;
    let [alice, fernand] = active(&proxy, "reset").await;
    alice.set_zero_linger().unwrap();
    drop(alice);
    ends(fernand).await;
}

#[tokio::test]
async fn is_activated_once_and_only_with_both_connections() {
    let proxy = proxy().await;
    assert_eq!(activate(&proxy, "once"), Err(ActivationError::Incomplete));
    let _alice = connect(proxy.address(), &name("once")).await;
    assert_eq!(activate(&proxy, "once"), Err(ActivationError::Incomplete));
    let _fernand = connect(proxy.address(), &name("once")).await;
    assert_eq!(activate(&proxy, "once"), Ok(()));
    assert_eq!(activate(&proxy, "once"), Err(ActivationError::Active));
}

#[tokio::test]
async fn a_bytestream_that_has_ended_leaves_its_name_free() {
    let proxy = proxy().await;
    let [alice, fernand] = active(&proxy, "again").await;
    drop(alice);
    ends(fernand).await;
    // Both ends are closed a moment before the name is free.
    let again = async {
        while activate(&proxy, "again") == Err(ActivationError::Active) {
            tokio::task::yield_now().await;
        }
    };
    within(again).await;
    let _both = active(&proxy, "again").await;
}

#[tokio::test]
async fn refuses_what_is_not_socks5_without_authentication() {
    let proxy = proxy().await;
    let web = b"GET / HTTP/1.1\r\n".iter().chain(&[b' '; 100]).copied();
    for greeting in [b"\x05\x01\x02".to_vec(), web.collect()] {
        let tcp = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(answer(tcp, &greeting).await, [5, 0xff]);
    }
}

#[tokio::test]
async fn refuses_other_commands_and_addresses() {
    let proxy = proxy().await;
    for (request, code) in [
        (b"\x05\x02\x00\x03\x28aaaaa", 7),
        (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", 8),
    ] {
        let tcp = greet(proxy.address()).await;
        let expected = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(answer(tcp, request).await, expected);
    }
    refused(proxy.address(), "a-domain-of-forty-characters.example.com").await;
}

#[tokio::test]
async fn loses_patience_with_a_client_that_does_not_shake_hands() {
    let proxy = proxy().await;
    let silent = greet(proxy.address()).await;
    time::pause();
    time::advance(Duration::from_secs(11)).await;
    is_closed(silent).await;
}

#[tokio::test]
async fn loses_patience_with_who_is_not_activated_and_frees_the_name() {
    let proxy = proxy().await;
    let [one, other] = two(&proxy, "forgotten").await;
    time::pause();
    time::advance(Duration::from_secs(61)).await;
    is_closed(one).await;
    is_closed(other).await;
    time::resume();
    let _both = active(&proxy, "forgotten").await;
}

#[tokio::test]
async fn closes_everything_when_it_is_dropped() {
    // No other test listens at this host, so its port stays free.
    let anywhere = SocketAddr::from((Ipv4Addr::new(127, 7, 7, 7), 0));
    let proxy = Proxy::start(anywhere).await.unwrap();
    let address = proxy.address();
    let shaking = greet(address).await;
    let waiting = connect(address, &name("waiting")).await;
    let [alice, fernand] = active(&proxy, "flowing").await;
    drop(proxy);
    for client in [shaking, waiting, alice, fernand] {
        ends(client).await;
    }
    assert!(TcpStream::connect(address).await.is_err());
}

/// Writes until nobody takes more, and says how much that was.
async fn stall(tcp: &mut TcpStream) -> usize {
    let words = vec![7; 65_536];
    let mut written = 0;
    let write = async {
        while written < MORE_THAN_SOCKETS_HOLD {
            written += tcp.write(&words).await.unwrap();
        }
    };
    let stalled = time::timeout(Duration::from_millis(500), write).await;
    assert!(stalled.is_err(), "nobody read {written} bytes");
    written
}

/// All that comes after this was said.
async fn answer(mut tcp: TcpStream, said: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    within(async {
        tcp.write_all(said).await.unwrap();
        tcp.read_to_end(&mut answer).await.unwrap();
    })
    .await;
    answer
}

/// However long the sockets take, the clock stands still meanwhile: it does not leap while a thread is
/// waited for.
async fn is_closed(tcp: TcpStream) {
    let mut tcp = tcp.into_std().unwrap();
    tcp.set_nonblocking(false).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let read = spawn_blocking(move || tcp.read(&mut [0]));
    assert_eq!(read.await.unwrap().unwrap(), 0);
}

async fn proxy() -> Proxy {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Proxy::start(anywhere).await.unwrap()
}

async fn two(proxy: &Proxy, sid: &str) -> [TcpStream; 2] {
    let name = name(sid);
    [
        connect(proxy.address(), &name).await,
        connect(proxy.address(), &name).await,
    ]
}

async fn active(proxy: &Proxy, sid: &str) -> [TcpStream; 2] {
    let both = two(proxy, sid).await;
    activate(proxy, sid).unwrap();
    both
}

fn activate(proxy: &Proxy, sid: &str) -> Result<(), ActivationError> {
    proxy.activate(sid, &ALICE.parse().unwrap(), &FERNAND.parse().unwrap())
}

fn name(sid: &str) -> String {
    hash(sid, ALICE, FERNAND)
}

const ALICE: &str = "alice@tubes.test/a";

const FERNAND: &str = "fernand@tubes.test/f";

const MUCH: usize = 1024 * 1024;

/// Linux lets the buffers of a connection on one machine grow to less than 11 MiB each way, and
/// there are two connections.
const MORE_THAN_SOCKETS_HOLD: usize = 64 * 1024 * 1024;
