//! Tubes that are closed while they are used.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Address, FailureKind};
use tubes_server::Server;

use crate::stage::{
    Content, Family, Service, Shared, Stream, connect, digest, echo, patiently, share_as,
};

crate::on_each_server_and_transport!(
    what_was_written_before_the_joiner_closes_arrives,
    what_was_written_before_the_offerer_closes_arrives,
    a_port_is_gone_with_the_tube_that_the_joiner_closes,
    a_port_is_gone_with_the_tube_that_the_offerer_closes,
    a_socket_file_is_gone_with_the_tube_that_the_joiner_closes,
    a_socket_file_is_gone_with_the_tube_that_the_offerer_closes,
);

async fn what_was_written_before_the_joiner_closes_arrives(server: &Server) {
    what_was_written_before_the_close_arrives(server, Closer::Joiner).await;
}

async fn what_was_written_before_the_offerer_closes_arrives(server: &Server) {
    what_was_written_before_the_close_arrives(server, Closer::Offerer).await;
}

async fn a_port_is_gone_with_the_tube_that_the_joiner_closes(server: &Server) {
    the_address_is_gone_with_the_tube(server, Family::Tcp, Closer::Joiner).await;
}

async fn a_port_is_gone_with_the_tube_that_the_offerer_closes(server: &Server) {
    the_address_is_gone_with_the_tube(server, Family::Tcp, Closer::Offerer).await;
}

async fn a_socket_file_is_gone_with_the_tube_that_the_joiner_closes(server: &Server) {
    the_address_is_gone_with_the_tube(server, Family::Unix, Closer::Joiner).await;
}

async fn a_socket_file_is_gone_with_the_tube_that_the_offerer_closes(server: &Server) {
    the_address_is_gone_with_the_tube(server, Family::Unix, Closer::Offerer).await;
}

async fn what_was_written_before_the_close_arrives(server: &Server, closer: Closer) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let mut shared = share_as(server, &service.address(), Family::Tcp).await;
    let mut program = shared.program().await;
    let mut served = service.accept().await;
    let (up, down) = (Content::of(1, SIZE), Content::of(2, SIZE));
    program.write_all(&up).await.unwrap();
    served.write_all(&down).await.unwrap();
    let closing = async {
        tokio::join!(
            close(&mut shared, closer),
            heard(&mut served),
            heard(&mut program),
        )
    };
    let ((), at_service, at_program) = patiently("the tube is closed", closing).await;
    assert_eq!(at_service, digest(&up));
    assert_eq!(at_program, digest(&down));
    shared.leave().await;
}

async fn the_address_is_gone_with_the_tube(server: &Server, family: Family, closer: Closer) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share_as(server, &service.address, family).await;
    // Before the first connection the offerer would take the joiner's close for a refusal.
    let mut program = shared.program().await;
    program.write_all(b"hello").await.unwrap();
    program.read_exact(&mut [0; 5]).await.unwrap();
    close(&mut shared, closer).await;
    let why = connect(&shared.address).await.err().unwrap().kind();
    if let Address::Unix(path) = &shared.address {
        assert_eq!(why, ErrorKind::NotFound);
        assert!(!path.exists());
    } else {
        assert_eq!(why, ErrorKind::ConnectionRefused);
    }
    shared.leave().await;
}

/// Closes the tube, and checks what each side is told.
async fn close(shared: &mut Shared, closer: Closer) {
    let (closer, tube, other) = match closer {
        Closer::Joiner => (&mut shared.fernand, shared.joined, &mut shared.alice),
        Closer::Offerer => (&mut shared.alice, shared.offered, &mut shared.fernand),
    };
    patiently("the tube is closed", closer.tubes.close(tube)).await;
    assert_eq!(closer.tube_closed().await, None);
    let told = other.tube_closed().await.map(|failure| failure.kind);
    assert_eq!(told, Some(FailureKind::Closed));
}

/// The digest of all that is heard up to the end, or to the break.
async fn heard(stream: &mut Stream) -> String {
    let mut all = Vec::new();
    // Whether it is an end or a break is for the other side's program to know.
    let _ = stream.read_to_end(&mut all).await;
    digest(&all)
}

/// Who closes the tube.
#[derive(Clone, Copy, Debug)]
enum Closer {
    Joiner,
    Offerer,
}

/// Fits into what the kernel and the tube hold, so that all of it is on its way at the close.
const SIZE: usize = 256 * 1024;
