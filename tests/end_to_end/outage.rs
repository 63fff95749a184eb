//! The service is not there.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tubes::{Address, FailureKind};
use tubes_server::Server;

use crate::stage::{connect, patiently, share};

crate::on_each_server_and_transport!(the_tube_outlives_a_service_that_is_not_there);

async fn the_tube_outlives_a_service_that_is_not_there(server: &Server) {
    // Bound and not listening: connections are refused, and nobody else can take the port.
    let service = TcpSocket::new_v4().unwrap();
    service.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = service.local_addr().unwrap().into();
    let mut shared = share(server, &address).await;

    let cut_off = patiently("the program is cut off", use_in_vain(&shared.address)).await;
    assert_eq!(cut_off.kind(), ErrorKind::ConnectionReset);
    let (sent, received, error) = shared.alice.connection_closed().await;
    assert_eq!((sent, received), (0, 0));
    assert_eq!(error.unwrap().kind, FailureKind::Refused);
    let (sent, received, error) = shared.fernand.connection_closed().await;
    assert_eq!((sent, received), (0, 0));
    assert_eq!(error.unwrap().kind, FailureKind::Unreachable);

    let service = service.listen(1).unwrap();
    let mut program = shared.program().await;
    let accepting = service.accept();
    let (mut served, _) = patiently("the service is reached", accepting)
        .await
        .unwrap();
    program.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = served.read_exact(&mut hello);
    patiently("the service is spoken to", reading)
        .await
        .unwrap();
    assert_eq!(&hello, b"hello");
    shared.leave().await;
}

/// Connects, and waits for the reset; that may come before the program knows that it was let in.
async fn use_in_vain(address: &Address) -> io::Error {
    match connect(address).await {
        Ok(mut program) => program.read_u8().await.unwrap_err(),
        Err(why) => why,
    }
}
