//! A network namespace, and what it takes to have one.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace without a name: it is there as long as a process of its own, and that
/// ends with its standard input, whatever becomes of the process that writes to it.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut command = command("unshare");
        let holder = command
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let namespace = Self { holder };
        let begun = Instant::now();
        while link(&namespace.path()) == link("/proc/self/ns/net") {
            assert!(begun.elapsed() < SOON, "no new namespace");
            std::thread::sleep(Duration::from_millis(2));
        }
        namespace.run("ip link set lo up");
        namespace
    }

    /// The words that start a program in it.
    pub(crate) fn launcher(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net={}", self.path())]
    }

    /// By which `ip` knows it.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Runs a command in it; what it says.
    pub(crate) fn run(&self, words: &str) -> String {
        self.run_with(words, "")
    }

    /// Runs a command in it that reads `input`.
    pub(crate) fn run_with(&self, words: &str, input: &str) -> String {
        let [nsenter, namespace] = self.launcher();
        let mut running = command(&nsenter)
            .arg(namespace)
            .args(words.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = running.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success(), "{words}: {input}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Works in a thread whose sockets, and those of what it starts, belong to the namespace.
    pub(crate) async fn inside<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let namespace = File::open(self.path()).unwrap();
        let (done, outcome) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            // A test that has ended waits for nothing.
            let _ = done.send(runtime.block_on(work()));
        });
        outcome.await.expect("the thread did not panic")
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Whether there can be namespaces; standard error says what is missing. With `CI` set in the
/// environment nothing may be.
pub(crate) fn wanted() -> bool {
    let Some(missing) = missing() else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

fn missing() -> Option<String> {
    for (program, package) in PROGRAMS {
        let mut folders = search_path().into_iter();
        if !folders.any(|folder| Path::new(&folder).join(program).is_file()) {
            return Some(format!("`{program}` is missing (Debian package {package})"));
        }
    }
    let tried = command("unshare").args(["--net", "true"]).output().unwrap();
    (!tried.status.success()).then(|| {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        format!("network namespaces cannot be made here (root can): {why}")
    })
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::join_paths(search_path()).unwrap();
    command.env("PATH", path);
    command
}

/// Debian keeps `nft` and `ip` off the path of ordinary users.
fn search_path() -> Vec<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(administrators).collect()
}

fn link(path: &str) -> Option<std::path::PathBuf> {
    fs::read_link(path).ok()
}

/// What the tests run, and where Debian has it.
const PROGRAMS: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
];

/// For a process to make its namespace.
const SOON: Duration = Duration::from_secs(60);
