//! Starting and ending again and again in one process leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "most of it is for the other tests"
)]
#[path = "end_to_end/stage/mod.rs"]
mod stage;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tubes::Event;
use tubes_server::{Server, ServerKind};

use crate::stage::{Family, PATIENCE, Service, Shared, Stream, echo, patiently, share};

#[test]
fn leaving_leaves_nothing_behind() {
    again_and_again(|runtime, server| {
        runtime.block_on(async {
            let (shared, program) = in_use(server).await;
            drop(program);
            let (of_alice, of_fernand) = shared.leave().await;
            for event in of_alice.iter().chain(&of_fernand) {
                assert!(!matches!(event, Event::Offline { .. }), "{event:?}");
            }
        });
    });
}

#[test]
fn leaving_amid_connections_leaves_nothing_behind() {
    again_and_again(|runtime, server| {
        runtime.block_on(async {
            let (shared, mut program) = in_use(server).await;
            shared.leave().await;
            let end = patiently("the program is cut off", program.read_u8());
            end.await.unwrap_err();
        });
    });
}

#[test]
fn dropping_the_handle_is_enough() {
    again_and_again(|runtime, server| {
        runtime.block_on(async {
            let (shared, mut program) = in_use(server).await;
            drop(shared);
            let end = patiently("the program is cut off", program.read_u8());
            end.await.unwrap_err();
        });
    });
}

#[test]
fn the_runtime_may_end_before_the_handle() {
    again_and_again(|runtime, server| {
        let own = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (mut shared, program) = own.block_on(in_use(server));
        own.shutdown_background();
        drop(program);
        // Whoever still listens is told, and nothing waits for ever.
        runtime.block_on(async {
            shared
                .fernand
                .event(|event| matches!(event, Event::Offline { retry_in: None, .. }).then_some(()))
                .await;
            shared.fernand.tube_closed().await;
            let offer =
                tubes::Offer::new(shared.alice.jid.clone(), "x-late", shared.address.clone());
            shared.fernand.tubes.offer(offer).await.unwrap_err();
            patiently("the rest is left", shared.leave()).await;
        });
    });
}

/// Alice's service in use by a program of Fernand's.
async fn in_use(server: &Server) -> (Shared, Stream) {
    let service = Service::listen(Family::Tcp).await.unwrap();
    let address = service.address();
    tokio::spawn(async move { echo(service.accept().await).await });
    let shared = share(server, &address).await;
    let mut program = shared.program().await;
    program.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    let reading = program.read_exact(&mut hello);
    patiently("the echo comes", reading).await.unwrap();
    (shared, program)
}

/// Runs several rounds, after each of which everything must be as before.
fn again_and_again(round: impl Fn(&Runtime, &'static Server)) {
    let _alone = alone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    if !ServerKind::Embedded.wanted().unwrap() {
        return;
    }
    let starting = patiently("the server starts", Server::shared(ServerKind::Embedded));
    let server = runtime.block_on(starting).unwrap();
    // The first round also makes what stays for good, such as the runtime's own threads.
    round(&runtime, server);
    let before = settled(|_| true);
    for _ in 0..ROUNDS {
        round(&runtime, server);
        settled(|now| now.threads <= before.threads && now.descriptors <= before.descriptors);
    }
}

/// What the process has.
#[derive(Clone, Copy, Debug)]
struct Belongings {
    threads: usize,
    descriptors: usize,
}

/// Waits until no account is left and what there is suits; then it must.
fn settled(suits: impl Fn(Belongings) -> bool) -> Belongings {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = Belongings {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
        };
        if control_threads() == 0 && suits(now) {
            return now;
        }
        assert!(
            Instant::now() < deadline,
            "{now:?}, {} accounts are left, and open: {:#?}",
            control_threads(),
            descriptors(),
        );
        thread::sleep(GLANCE);
    }
}

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Each account has one.
fn control_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim() == "tubes-control")
        .count()
}

fn descriptors() -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|fd| Some(format!("{:?}", fs::read_link(fd.ok()?.path()).ok()?)))
        .collect()
}

/// What is counted belongs to the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than the first round may still have open when it is counted, so that one descriptor lost
/// in each is noticed.
const ROUNDS: usize = 10;

/// Between two looks at what the kernel says; there is nothing to wait on.
const GLANCE: Duration = Duration::from_millis(10);
