//! What is told to, and started for, those who connect: commands, headers, shared socket files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use program::{Account, PATIENCE, Program, free_port, friends, words};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tubes_server::ServerKind;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn offer(account: &Account, to: &Account, what: &[&str]) -> Program {
    let command = ["offer", "--to", &to.jid, "--service", "x-test"];
    Program::start(&words(&account.with(&[&command, what].concat())))
}

/// Accepts at a port; who does so, and where.
async fn accept(account: &Account, from: &Account) -> (Program, SocketAddr) {
    let command = ["accept", "--from", &from.jid, "--listen", "127.0.0.1:0"];
    let mut accepting = Program::start(&words(&account.with(&command)));
    let listening = accepting.event("listening").await;
    let address = listening["address"].as_str().unwrap();
    let address = address.strip_prefix("tcp:").unwrap().parse().unwrap();
    (accepting, address)
}

/// What is answered to these bytes, to the end.
async fn ask(mut socket: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    let asking = async {
        // Who refuses may do so before all was said.
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut reply).await;
    };
    timeout(PATIENCE, asking).await.expect("a reply");
    reply
}

#[tokio::test]
async fn a_command_serves_each_connection_and_knows_whose_it_is() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let fernand = fernand.with_resource("desk 'top");
    let line = "tr a-z A-Z; printf ' %s %s' \"$TUBES_PEER\" \"$TUBES_SERVICE\"";
    let mut offering = offer(&alice, &fernand, &["--exec", line]);
    let (_accepting, tube) = accept(&fernand, &alice).await;
    for said in ["hello", "again"] {
        let socket = TcpStream::connect(tube).await.unwrap();
        let reply = String::from_utf8(ask(socket, said.as_bytes()).await).unwrap();
        let (loud, peer) = (said.to_uppercase(), &fernand.jid);
        assert_eq!(reply, format!("{loud} {peer}/desk 'top x-test"));
        let closed = offering.event("connection_closed").await;
        assert_eq!(closed["error"], Value::Null);
    }
    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_command_that_fails_is_in_the_log_and_one_that_runs_ends_with_its_offer() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let line = "read what; echo $$; $what";
    let mut offering = offer(&alice, &fernand, &["--exec", line]);
    let (_accepting, tube) = accept(&fernand, &alice).await;
    let socket = TcpStream::connect(tube).await.unwrap();
    ask(socket, b"exit 7\n").await;
    offering.event("connection_closed").await;

    let mut socket = TcpStream::connect(tube).await.unwrap();
    socket.write_all(b"exec sleep 1000\n").await.unwrap();
    let mut said = [0; 32];
    let length = timeout(PATIENCE, socket.read(&mut said)).await.unwrap();
    let said = std::str::from_utf8(&said[..length.unwrap()]).unwrap();
    let pid = Pid::from_raw(said.trim().parse().unwrap()).unwrap();
    offering.signal(Signal::TERM);
    let (code, log) = offering.end().await;
    assert_eq!(code, Some(0));
    assert!(
        log.contains("command failed") && log.contains("exit status: 7"),
        "{log}"
    );
    let gone = async {
        while test_kill_process(pid).is_ok() {
            sleep(BETWEEN_TRIES).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the command is gone");
}

#[tokio::test]
async fn a_program_of_another_process_reads_who_connects_and_haproxy_takes_what_it_reads() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let fernand = fernand.with_resource("caf\u{e9}");
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = service.local_addr().unwrap().to_string();
    let _offering = offer(&alice, &fernand, &[&address, "--proxy-protocol"]);
    let (_accepting, tube) = accept(&fernand, &alice).await;
    let mut program = TcpStream::connect(tube).await.unwrap();
    program.write_all(REQUEST).await.unwrap();
    program.shutdown().await.unwrap();
    let (mut served, _) = timeout(PATIENCE, service.accept()).await.unwrap().unwrap();
    let mut heard = Vec::new();
    let reading = served.read_to_end(&mut heard);
    timeout(PATIENCE, reading).await.unwrap().unwrap();

    let header = heard.strip_suffix(REQUEST).unwrap();
    let jid = format!("{}/caf\u{e9}", fernand.jid);
    // The signature, a version, a family, a length, and addresses of IPv4 come before.
    let [0xe0, high, low, peer @ ..] = &header[28..] else {
        panic!("names nobody: {header:?}");
    };
    assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), jid.len());
    assert_eq!(std::str::from_utf8(peer), Ok(jid.as_str()));

    let Some(haproxy) = Haproxy::start().await else {
        return;
    };
    let answer = ask(haproxy.connect().await, &heard).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let source = format!("x-source: {}", served.peer_addr().unwrap());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&source), "{source} is not in: {answer}");
    // A wrong signature, a version that does not exist, and a header too short for its addresses.
    for (at, wrong) in [(SIGNATURE.len() - 1, b'x'), (12, 0x31), (15, 4)] {
        let mut corrupted = heard.clone();
        corrupted[at] = wrong;
        let answer = ask(haproxy.connect().await, &corrupted).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.contains("HTTP/1.1 200"), "{at}: {answer}");
    }
}

#[tokio::test]
async fn a_web_site_behind_haproxy_is_shared_with_its_header() {
    let Some(haproxy) = Haproxy::start().await else {
        return;
    };
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let front = format!("unix:{}", haproxy.front().display());
    let _offering = offer(&alice, &fernand, &[&front, "--proxy-protocol"]);
    let (_accepting, tube) = accept(&fernand, &alice).await;
    let socket = TcpStream::connect(tube).await.unwrap();
    let answer = String::from_utf8(ask(socket, REQUEST).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What the header says of a Unix socket; without one haproxy would have no address.
    assert!(answer.contains("x-source: 0.0.0.0:"), "{answer}");
}

#[tokio::test]
async fn a_socket_file_is_shared_with_a_group() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &["--exec", "exec cat"]);
    let path = fernand.file("tube.sock");
    let listen = format!("unix:{}", path.display());
    let own = rustix::process::getegid().as_raw().to_string();
    // Only root may give files away.
    let user = rustix::process::geteuid();
    let user = if user.is_root() { 65534 } else { user.as_raw() };
    let owner = user.to_string();
    for (more, mode) in [
        (&["--owner", &owner][..], 0o600),
        (&["--group", &own], 0o660),
        (&["--mode", "0666"], 0o666),
        (&["--access", "credentials"], 0o600),
    ] {
        let command = ["accept", "--from", &alice.jid, "--listen", &listen];
        let all = [&command, more].concat();
        let mut accepting = Program::start(&words(&fernand.with(&all)));
        accepting.event("listening").await;
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        if more.contains(&"--owner") {
            assert_eq!(fs::metadata(&path).unwrap().uid(), user);
        }
        let socket = UnixStream::connect(&path).await.unwrap();
        assert_eq!(ask(socket, b"echo").await, b"echo");
        accepting.signal(Signal::TERM);
        assert_eq!(accepting.end().await, (Some(0), String::new()));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn only_the_program_with_the_right_port_is_let_in() {
    let (alice, fernand) = friends(ServerKind::Embedded).await.unwrap();
    let _offering = offer(&alice, &fernand, &["--exec", "exec cat"]);
    let right = tokio::net::TcpSocket::new_v4().unwrap();
    right.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let access = format!("port:{}", right.local_addr().unwrap().port());
    let command = ["accept", "--from", &alice.jid, "--listen", "127.0.0.1:0"];
    let all = [&command[..], &["--access", &access]].concat();
    let mut accepting = Program::start(&words(&fernand.with(&all)));
    let listening = accepting.event("listening").await;
    let tube: SocketAddr = listening["address"].as_str().unwrap()[4..].parse().unwrap();
    // It may be cut off before it knows that it was connected.
    let wrong = async { TcpStream::connect(tube).await?.read_u8().await };
    let error = timeout(PATIENCE, wrong).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        ask(right.connect(tube).await.unwrap(), b"echo").await,
        b"echo"
    );
}

/// haproxy, which demands a header at a TCP port and at a Unix socket, and hands on what it makes of
/// it to a web server, which answers with what it was asked.
struct Haproxy {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Haproxy {
    /// None where it is not installed.
    async fn start() -> Option<Self> {
        let Some(program) = haproxy() else {
            let missing = "haproxy is missing: install the package haproxy";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        };
        let mirror = mirror().await;
        // Another test may draw a port before haproxy has it.
        for _ in 0..5 {
            let mut haproxy = Self::spawn(&program, mirror);
            if haproxy.listens().await {
                return Some(haproxy);
            }
        }
        panic!("haproxy ends wherever it is to listen");
    }

    /// In front of that web server.
    fn spawn(program: &Path, web: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let front = folder.path().join("front.sock");
        let config = format!(
            "defaults\n mode http\n timeout connect 30s\n timeout client 30s\n timeout server 30s\n\
             frontend front\n bind 127.0.0.1:{port} accept-proxy\n bind {} accept-proxy\n\
             \x20http-request set-header X-Source %[src]:%[src_port]\n default_backend back\n\
             backend back\n server web {web}\n",
            front.display(),
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let process = Command::new(program)
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            process,
            folder,
            port,
        }
    }

    /// Whether it listens in the end: if it has ended, whoever does is somebody else.
    async fn listens(&mut self) -> bool {
        let (address, front) = (("127.0.0.1", self.port), self.front());
        let listening = async {
            while TcpStream::connect(address).await.is_err() || !front.exists() {
                if self.process.try_wait().unwrap().is_some() {
                    return false;
                }
                sleep(BETWEEN_TRIES).await;
            }
            self.process.try_wait().unwrap().is_none()
        };
        timeout(PATIENCE, listening).await.expect("haproxy listens")
    }

    fn front(&self) -> PathBuf {
        self.folder.path().join("front.sock")
    }

    async fn connect(&self) -> TcpStream {
        let connecting = TcpStream::connect(("127.0.0.1", self.port));
        connecting.await.unwrap()
    }
}

/// A web server that answers with what it was asked; where it is.
async fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") && socket.read_buf(&mut asked).await? > 0 {}
                let length = asked.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                socket.write_all(head.as_bytes()).await?;
                socket.write_all(&asked).await
            });
        }
    });
    address
}

/// Debian keeps it off the path of ordinary users.
fn haproxy() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("haproxy"));
    programs.find(|program| program.exists())
}

/// A web server is to close after its answer.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: tubes.test\r\nConnection: close\r\n\r\n";

/// Nothing tells when a daemon listens, or a process is gone: it is asked, but not without a rest.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
