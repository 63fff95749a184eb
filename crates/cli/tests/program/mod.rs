//! The binary as a user runs it, and a server with two accounts for it.

#![allow(dead_code, reason = "every test file needs some of it")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tubes_server::{Server, ServerKind};

/// Runs the binary to its end, with nothing on standard input.
pub(crate) async fn run(args: &[&str]) -> Output {
    run_within(PATIENCE, args).await
}

/// The same for something that takes long.
pub(crate) async fn run_within(patience: Duration, args: &[&str]) -> Output {
    let running = command(args).stdin(Stdio::null()).output();
    timeout(patience, running).await.expect("it ends").unwrap()
}

/// Runs the binary to its end with RUST_LOG set.
pub(crate) async fn run_logging(filter: &str, args: &[&str]) -> Output {
    let mut command = command(args);
    let running = command
        .stdin(Stdio::null())
        .env("RUST_LOG", filter)
        .output();
    timeout(PATIENCE, running).await.expect("it ends").unwrap()
}

/// Runs `discover` until it tells this, three times at most: it looks for a quarter of a minute, and
/// whoever is looked for has only just come online, at a server that may only just have started.
pub(crate) async fn discover(look: &[&str], told: &str) -> Output {
    for _ in 0..2 {
        let output = run(look).await;
        if String::from_utf8_lossy(&output.stdout).contains(told) {
            return output;
        }
        eprintln!("once more, after {output:?}");
    }
    run(look).await
}

/// The one line on standard error that says why it failed.
pub(crate) fn complaint(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// Standard output as events, each of which must be an object with a name and a time.
pub(crate) fn events(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(event).collect()
}

fn event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap();
    assert!(event["event"].is_string(), "{line}");
    let time = event["time"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
    event
}

/// The binary while it runs. It dies with this value.
pub(crate) struct Program {
    child: Child,
    /// Read at once, so that a test that does not ask for them holds nothing up.
    events: mpsc::UnboundedReceiver<String>,
    /// Those that a test has asked for, or passed over.
    heard: Vec<String>,
    complaints: JoinHandle<String>,
}

impl Program {
    /// Starts the binary with `--output json`.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(command(args))
    }

    /// Starts it by these words instead of its name alone: those of a program that restricts it,
    /// and what that is to start.
    pub(crate) fn start_by(launcher: &[&str], args: &[&str]) -> Self {
        let (program, words) = launcher.split_first().unwrap();
        let mut command = prepared(Command::new(program));
        command.args(words).args(args);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command
            .args(["--output", "json"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (told, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // The test may want no more.
                let _ = told.send(line);
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let complaints = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.unwrap();
            text
        });
        Self {
            child,
            events,
            heard: Vec::new(),
            complaints,
        }
    }

    /// The next event of this name; others are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.event_within(PATIENCE, name).await
    }

    /// The same for something that takes long.
    pub(crate) async fn event_within(&mut self, patience: Duration, name: &str) -> Value {
        loop {
            let line = timeout(patience, self.events.recv()).await;
            let Ok(Some(line)) = line else {
                self.child.start_kill().ok();
                let said = (&mut self.complaints).await.unwrap();
                panic!("no {name} came ({line:?}); it said: {said}");
            };
            let event = event(&line);
            self.heard.push(line);
            if event["event"] == name {
                return event;
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        Pid::from_raw(pid).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end: the exit code, and what it said on standard error.
    pub(crate) async fn end(self) -> (Option<i32>, String) {
        self.end_within(PATIENCE).await
    }

    /// Waits for its end: the exit code, the lines of all its events, and what it said on standard error.
    pub(crate) async fn end_with_all(mut self) -> (Option<i32>, Vec<String>, String) {
        let code = self.exit().await;
        while let Some(line) = self.events.recv().await {
            self.heard.push(line);
        }
        (code, self.heard, self.complaints.await.unwrap())
    }

    /// Waits until the process has ended: the exit code.
    pub(crate) async fn exit(&mut self) -> Option<i32> {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends");
        status.unwrap().code()
    }

    /// The same for something that takes long.
    pub(crate) async fn end_within(mut self, patience: Duration) -> (Option<i32>, String) {
        let status = timeout(patience, self.child.wait()).await.expect("it ends");
        (status.unwrap().code(), self.complaints.await.unwrap())
    }
}

/// A command whose standard input and output are the connection.
pub(crate) fn piped(args: &[&str]) -> (Child, ChildStdin, ChildStdout) {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    (child, stdin, stdout)
}

fn command(args: &[&str]) -> Command {
    let mut command = prepared(Command::new(BINARY));
    command.args(args);
    command
}

/// Without anything of whoever runs the tests.
pub(crate) fn prepared(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TUBES_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        // Whoever runs the tests may have accounts of their own.
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("XDG_STATE_HOME", state_home())
        // And passwords in a keyring.
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Where the programs keep their keys, each account its own. Some run as nobody.
fn state_home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("state");
        let folder = home.join("tubes");
        fs::create_dir_all(&folder).unwrap();
        for folder in [&home, &folder] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        home
    })
}

/// An account on a running server, as options for the command line.
pub(crate) struct Account {
    pub(crate) jid: String,
    login: String,
    folder: TempDir,
    pub(crate) server: String,
    transports: Option<&'static str>,
}

impl Account {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let folder = TempDir::new().unwrap();
        let password = format!("{}\n", account.password);
        fs::write(folder.path().join("password"), password).unwrap();
        fs::write(folder.path().join("ca.pem"), server.ca().pem()).unwrap();
        Self {
            jid: account.jid.to_string(),
            login: account.jid.to_string(),
            folder,
            server: server.address().to_string(),
            transports: None,
        }
    }

    /// The folder of its password, and of what a test keeps there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reaches the server at this address from now on.
    pub(crate) fn through(mut self, address: SocketAddr) -> Self {
        self.server = address.to_string();
        self
    }

    /// Carries bytes by these transports only from now on.
    pub(crate) fn by(mut self, transports: &'static str) -> Self {
        self.transports = Some(transports);
        self
    }

    /// Logs in under this resource from now on.
    pub(crate) fn with_resource(mut self, resource: &str) -> Self {
        self.login = format!("{}/{resource}", self.jid);
        self
    }

    /// `command` with this account's options.
    pub(crate) fn with<'a>(&'a self, command: &[&'a str]) -> Vec<String> {
        let path = |name| self.file(name).to_string_lossy().into_owned();
        let options = [
            ("--account", self.login.clone()),
            ("--password-file", path("password")),
            ("--server", self.server.clone()),
            ("--ca-file", path("ca.pem")),
        ];
        let transports = self.transports.map(str::to_owned);
        let transports = transports.map(|transports| ("--transports", transports));
        command
            .iter()
            .map(|word| (*word).to_owned())
            .chain(
                options
                    .into_iter()
                    .chain(transports)
                    .flat_map(|(name, value)| [name.to_owned(), value]),
            )
            .collect()
    }
}

/// Two accounts that have never met, on a server shared by all tests of the file; none where the
/// server is not installed.
pub(crate) async fn friends(kind: ServerKind) -> Option<(Account, Account)> {
    if !kind.wanted().unwrap() {
        return None;
    }
    let server = Server::shared(kind).await.unwrap();
    let alice = Account::new(server, "alice").await;
    Some((alice, Account::new(server, "fernand").await))
}

/// A port for a daemon that binds it in a moment: none of those that the kernel gives meanwhile to whoever
/// connects, or wants any. Linux gives those from 32768 on.
pub(crate) fn free_port() -> u16 {
    let mut drawn = std::iter::repeat_with(|| rand::random_range(10_000..32_000)).take(100);
    let free = drawn.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.expect("a free port")
}

pub(crate) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

/// What is tested.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tubes");

/// Everything takes a second at most, unless the machine is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
