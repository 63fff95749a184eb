//! A client of proxies for bytestreams: the least of SOCKS5.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test file uses its share, and fails by panicking"
)]

use std::{future::Future, net::SocketAddr, time::Duration};

use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time,
};

/// What a bytestream is called at a proxy.
pub(crate) fn hash(sid: &str, requester: &str, target: &str) -> String {
    let digest = Sha1::digest(format!("{sid}{requester}{target}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Connects to a proxy and waits until the request is granted.
pub(crate) async fn connect(address: SocketAddr, hash: &str) -> TcpStream {
    let mut tcp = request(address, hash).await;
    let mut answer = [0; 47];
    within(tcp.read_exact(&mut answer)).await.unwrap();
    let expected = [b"\x05\x00\x00\x03\x28", hash.as_bytes(), b"\x00\x00"].concat();
    assert_eq!(answer.as_slice(), expected);
    tcp
}

/// Connects to a proxy, which has to say no.
pub(crate) async fn refused(address: SocketAddr, hash: &str) {
    let mut tcp = request(address, hash).await;
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.first(), Some(&5), "{answer:?}");
    assert!(answer.get(1).is_some_and(|code| *code > 0), "{answer:?}");
}

async fn request(address: SocketAddr, hash: &str) -> TcpStream {
    let mut tcp = greet(address).await;
    // In one piece: Prosody puts no pieces together.
    let request = [b"\x05\x01\x00\x03\x28", hash.as_bytes(), b"\x00\x00"].concat();
    within(tcp.write_all(&request)).await.unwrap();
    tcp
}

/// Connects to a proxy and agrees with it on no authentication.
pub(crate) async fn greet(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // So that what is not read stays with the proxy.
    socket.set_recv_buffer_size(65_536).unwrap();
    let mut tcp = within(socket.connect(address)).await.unwrap();
    within(tcp.write_all(b"\x05\x01\x00")).await.unwrap();
    let mut method = [0; 2];
    within(tcp.read_exact(&mut method)).await.unwrap();
    assert_eq!(&method, b"\x05\x00");
    tcp
}

/// Writes `size` bytes in blocks, of which each has to have arrived before the next one, and
/// compares. It leaves both open: the end of one direction ends the other.
pub(crate) async fn transfer(
    from: &mut (impl AsyncWrite + Unpin),
    to: &mut (impl AsyncRead + Unpin),
    size: usize,
    block: usize,
    modulus: usize,
) {
    let bytes: Vec<u8> = (0..size).map(|n| (n % modulus) as u8).collect();
    for sent in bytes.chunks(block) {
        let mut arrived = vec![0; sent.len()];
        let (written, read) = tokio::join!(from.write_all(sent), to.read_exact(&mut arrived));
        written.unwrap();
        read.unwrap();
        assert!(arrived == sent, "other bytes arrived");
    }
}

/// Waits for the end of a connection, by whatever.
pub(crate) async fn ends(mut tcp: TcpStream) {
    let mut rest = Vec::new();
    // After a reset it has ended as well.
    let _ = within(tcp.read_to_end(&mut rest)).await;
    assert!(rest.is_empty());
}

/// Nothing here takes as long as this, on a busy machine either.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it to happen in time")
}
