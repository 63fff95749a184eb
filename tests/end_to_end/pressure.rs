//! A service that does not read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tubes_server::Server;

use crate::stage::{Content, Family, Service, Stream, digest, patiently, share_as};

crate::on_each_server!(a_slow_service_stalls_its_own_program_and_no_other);

async fn a_slow_service_stalls_its_own_program_and_no_other(server: &Server) {
    // Unix sockets hold little, so that it is the tube that is measured.
    let service = Service::listen(Family::Unix).await.unwrap();
    let shared = share_as(server, &service.address(), Family::Unix).await;
    let (_program_reader, mut program) = tokio::io::split(shared.program().await);
    let (mut slow, _slow_writer) = tokio::io::split(service.accept().await);
    let all = Content::of(1, SIZE);
    let accepted = write_until_stalled(&mut program, &all).await;
    assert!(accepted < BOUND, "{accepted} bytes were accepted");

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
async fn write_until_stalled(program: &mut WriteHalf<Stream>, all: &[u8]) -> usize {
    let mut accepted = 0;
    while accepted < BOUND {
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

/// What two sockets, two tubes and a session may hold together.
const BOUND: usize = 2 * 1024 * 1024;

/// Bytes written at a time.
const PIECE: usize = 64 * 1024;

/// More than the tube will ever accept at a time.
const SIZE: usize = BOUND + PIECE;

/// A write that takes this long has stalled. On a machine that is so busy that it has not the
/// test measures less, and is still right.
const STALL: Duration = Duration::from_secs(1);
