//! A break is passed on as a break: nobody takes what came before for all there was.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tubes::{Address, FailureKind};
use tubes_server::Server;

use crate::stage::{Person, patiently, share};

crate::on_each_server_and_transport!(
    a_program_that_breaks_off_breaks_its_connection_to_the_service,
    a_service_that_breaks_off_breaks_the_connection_of_the_program,
);

crate::in_clear_too!(
    a_program_that_breaks_off_breaks_its_connection_to_the_service,
    a_service_that_breaks_off_breaks_the_connection_of_the_program,
);

async fn a_program_that_breaks_off_breaks_its_connection_to_the_service(server: &Server) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut shared = share(server, &service.local_addr().unwrap().into()).await;
    let (program, served) = connected(&shared.address, &service).await;
    break_off(program, served).await;
    told(&mut shared.fernand, FailureKind::Io).await;
    told(&mut shared.alice, FailureKind::Closed).await;
    shared.leave().await;
}

async fn a_service_that_breaks_off_breaks_the_connection_of_the_program(server: &Server) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut shared = share(server, &service.local_addr().unwrap().into()).await;
    let (program, served) = connected(&shared.address, &service).await;
    break_off(served, program).await;
    told(&mut shared.alice, FailureKind::Io).await;
    told(&mut shared.fernand, FailureKind::Closed).await;
    shared.leave().await;
}

async fn connected(address: &Address, service: &TcpListener) -> (TcpStream, TcpStream) {
    let Address::Tcp { host, port } = address else {
        panic!("only TCP knows a break");
    };
    let program = TcpStream::connect((&**host, *port)).await.unwrap();
    let accepting = service.accept();
    let (served, _) = patiently("the service is reached", accepting)
        .await
        .unwrap();
    (program, served)
}

/// One says something and resets the connection; the other hears it, and then of the reset.
async fn break_off(mut one: TcpStream, mut other: TcpStream) {
    one.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = other.read_exact(&mut hello);
    patiently("something is passed on", reading).await.unwrap();
    one.set_zero_linger().unwrap();
    drop(one);
    let breaking = other.read(&mut hello);
    let broken = patiently("the break is passed on", breaking).await;
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

async fn told(person: &mut Person, kind: FailureKind) {
    let (.., error) = person.connection_closed().await;
    assert_eq!(error.unwrap().kind, kind);
}
