//! A tube between the two machines, and which way it takes.
//!
//! Unix sockets belong to no network namespace: so the test speaks to both ends.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::network::{Machine, Network};
use crate::program::{BINARY, PATIENCE, Program, words};

/// Alice offers an echo, Fernand accepts it, each on a machine of their own.
pub(crate) struct Tube {
    offering: Program,
    accepting: Program,
    entrance: PathBuf,
}

/// How a connection came about.
#[derive(Debug)]
pub(crate) struct Way {
    /// What Alice's side and Fernand's say of it.
    opened: [Value; 2],
    /// From the program's connecting to the first byte of the echo.
    pub(crate) first_byte: Duration,
}

impl Tube {
    /// Each side is started with further options.
    pub(crate) async fn between(network: &Network, offering: &[&str], accepting: &[&str]) -> Self {
        let Network { alice, fernand, .. } = network;
        let service = alice.account.file("service");
        let entrance = fernand.account.file("tube");
        serve_echo(UnixListener::bind(&service).unwrap());
        let exported = format!("unix:{}", service.display());
        let to = &fernand.account.jid;
        let offer = ["offer", &exported, "--to", to, "--service", "x-test"];
        let offering = alice.start(&[&offer, offering].concat());
        let listen = format!("unix:{}", entrance.display());
        let accept = ["accept", "--from", &alice.account.jid, "--listen", &listen];
        let mut accepting = fernand.start(&[&accept, accepting].concat());
        accepting.event("listening").await;
        Self {
            offering,
            accepting,
            entrance,
        }
    }

    /// Passes bytes through a connection, up to the end of both directions.
    pub(crate) async fn use_it(&mut self) -> Way {
        let said: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        let begun = Instant::now();
        let mut socket = UnixStream::connect(&self.entrance).await.unwrap();
        let mut heard = vec![0; said.len()];
        socket.write_all(&said[..1]).await.unwrap();
        let first = socket.read_exact(&mut heard[..1]);
        timeout(PATIENCE, first).await.expect("a byte").unwrap();
        let first_byte = begun.elapsed();
        let (mut reader, mut writer) = socket.split();
        let rest = async {
            let write = async {
                writer.write_all(&said[1..]).await?;
                writer.shutdown().await
            };
            let read = async {
                reader.read_exact(&mut heard[1..]).await?;
                reader.read(&mut [0]).await
            };
            tokio::try_join!(write, read)
        };
        let ((), after) = timeout(PATIENCE, rest).await.expect("an echo").unwrap();
        assert_eq!(after, 0, "bytes beyond the echo");
        assert!(heard == said, "the echo came damaged");
        let mut opened = Vec::new();
        for program in [&mut self.offering, &mut self.accepting] {
            opened.push(program.event("connection_opened").await);
            let closed = program.event("connection_closed").await;
            assert!(closed["error"].is_null(), "{closed}");
            assert_eq!([&closed["sent"], &closed["received"]], [LENGTH, LENGTH]);
        }
        Way {
            opened: opened.try_into().unwrap(),
            first_byte,
        }
    }
}

impl Way {
    /// Whether both sides went directly, and tried nothing else before.
    pub(crate) fn is_straight(&self) -> bool {
        self.opened.iter().all(|opened| {
            let before = opened["fell_back_from"].as_array().unwrap();
            opened["transport"] == "socks5-direct" && before.is_empty()
        })
    }

    /// Both sides went this way, after these others in this order, and know why.
    pub(crate) fn is(&self, transport: &str, before: &[&str]) {
        self.is_after(transport, [before, before]);
    }

    /// Both sides went this way; what each of them, Alice's first, knows to have failed before.
    pub(crate) fn is_after(&self, transport: &str, before: [&[&str]; 2]) {
        self.is_after_one_of(transport, &[before]);
    }

    /// The same, where it may have come about in several ways.
    pub(crate) fn is_after_one_of(&self, transport: &str, befores: &[[&[&str]; 2]]) {
        let tried = self.opened.each_ref().map(|opened| {
            assert_eq!(opened["transport"], transport, "{self:#?}");
            let tried = opened["fell_back_from"].as_array().unwrap();
            for tried in tried {
                assert!(!tried["reason"].as_str().unwrap().is_empty(), "{self:#?}");
            }
            let names = tried.iter().map(|tried| tried["transport"].as_str());
            names.map(Option::unwrap).collect::<Vec<_>>()
        });
        let tried = tried.each_ref().map(Vec::as_slice);
        assert!(befores.contains(&tried), "{tried:?}: {self:#?}");
    }

    /// Shows how long it took.
    pub(crate) fn print(&self, what: &str) {
        let [offering, accepting] = self.opened.each_ref().map(|opened| &opened["setup_ms"]);
        println!(
            "{what}: first byte after {:.0} ms; set up in {offering} ms and {accepting} ms",
            self.first_byte.as_secs_f64() * 1000.0,
        );
    }
}

impl Machine {
    /// Starts the binary there.
    fn start(&self, command: &[&str]) -> Program {
        let launcher = self.namespace.launcher();
        let launcher = words(&launcher).into_iter().chain([BINARY]);
        let launcher: Vec<_> = launcher.collect();
        Program::start_by(&launcher, &words(&self.account.with(command)))
    }
}

/// Says back what is said, to the end.
fn serve_echo(service: UnixListener) {
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = service.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = socket.split();
                // What goes wrong is seen at the other end.
                if tokio::io::copy(&mut reader, &mut writer).await.is_ok() {
                    let _ = writer.shutdown().await;
                }
            });
        }
    });
}

/// More than a proxy, or a block, takes at once.
const LENGTH: usize = 200_000;
