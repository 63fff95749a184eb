//! Readers that never read.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::program::PATIENCE;
use crate::stage::{Shared, alone, content};
use crate::vitals::{Vitals, in_kernel};

crate::on_each_server!(
    a_service_that_never_reads_holds_its_program_back,
    a_program_that_never_reads_holds_its_service_back,
    a_hundred_connections_that_nobody_reads_cost_little,
);

async fn a_service_that_never_reads_holds_its_program_back(kind: ServerKind) {
    let _alone = alone().await;
    let Some(shared) = Shared::on(kind).await else {
        return;
    };
    let (program, served) = shared.connection().await;
    holds_back(&shared, program, served).await;
    shared.leave().await;
}

async fn a_program_that_never_reads_holds_its_service_back(kind: ServerKind) {
    let _alone = alone().await;
    let Some(shared) = Shared::on(kind).await else {
        return;
    };
    let (program, served) = shared.connection().await;
    holds_back(&shared, served, program).await;
    shared.leave().await;
}

async fn a_hundred_connections_that_nobody_reads_cost_little(kind: ServerKind) {
    let _alone = alone().await;
    let Some(shared) = Shared::on(kind).await else {
        return;
    };
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(shared.connection().await);
    }
    let growth = Growth::from_here(&shared);
    let mut writing = JoinSet::new();
    for (program, served) in connections {
        writing.spawn(async {
            let (mut program, mut served) = (program, served);
            tokio::join!(
                write_until_stalled(&mut program),
                write_until_stalled(&mut served)
            );
            (program, served)
        });
    }
    let connections = writing.join_all().await;
    growth.assert_below("a hundred connections", ALL_HELD);
    drop(connections);
    shared.leave().await;
}

/// Writes until nothing is taken any more, and then has it all read.
async fn holds_back(shared: &Shared, mut writer: TcpStream, mut reader: TcpStream) {
    // What is made once is there when it is counted.
    let warm = content(1, WARM);
    tokio::join!(
        async { writer.write_all(&warm).await.unwrap() },
        read(&mut reader, &warm)
    );
    let growth = Growth::from_here(shared);
    let written = write_until_stalled(&mut writer).await;
    // The kernel's figures are not of one moment.
    let kept = in_kernel(&writer) + in_kernel(&reader);
    let held = (written.len() as u64).saturating_sub(kept);
    eprintln!(
        "{} bytes accepted, of which {held} beyond the kernel",
        written.len()
    );
    assert!(held <= HELD, "{held} bytes are held");
    growth.assert_below("one connection", ONE_HELD);
    // Nothing is lost, and the tube goes on.
    read(&mut reader, &written).await;
    tokio::join!(
        async { writer.write_all(&warm).await.unwrap() },
        read(&mut reader, &warm)
    );
}

/// Writes as much as is taken; returns what was.
async fn write_until_stalled(socket: &mut TcpStream) -> Vec<u8> {
    let all = content(2, MOST);
    let mut accepted = 0;
    while let Some(next) = all.get(accepted..).filter(|rest| !rest.is_empty()) {
        match timeout(STALL, socket.write(next)).await {
            Ok(length) => accepted += length.unwrap(),
            Err(_) => break,
        }
    }
    all.get(..accepted).unwrap().to_vec()
}

async fn read(socket: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    let reading = timeout(PATIENCE, socket.read_exact(&mut heard)).await;
    reading.expect("all that was written").unwrap();
    assert!(heard == expected, "it came damaged");
}

/// How much memory both processes take, at the peak.
struct Growth {
    before: [(Vitals, u64); 2],
}

impl Growth {
    fn from_here(shared: &Shared) -> Self {
        Self {
            before: shared.vitals().map(|process| {
                process.forget_peak();
                (process, process.memory())
            }),
        }
    }

    fn assert_below(&self, what: &str, limit: u64) {
        for ((process, before), who) in self.before.iter().zip(["offer", "accept"]) {
            let more = process.peak().saturating_sub(*before);
            eprintln!("{what}: {more} bytes more in `{who}`, which had {before}");
            assert!(more <= limit, "{what}: {more} bytes more in `{who}`");
        }
    }
}

/// The promise: what one direction of a connection may hold beyond the kernel's buffers.
const HELD: u64 = 512 * 1024;

/// One connection's, both ends of it in one process, and the pages that come with first use.
const ONE_HELD: u64 = 4 * 1024 * 1024;

/// The promise: what a hundred connections that nobody reads may cost a process.
const ALL_HELD: u64 = 64 * 1024 * 1024;

/// Far more than a direction takes.
const MOST: usize = 4 * 1024 * 1024;

const WARM: usize = 1024 * 1024;

/// A write that takes this long has stalled. On a machine that is so busy that it has not the
/// test measures less, and is still right.
const STALL: Duration = Duration::from_secs(3);
