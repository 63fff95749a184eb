//! Bursts that are answered one by one: nothing is held back on the way.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes_server::Server;

use crate::stage::{Content, Family, Service, digest, echo, patiently, share};

crate::on_each_server_and_transport!(bursts_of_any_length_are_answered_while_the_stream_stays_open);

async fn bursts_of_any_length_are_answered_while_the_stream_stays_open(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let shared = share(server, &service.address).await;
    let mut program = shared.program().await;
    let mut slowest = Duration::ZERO;
    for (seed, length) in (0..).zip(LENGTHS) {
        let said = Content::of(seed, length);
        let mut heard = vec![0; length];
        let begun = Instant::now();
        program.write_all(&said).await.unwrap();
        let answer = program.read_exact(&mut heard);
        patiently("a burst is answered", answer).await.unwrap();
        assert_eq!(digest(&heard), digest(&said), "{length} bytes");
        slowest = slowest.max(begun.elapsed());
    }
    println!("{}: the slowest answer took {slowest:?}", server.kind());
    shared.leave().await;
}

/// Around what Prosody's proxy reads and passes on at a time (8192 and 4096 bytes): it holds back
/// what it has read and not passed on until something follows.
const LENGTHS: [usize; 10] = [1, 4096, 4097, 5000, 8192, 8193, 12_289, 16_384, 65_536, 7];
