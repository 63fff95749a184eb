//! A few bytes through everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod stage;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tubes_server::ServerKind;

on_each_server!(a_program_reaches_the_service);

async fn a_program_reaches_the_service(kind: ServerKind) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 5];
        socket.read_exact(&mut hello).await.unwrap();
        socket.write_all(b"world").await.unwrap();
    });
    let mut shared = stage::share(kind, service, "127.0.0.1:0").await;
    let address = shared.address.to_string();
    let mut socket = TcpStream::connect(address.trim_start_matches("tcp:"))
        .await
        .unwrap();
    socket.write_all(b"hello").await.unwrap();
    let mut world = Vec::new();
    socket.read_to_end(&mut world).await.unwrap();
    assert_eq!(world, b"world");
    drop(socket);
    let (sent, received, error) = shared.fernand.connection_closed().await;
    assert_eq!((sent, received, error), (5, 5, None));
    shared.alice.tubes.leave().await;
    shared.fernand.tubes.leave().await;
}
