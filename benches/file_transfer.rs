//! How fast a file goes, beside a tube on the same transport in the same run.
//!
//! `cargo bench --bench file_transfer`, or with a part of a name: `-- ibb/plain/prosody`. Compare only
//! figures of the same run: machines differ, and so do their moods. Files are read from and
//! received into the folder that `TUBES_BENCH_FOLDER` names; its disk is measured first: what it takes
//! when one writes first and syncs then.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark may panic, and nobody uses it"
)]

mod pair;

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tubes::files::{Algorithm, Hasher};
use tubes::{Address, Certainty, Destination, Direction, Event, Outcome, SendFile, TransportName};
use tubes_server::{Server, ServerKind, Setup};

use self::pair::{Pair, WAYS, Way};

fn main() {
    // Beside names, cargo passes options of its own.
    let wanted: Vec<_> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let folder = env::var_os("TUBES_BENCH_FOLDER")
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let files = Files::within(&folder);
    files.measure();
    let runtime = Runtime::new().unwrap();
    for kind in ServerKind::ALL {
        let mut ways = WAYS.to_vec();
        ways.retain(|way| {
            wanted.is_empty() || wanted.iter().any(|part| way.name(kind).contains(part))
        });
        if ways.is_empty() {
            continue;
        }
        if let Err(missing) = kind.available() {
            println!("without {kind}: {missing}");
            continue;
        }
        let setup = Setup::new().with_proxy();
        let server = runtime.block_on(Server::start(kind, setup)).unwrap();
        for way in ways {
            runtime.block_on(compare(&server, way, &way.name(kind), &files));
        }
    }
}

/// Tubes and files by turns, each turn in another order than the one before.
async fn compare(server: &Server, way: Way, name: &str, files: &Files) {
    let mut pair = Pair::new(server, way).await;
    let address = pair.tube(service().await).await;
    let source = files.source(way.transport);
    let size = fs::metadata(&source).unwrap().len();
    let mut ratios = Vec::new();
    for turn in 0..TURNS {
        let (tube, file) = if turn % 2 == 0 {
            let tube = through_tube(address, size).await;
            (tube, as_file(&mut pair, &source, files).await)
        } else {
            let file = as_file(&mut pair, &source, files).await;
            (through_tube(address, size).await, file)
        };
        let ratio = tube.as_secs_f64() / file.as_secs_f64();
        println!(
            "{name:<32} tube {:>7.1} MiB/s   file {:>7.1} MiB/s   ratio {ratio:.2}",
            rate(size, tube),
            rate(size, file),
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("{name:<32} median {:.2}", ratios[TURNS / 2]);
    pair.close().await;
}

/// From the program's connect to the service's word that it has everything.
async fn through_tube(address: SocketAddr, size: u64) -> Duration {
    let block = vec![7; BLOCK];
    let begun = Instant::now();
    let mut socket = TcpStream::connect(address).await.unwrap();
    for _ in 0..size / BLOCK as u64 {
        socket.write_all(&block).await.unwrap();
    }
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read_u64().await.unwrap(), size);
    begun.elapsed()
}

/// From the order to send it to the moment when both know that it is whole and in its place.
async fn as_file(pair: &mut Pair, source: &Path, files: &Files) -> Duration {
    let there = TempDir::new_in(files.folder.path()).unwrap();
    let begun = Instant::now();
    let file = SendFile::new(pair.fernand_jid.clone(), source);
    let mut sending = pair.alice.send_file(file).await.unwrap();
    let file = loop {
        if let Event::FileOffered {
            file,
            direction: Direction::In,
            ..
        } = pair.fernand_events.next().await.unwrap()
        {
            break file;
        }
    };
    let mut receiving = pair.fernand.file(file).unwrap();
    let destination = Destination::open(there.path()).unwrap();
    receiving.accept(destination).await.unwrap();
    let outcomes = tokio::join!(sending.outcome(), receiving.outcome());
    let took = begun.elapsed();
    let (Outcome::Done(sent), Outcome::Done(received)) = outcomes else {
        panic!("{outcomes:?}");
    };
    assert_eq!(received.certainty, Certainty::Verified);
    assert!(sent.sha256.is_some() && sent.sha256 == received.sha256);
    took
}

/// A service that says how much it was told.
async fn service() -> Address {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                let mut heard = 0;
                while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                    heard += read as u64;
                }
                let _ = socket.write_u64(heard).await;
            });
        }
    });
    address.into()
}

/// What is sent, and room for what comes.
struct Files {
    folder: TempDir,
}

impl Files {
    fn within(folder: &Path) -> Self {
        let folder = TempDir::new_in(folder).unwrap();
        for size in [LARGE, SMALL] {
            write(&folder.path().join(size.to_string()), size);
        }
        Self { folder }
    }

    fn source(&self, transport: TransportName) -> PathBuf {
        let size = match transport {
            TransportName::Ibb => SMALL,
            _ => LARGE,
        };
        self.folder.path().join(size.to_string())
    }

    /// What the disk and the sum take on this machine.
    fn measure(&self) {
        let path = self.folder.path().join("written");
        let begun = Instant::now();
        write(&path, LARGE);
        let disk = rate(LARGE, begun.elapsed());
        fs::remove_file(path).unwrap();
        let block = vec![7; BLOCK];
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let begun = Instant::now();
        for _ in 0..LARGE / BLOCK as u64 {
            hasher.update(&block);
        }
        let hash = rate(LARGE, begun.elapsed());
        println!("this disk: {disk:.1} MiB/s, synced   SHA-256: {hash:.1} MiB/s on one processor");
    }
}

/// Writes so many bytes, to the disk, of which no two blocks are the same.
fn write(path: &Path, size: u64) {
    let mut block: Vec<_> = (0..BLOCK).map(|at| (at * 7 % 251) as u8).collect();
    let mut file = File::create(path).unwrap();
    for number in 0..size / BLOCK as u64 {
        block[..8].copy_from_slice(&number.to_be_bytes());
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
}

/// In MiB/s.
fn rate(size: u64, took: Duration) -> f64 {
    size as f64 / took.as_secs_f64() / (1 << 20) as f64
}

/// Written at a time.
const BLOCK: usize = 1 << 20;

/// What goes over a connection.
const LARGE: u64 = 1 << 30;

/// What goes in stanzas, which takes long. Still more than what is read twice, so that it is sent
/// like a large one.
const SMALL: u64 = 32 << 20;

/// An odd number has a middle.
const TURNS: usize = 5;
