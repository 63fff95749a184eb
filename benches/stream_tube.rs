//! How fast bytes go through a tube and how fast a connection opens, by transport and server.
//!
//! `cargo bench --bench stream_tube`, or with a part of a name: `-- ibb/prosody`. Compare only
//! figures of the same run: machines differ, and so do their moods.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark may panic"
)]

use std::net::{Ipv4Addr, SocketAddr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tubes::{
    Access, Account, Address, BareJid, Direction, Encryption, Event, Events, Offer, TransportName,
    Tubes,
};
use tubes_server::{Server, ServerKind, Setup};

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
            let name = format!("{}/{}/{kind}", way.transport, way.name());
            throughput(criterion, &runtime, &tube, &name);
            set_up(criterion, &runtime, &tube, &name);
            runtime.block_on(tube.close());
        }
    }
}

/// How bytes are carried.
#[derive(Clone, Copy)]
struct Way {
    transport: TransportName,
    encryption: Encryption,
}

/// Plain and encrypted side by side.
const WAYS: [Way; 6] = {
    use Encryption::{Off, Required};
    use TransportName::{Ibb, Socks5Direct, Socks5Proxy};
    const fn way(transport: TransportName, encryption: Encryption) -> Way {
        Way {
            transport,
            encryption,
        }
    }
    [
        way(Socks5Direct, Off),
        way(Socks5Direct, Required),
        way(Socks5Proxy, Off),
        way(Socks5Proxy, Required),
        way(Ibb, Off),
        way(Ibb, Required),
    ]
};

impl Way {
    fn name(self) -> &'static str {
        match self.encryption {
            Encryption::Off => "plain",
            _ => "encrypted",
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
    alice: Tubes,
    fernand: Tubes,
    address: SocketAddr,
}

impl Tube {
    async fn new(server: &Server, way: Way) -> Self {
        let (alice, alice_jid, _) = log_in(server, "alice", way).await;
        let (fernand, fernand_jid, mut events) = log_in(server, "fernand", way).await;
        let service = counting_service().await;
        alice.befriend(&fernand_jid).await;
        fernand.befriend(&alice_jid).await;
        alice
            .offer(Offer::new(fernand_jid, "x-bench", service))
            .await
            .unwrap();
        let tube = loop {
            if let Event::TubeOffered {
                tube,
                direction: Direction::In,
                ..
            } = events.next().await.unwrap()
            {
                break tube;
            }
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        let address = fernand
            .accept(tube, listen, Access::Localhost)
            .await
            .unwrap();
        let address = address
            .to_string()
            .trim_start_matches("tcp:")
            .parse()
            .unwrap();
        Self {
            alice,
            fernand,
            address,
        }
    }

    async fn close(self) {
        self.alice.leave().await;
        self.fernand.leave().await;
    }
}

async fn log_in(server: &Server, name: &str, way: Way) -> (Tubes, BareJid, Events) {
    let account = server.fresh_account(name).await.unwrap();
    let address = server.address();
    let credentials = Account::new(account.jid.clone().into(), account.password)
        .and_then(|account| account.with_server(&address.ip().to_string(), address.port()))
        .and_then(|account| account.with_roots_pem(server.ca().pem().as_bytes()))
        .unwrap();
    let (tubes, events) = Tubes::builder(credentials)
        .transports([way.transport])
        .keys_in(concat!(env!("CARGO_TARGET_TMPDIR"), "/keys"))
        .encryption(way.encryption)
        .start()
        .await
        .unwrap();
    (tubes, account.jid, events)
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
