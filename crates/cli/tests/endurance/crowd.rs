//! A thousand programs at once.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::program::PATIENCE;
use crate::stage::{Shared, alone, content, pass};

crate::on_each_server!(a_thousand_programs_at_once_get_their_own_bytes);

async fn a_thousand_programs_at_once_get_their_own_bytes(kind: ServerKind) {
    let _alone = alone().await;
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    shared.serve_echo();
    crowd(&shared, kind, FEW).await;
    let start = shared.vitals().map(|process| process.memory());
    crowd(&shared, kind, CROWD).await;
    shared.all_closed(FEW + CROWD).await;
    let first = shared.vitals().map(|process| process.memory());
    crowd(&shared, kind, CROWD).await;
    shared.all_closed(CROWD).await;
    let second = shared.vitals().map(|process| process.memory());
    eprintln!("memory: {start:?} at the start, {first:?} after a crowd, {second:?} after another");
    for ((start, first), second) in start.into_iter().zip(first).zip(second) {
        assert!(first <= start + KEPT, "{start} before, {first} after");
        assert!(second <= first + KEPT / 4, "{first} before, {second} after");
    }
    shared.leave().await;
}

/// So many programs, each of which is served while all the others are connected.
async fn crowd(shared: &Shared, kind: ServerKind, count: u64) {
    let begun = Instant::now();
    let mut programs = JoinSet::new();
    let all = Arc::new(Barrier::new(usize::try_from(count).unwrap()));
    for seed in 0..count {
        let (tube, all) = (shared.tube, Arc::clone(&all));
        programs.spawn(async move {
            let mut socket = TcpStream::connect(tube).await.unwrap();
            pass(&mut socket, &content(seed, SAID)).await;
            timeout(PATIENCE, all.wait()).await.expect("all are served");
            pass(&mut socket, &content(!seed, SAID)).await;
            socket.shutdown().await.unwrap();
            let rest = timeout(PATIENCE, socket.read(&mut [0; 1])).await;
            assert_eq!(rest.expect("an end").unwrap(), 0);
        });
    }
    programs.join_all().await;
    eprintln!("{count} programs at once on {kind}: {:?}", begun.elapsed());
}

const FEW: u64 = 10;

const CROWD: u64 = 1000;

/// Bytes that a program says at a time.
const SAID: usize = 3000;

/// What a process may keep of the memory that a crowd took: its allocator does not give all of
/// it back, and uses it for the next.
const KEPT: u64 = 32 * 1024 * 1024;
