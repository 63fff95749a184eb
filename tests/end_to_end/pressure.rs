//! A service that does not read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tubes::TransportName;
use tubes_server::Server;

use crate::stage::{Content, Family, Service, Stream, digest, patiently, share_as, transport};

crate::on_each_server_and_transport!(a_slow_service_stalls_its_own_program_and_no_other);

async fn a_slow_service_stalls_its_own_program_and_no_other(server: &Server) {
    // Unix sockets hold little, so that it is the tube that is measured.
    let service = Service::listen(Family::Unix).await.unwrap();
    let shared = share_as(server, &service.address(), Family::Unix).await;
    let (_program_reader, mut program) = tokio::io::split(shared.program().await);
    let (mut slow, _slow_writer) = tokio::io::split(service.accept().await);
    let bound = BOUND + held_by_the_kernel();
    let all = Content::of(1, bound + PIECE);
    let accepted = write_until_stalled(&mut program, &all, bound).await;
    assert!(accepted < bound, "{accepted} bytes were accepted");

    // Meanwhile another program is served.
    let mut other = shared.program().await;
    let mut quick = service.accept().await;
    pass(&mut other, &mut quick).await;
    pass(&mut quick, &mut other).await;

    let rest = all.get(accepted..).unwrap();
    let going_on = async { tokio::join!(write_rest(program, rest), read_all(&mut slow)) };
    let ((), heard) = patiently("the service has caught up", going_on).await;
    assert_eq!(heard, digest(&all));
    shared.leave().await;
}

/// Writes until nothing is taken any more; returns how much was.
async fn write_until_stalled(program: &mut WriteHalf<Stream>, all: &[u8], bound: usize) -> usize {
    let mut accepted = 0;
    while accepted < bound {
        let next = all.get(accepted..accepted + PIECE).unwrap();
        match timeout(STALL, program.write(next)).await {
            Ok(length) => accepted += length.unwrap(),
            Err(_) => break,
        }
    }
    accepted
}

async fn write_rest(mut program: WriteHalf<Stream>, rest: &[u8]) {
    program.write_all(rest).await.unwrap();
    program.shutdown().await.unwrap();
}

async fn read_all(slow: &mut ReadHalf<Stream>) -> String {
    let mut heard = Vec::new();
    slow.read_to_end(&mut heard).await.unwrap();
    digest(&heard)
}

/// Passes something from one to the other.
async fn pass(from: &mut Stream, to: &mut Stream) {
    let (said, mut heard) = (Content::of(2, 20_000), vec![0; 20_000]);
    from.write_all(&said).await.unwrap();
    let reading = to.read_exact(&mut heard);
    patiently("the other program is served", reading)
        .await
        .unwrap();
    assert_eq!(digest(&heard), digest(&said));
}

/// What the kernel may hold of one direction between the two sides.
fn held_by_the_kernel() -> usize {
    match transport() {
        TransportName::Ibb => 0,
        TransportName::Socks5Direct => CONNECTION,
        _ => 2 * CONNECTION,
    }
}

/// The buffers of a TCP connection over loopback, as far as Linux lets them grow.
const CONNECTION: usize = 16 * 1024 * 1024;

/// What two sockets, two tubes and a session may hold together.
const BOUND: usize = 2 * 1024 * 1024;

/// Bytes written at a time.
const PIECE: usize = 64 * 1024;

/// A write that takes this long has stalled. On a machine that is so busy that it has not the
/// test measures less, and is still right.
const STALL: Duration = Duration::from_secs(1);
