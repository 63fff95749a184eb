//! How a service is reached, and what is said when it is not.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tubes_local::{Access, Address, DialError, Listener, dial};

#[tokio::test]
async fn the_source_is_what_the_service_sees() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = dial(&service.local_addr().unwrap().into()).await.unwrap();
    let (_, seen) = service.accept().await.unwrap();
    assert_eq!(socket.source().address(), Some(seen));
}

#[tokio::test]
async fn tries_every_address_of_a_name() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let address = Address::Tcp {
        host: "localhost".into(),
        port,
    };
    dial(&address).await.unwrap();
    service.accept().await.unwrap();
}

#[tokio::test]
async fn a_service_that_does_not_run_is_asked_for() {
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = Address::from(taken.local_addr().unwrap());
    let error = dial(&address).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { .. }), "{error}");
    let expected = format!("cannot reach {address}: connection refused: is the service running?");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("x.sock"));
    let error = dial(&address).await.unwrap_err().to_string();
    assert!(error.contains("no such socket"), "{error}");
    assert!(error.contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_stale_socket_is_a_service_that_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    let error = dial(&Address::Unix(path)).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { .. }), "{error}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let error = dial(&"nowhere.invalid:80".parse().unwrap()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, DialError::Unresolved { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_path_is_no_service() {
    let error = dial(&"unix:".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, DialError::NoPath), "{error}");
}

#[tokio::test]
async fn reaches_unix_and_abstract_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("tubes-dialling-{}", std::process::id());
    for address in [
        Address::Unix(folder.path().join("x.sock")),
        Address::Abstract(name),
    ] {
        let service = Listener::bind(&address, Access::Credentials).await.unwrap();
        let mut near = dial(&address).await.unwrap();
        let (mut far, source) = service.accept().await.unwrap();
        assert_eq!(source.uid(), near.source().uid());
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_too_busy_to_let_us_in_is_given_ten_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let _service = socket.listen(0).unwrap();
    let address = Address::Unix(path);
    let _first = dial(&address).await.unwrap();
    let begun = tokio::time::Instant::now();
    let error = dial(&address).await.unwrap_err();
    assert!(matches!(error, DialError::TimedOut { .. }), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(begun.elapsed() < Duration::from_secs(11));
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let socket = UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    let service = socket.listen(0).unwrap();
    let address = Address::Unix(path);
    let _first = dial(&address).await.unwrap();
    let (second, _) = tokio::join!(dial(&address), service.accept());
    second.unwrap();
}
