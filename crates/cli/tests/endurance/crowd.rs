//! A thousand programs at once.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::stage::{CROWDED, Shared, alone, content, pass};

crate::on_each_server!(
    a_thousand_programs_at_once_get_their_own_bytes,
    a_thousand_direct_connections_at_once_share_one_listener,
);

async fn a_thousand_programs_at_once_get_their_own_bytes(kind: ServerKind) {
    a_thousand_at_once(kind, "ibb").await;
}

async fn a_thousand_direct_connections_at_once_share_one_listener(kind: ServerKind) {
    a_thousand_at_once(kind, "socks5-direct").await;
}

async fn a_thousand_at_once(kind: ServerKind, transport: &'static str) {
    let _alone = alone().await;
    let Some(mut shared) = Shared::over(kind, transport).await else {
        return;
    };
    shared.serve_echo();
    let over = format!("{transport} on {kind}");
    crowd(&shared, &over, FEW).await;
    let start = shared.vitals().map(|process| process.memory());
    crowd(&shared, &over, CROWD).await;
    shared.all_closed(FEW + CROWD).await;
    let first = shared.vitals().map(|process| process.memory());
    crowd(&shared, &over, CROWD).await;
    shared.all_closed(CROWD).await;
    let second = shared.vitals().map(|process| process.memory());
    eprintln!("memory: {start:?} at the start, {first:?} after a crowd, {second:?} after another");
    for (start, first) in start.into_iter().zip(first) {
        assert!(first <= start + KEPT, "{start} before, {first} after");
    }
    if grown(first, second) {
        // A process may hold more at once in one crowd than in the one before; a leak grows with each.
        crowd(&shared, &over, CROWD).await;
        shared.all_closed(CROWD).await;
        let third = shared.vitals().map(|process| process.memory());
        assert!(!grown(second, third), "{second:?} before, {third:?} after");
    }
    shared.leave().await;
}

/// Whether a process has noticeably more than before.
fn grown(before: [u64; 2], after: [u64; 2]) -> bool {
    let mut both = before.into_iter().zip(after);
    both.any(|(before, after)| after > before + KEPT / 4)
}

/// So many programs, each of which is served while all the others are connected.
async fn crowd(shared: &Shared, over: &str, count: u64) {
    let begun = Instant::now();
    let mut programs = JoinSet::new();
    let all = Arc::new(Barrier::new(usize::try_from(count).unwrap()));
    for seed in 0..count {
        let (tube, all) = (shared.tube, Arc::clone(&all));
        programs.spawn(async move {
            let mut socket = TcpStream::connect(tube).await.unwrap();
            pass(&mut socket, &content(seed, SAID)).await;
            timeout(CROWDED, all.wait()).await.expect("all are served");
            pass(&mut socket, &content(!seed, SAID)).await;
            socket.shutdown().await.unwrap();
            let rest = timeout(CROWDED, socket.read(&mut [0; 1])).await;
            assert_eq!(rest.expect("an end").unwrap(), 0);
        });
    }
    programs.join_all().await;
    eprintln!(
        "{count} programs at once over {over}: {:?}",
        begun.elapsed()
    );
}

const FEW: u64 = 10;

const CROWD: u64 = 1000;

/// Bytes that a program says at a time.
const SAID: usize = 3000;

/// What a process may keep of the memory that a crowd took: its allocator does not give all of
/// it back, and uses it for the next.
const KEPT: u64 = 32 * 1024 * 1024;
