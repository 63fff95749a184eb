//! What a service is told of a connection before its first byte.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tubes_local::{Address, Caller, Export, ExportError, Exportable, PEER_TLV};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn caller(peer: &str) -> Caller {
    Caller {
        peer: peer.to_owned(),
        service: "x-test".to_owned(),
    }
}

/// What is at the beginning of all that was said: addresses, peer, and what comes after.
fn read(said: &[u8]) -> (SocketAddr, SocketAddr, String, &[u8]) {
    let said = said.strip_prefix(SIGNATURE).unwrap();
    let [0x21, 0x11, high, low, rest @ ..] = said else {
        panic!("no PROXY of TCP over IPv4: {said:?}");
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (header, rest) = rest.split_at(length);
    let (addresses, field) = header.split_at(12);
    let end = |ip: usize, port: usize| {
        let ip: [u8; 4] = addresses[ip..ip + 4].try_into().unwrap();
        let port: [u8; 2] = addresses[port..port + 2].try_into().unwrap();
        SocketAddr::from((ip, u16::from_be_bytes(port)))
    };
    let [PEER_TLV, high, low, peer @ ..] = field else {
        panic!("names nobody: {field:?}");
    };
    assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), peer.len());
    let peer = String::from_utf8(peer.to_vec()).unwrap();
    (end(0, 8), end(4, 10), peer, rest)
}

async fn heard(mut service: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut heard = Vec::new();
    service.read_to_end(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn says_who_connects_before_anything_else() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let export = Export::of(&service).unwrap().with_proxy_header();
    let peer = "fernand@example.org/caf\u{e9}";
    let mut socket = export.open(&caller(peer)).await.unwrap();
    socket.write_all(b"hello").await.unwrap();
    let source = socket.source().address().unwrap();
    drop(socket);
    let heard = heard(service.accept().await.unwrap().0).await;
    let at = service.local_addr().unwrap();
    assert_eq!(read(&heard), (source, at, peer.to_owned(), &b"hello"[..]));
}

#[tokio::test]
async fn at_a_unix_socket_it_claims_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let service = UnixListener::bind(folder.path().join("s")).unwrap();
    let export = Export::of(&service).unwrap().with_proxy_header();
    drop(export.open(&caller("fernand@example.org/a")).await.unwrap());
    let heard = heard(service.accept().await.unwrap().0).await;
    let nowhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let peer = "fernand@example.org/a".to_owned();
    assert_eq!(read(&heard), (nowhere, nowhere, peer, &b""[..]));
}

#[tokio::test]
async fn the_longest_name_fits_and_breaks_nothing_up() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let export = Export::of(&service).unwrap().with_proxy_header();
    // Three parts of 1,023 bytes each (RFC 7622 §3.1), and the marks between them.
    let peer = "\r\n\0QUIT".repeat(439)[..3071].to_owned();
    drop(export.open(&caller(&peer)).await.unwrap());
    let heard = heard(service.accept().await.unwrap().0).await;
    assert_eq!(read(&heard).2, peer);
}

#[tokio::test]
async fn nothing_is_said_unless_it_is_asked_for() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let export = Export::of(&service).unwrap();
    drop(export.open(&caller("fernand@example.org/a")).await.unwrap());
    assert!(heard(service.accept().await.unwrap().0).await.is_empty());
}

#[tokio::test]
async fn a_service_on_all_addresses_is_dialled_on_this_machine() {
    let service = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let expected = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    };
    assert_eq!(Export::of(&service).unwrap(), Export::Address(expected));
}

#[tokio::test]
async fn a_socket_that_does_not_listen_is_no_service() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let error = Export::of(&socket).unwrap_err();
    assert!(matches!(error, ExportError::Silent), "{error}");
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connected = tokio::net::TcpStream::connect(service.local_addr().unwrap());
    let error = Export::of(connected.await.unwrap()).unwrap_err();
    assert!(matches!(error, ExportError::Silent), "{error}");
}

#[tokio::test]
async fn a_socket_is_exported_alike_however_it_is_named() {
    let service = TcpListener::bind("[::]:0").await.unwrap();
    let at = service.local_addr().unwrap();
    let expected = format!("[::1]:{}", at.port()).parse::<Address>().unwrap();
    for export in [Export::of(&service), service.to_export(), at.to_export()] {
        assert_eq!(export.unwrap(), Export::Address(expected.clone()));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("service");
    let service = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let at = service.local_addr().unwrap();
    for export in [Export::of(&service), service.to_export(), at.to_export()] {
        assert_eq!(
            export.unwrap(),
            Export::Address(Address::Unix(path.clone()))
        );
    }
}
