//! How fast bytes go through a tube and how fast a connection opens, by transport and server.
//!
//! `cargo bench --bench stream_tube`, or with a part of a name: `-- ibb/plain/prosody`. Compare only
//! figures of the same run: machines differ, and so do their moods.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark may panic, and nobody uses it"
)]

mod pair;

use std::net::{Ipv4Addr, SocketAddr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tubes::Address;
use tubes_server::{Server, ServerKind, Setup};

use self::pair::{Pair, WAYS, Way};

fn stream_tubes(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for kind in ServerKind::ALL {
        if let Err(missing) = kind.available() {
            eprintln!("without {kind}: {missing}");
            continue;
        }
        let server = runtime
            .block_on(Server::start(kind, Setup::new().with_proxy()))
            .unwrap();
        for way in WAYS {
            let tube = runtime.block_on(Tube::new(&server, way));
            let name = way.name(kind);
            throughput(criterion, &runtime, &tube, &name);
            set_up(criterion, &runtime, &tube, &name);
            runtime.block_on(tube.close());
        }
    }
}

/// One mebibyte from the program to the service, on an open connection.
fn throughput(criterion: &mut Criterion, runtime: &Runtime, tube: &Tube, name: &str) {
    let block = vec![7; 1 << 20];
    let mut socket = runtime.block_on(TcpStream::connect(tube.address)).unwrap();
    let mut group = criterion.benchmark_group("throughput");
    group
        .throughput(Throughput::Bytes(block.len() as u64))
        .sample_size(10);
    group.bench_function(BenchmarkId::from_parameter(name), |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                socket.write_all(&block).await.unwrap();
                // The service says when it has everything.
                socket.read_u8().await.unwrap()
            })
        });
    });
    group.finish();
}

/// From the program's connect to the first byte of the service's answer.
fn set_up(criterion: &mut Criterion, runtime: &Runtime, tube: &Tube, name: &str) {
    let mut group = criterion.benchmark_group("set_up");
    group.sample_size(20);
    group.bench_function(BenchmarkId::from_parameter(name), |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                let mut socket = TcpStream::connect(tube.address).await.unwrap();
                socket.write_all(&[7]).await.unwrap();
                socket.shutdown().await.unwrap();
                socket.read_u8().await.unwrap()
            })
        });
    });
    group.finish();
}

/// A tube from Alice to Fernand.
struct Tube {
    pair: Pair,
    address: SocketAddr,
}

impl Tube {
    async fn new(server: &Server, way: Way) -> Self {
        let mut pair = Pair::new(server, way).await;
        let address = pair.tube(counting_service().await).await;
        Self { pair, address }
    }

    async fn close(self) {
        self.pair.close().await;
    }
}

/// A service that answers each mebibyte, and the end, with a byte.
async fn counting_service() -> Address {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                let mut rest = 1 << 20;
                while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                    rest -= read;
                    if rest == 0 {
                        rest = 1 << 20;
                        socket.write_u8(0).await.unwrap();
                    }
                }
                let _ = socket.write_u8(0).await;
            });
        }
    });
    address.into()
}

criterion_group!(benches, stream_tubes);
criterion_main!(benches);
