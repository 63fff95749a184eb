//! The uses that the README shows, with the real programs: curl, and ssh with its daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use program::{Account, PATIENCE, Program, free_port, friends, words};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tubes_server::ServerKind;

/// A web server with one page; every connection is answered and closed.
async fn web_server(page: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    page.len()
                );
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&page).await.unwrap();
            });
        }
    });
    address.to_string()
}

async fn curl_through_offer_and_accept(kind: ServerKind) {
    let Some((alice, fernand)) = friends(kind).await else {
        return;
    };
    let page: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    let service = web_server(page.clone()).await;
    let offer = ["offer", &service, "--to", &fernand.jid, "--service", "http"];
    let offering = Program::start(&words(&alice.with(&offer)));
    let accept = [
        "accept",
        "--from",
        &alice.jid,
        "--service",
        "http",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut accepting = Program::start(&words(&fernand.with(&accept)));
    let listening = accepting.event("listening").await;
    let address = listening["address"]
        .as_str()
        .unwrap()
        .trim_start_matches("tcp:")
        .to_owned();
    for _ in 0..3 {
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
            .arg(format!("http://{address}/"))
            .output();
        let output = ended(curl.await.unwrap());
        assert!(output.stdout == page, "the page came damaged");
    }
    for program in [offering, accepting] {
        program.signal(Signal::TERM);
        assert_eq!(program.end().await, (Some(0), String::new()));
    }
}

/// An SSH daemon on a free port, which lets the bearer of a throwaway key in as this user.
struct Sshd {
    _daemon: Child,
    folder: TempDir,
    port: u16,
}

impl Sshd {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name: &str| folder.path().join(name);
        for key in ["host_key", "user_key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(file(key))
                .output();
            ended(made.await.unwrap());
        }
        // Another test may draw a port before the daemon has it.
        for _ in 0..5 {
            let port = free_port();
            let mut daemon = Self::spawn(folder.path(), port);
            if listens(&mut daemon, port).await {
                return Self {
                    _daemon: daemon,
                    folder,
                    port,
                };
            }
        }
        panic!("sshd ends wherever it is to listen");
    }

    fn spawn(folder: &Path, port: u16) -> Child {
        let file = |name: &str| folder.join(name);
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {}\nPasswordAuthentication no\n",
            file("host_key").display(),
            file("user_key.pub").display()
        );
        fs::write(file("sshd_config"), config).unwrap();
        Command::new(sshd())
            .args(["-D", "-e", "-f"])
            .arg(file("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// `ssh` with a proxy command, ready for what to run there.
    fn client(&self, proxy: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg("none")
            .arg("-i")
            .arg(self.folder.path().join("user_key"));
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            &format!("ProxyCommand={proxy}"),
        ] {
            ssh.arg("-o").arg(option);
        }
        ssh.arg("alice-laptop")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        ssh
    }
}

async fn ssh_through_a_proxy_command(kind: ServerKind) {
    let Some((alice, fernand)) = friends(kind).await else {
        return;
    };
    // The daemon insists on the folder where it would drop its privileges.
    if rustix::process::geteuid().is_root() {
        fs::create_dir_all("/run/sshd").unwrap();
        fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
    }
    let sshd = Sshd::start().await;
    let service = format!("127.0.0.1:{}", sshd.port);
    let offer = ["offer", &service, "--to", &fernand.jid, "--service", "ssh"];
    let mut offering = Program::start(&words(&alice.with(&offer)));
    // `connect` waits a minute for an offer.
    offering.event("online").await;

    let mut ssh = sshd.client(&proxy_command(&fernand, &alice.jid));
    let mut ssh = ssh
        .args(["sha256sum", "&&", "echo", "done"])
        .spawn()
        .unwrap();
    let input = vec![7; 1 << 20];
    let mut stdin = ssh.stdin.take().unwrap();
    stdin.write_all(&input).await.unwrap();
    drop(stdin);
    let output = timeout(PATIENCE, ssh.wait_with_output())
        .await
        .expect("ssh ends");
    let said = String::from_utf8(ended(output.unwrap()).stdout).unwrap();
    let wanted: String = <sha2::Sha256 as sha2::Digest>::digest(&input)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(said, format!("{wanted}  -\ndone\n"));

    offering.signal(Signal::TERM);
    assert_eq!(offering.end().await, (Some(0), String::new()));
}

fn proxy_command(account: &Account, offerer: &str) -> String {
    let words = account.with(&["connect", offerer, "ssh", "--wait", "60"]);
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("'{}' {}", env!("CARGO_BIN_EXE_tubes"), quoted.join(" "))
}

/// The output of a program that has to succeed.
fn ended(output: Output) -> Output {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn sshd() -> PathBuf {
    let path = Path::new("/usr/sbin/sshd");
    assert!(
        path.exists(),
        "sshd is missing: install the package openssh-server"
    );
    path.to_owned()
}

/// Whether a daemon listens there in the end: if it has ended, whoever does is somebody else.
async fn listens(daemon: &mut Child, port: u16) -> bool {
    let listening = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            if daemon.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(BETWEEN_TRIES).await;
        }
        daemon.try_wait().unwrap().is_none()
    };
    timeout(PATIENCE, listening).await.expect("sshd listens")
}

/// Nothing tells when a daemon listens: it is asked, but not without a rest.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

macro_rules! on_each_server {
    ($($use:ident),+) => {
        mod embedded { $(#[tokio::test] async fn $use() {
            super::$use(super::ServerKind::Embedded).await;
        })+ }
        mod prosody { $(#[tokio::test] async fn $use() {
            super::$use(super::ServerKind::Prosody).await;
        })+ }
        mod ejabberd { $(#[tokio::test] async fn $use() {
            super::$use(super::ServerKind::Ejabberd).await;
        })+ }
    };
}

on_each_server!(curl_through_offer_and_accept, ssh_through_a_proxy_command);
