//! Processes that run out of descriptors.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tubes_server::ServerKind;
use tubes_testkit::{Ending, Link};

use crate::program::{BINARY, PATIENCE};
use crate::stage::{Shared, alone, content, couple, pass};
use crate::vitals::Vitals;

#[tokio::test]
async fn programs_beyond_the_descriptors_wait_their_turn_and_cost_no_time() {
    if !have("prlimit") {
        return;
    }
    let _alone = alone().await;
    let (alice, fernand) = couple(ServerKind::Embedded).await.unwrap();
    let shared = Shared::between(alice, fernand, &[BINARY], &SCARCELY).await;
    shared.serve_echo();
    let mut crowd = Crowd::of(&shared, SCARCE).await;
    crowd.settle().await;
    assert!(crowd.served.len() > SCARCE / 4);
    assert!(!crowd.waiting.is_empty() && crowd.refused == 0, "{crowd}");

    let accepting = Vitals::of(shared.accepting.pid());
    assert!(accepting.descriptors() < SCARCE);
    eprintln!("{crowd} of {SCARCE}");
    assert_idle(accepting).await;

    for program in &mut crowd.served {
        pass(program, &content(7, SAID)).await;
    }
    while !crowd.waiting.is_empty() {
        crowd.served.clear();
        crowd.settle().await;
    }
    assert_eq!(crowd.refused, 0);
    let [_, said] = shared.leave_complaining().await;
    assert_says_so_rarely(&said);
}

#[tokio::test]
async fn connections_beyond_the_descriptors_of_the_service_are_refused_by_name() {
    if !have("prlimit") {
        return;
    }
    let _alone = alone().await;
    let (alice, fernand) = couple(ServerKind::Embedded).await.unwrap();
    let mut shared = Shared::between(alice, fernand, &SCARCELY, &[BINARY]).await;
    shared.serve_echo();
    let mut crowd = Crowd::of(&shared, SCARCE).await;
    crowd.settle().await;
    eprintln!("{crowd} of {SCARCE}");
    assert!(crowd.served.len() > SCARCE / 4);
    assert!(crowd.waiting.is_empty() && crowd.refused > 0, "{crowd}");
    for program in &mut crowd.served {
        pass(program, &content(7, SAID)).await;
    }

    let closed = shared.offering.event("connection_closed").await;
    assert_eq!(closed["error"]["kind"], "limit", "{closed}");
    let message = closed["error"]["message"].as_str().unwrap();
    assert!(message.contains("ulimit"), "{message}");
    let closed = shared.accepting.event("connection_closed").await;
    let message = closed["error"]["message"].as_str().unwrap();
    assert!(message.contains("too many connections"), "{message}");

    crowd.served.clear();
    // The service learns of it after a while, and until then it refuses at once.
    let serving = async {
        loop {
            let mut again = Crowd::of(&shared, 1).await;
            again.settle().await;
            if again.served.len() == 1 {
                return;
            }
            sleep(BETWEEN_TRIES).await;
        }
    };
    timeout(PATIENCE, serving).await.expect("it serves again");
    shared.leave().await;
}

#[tokio::test]
async fn a_process_without_descriptors_reconnects_to_its_server() {
    // Only where sessions are resumed do the connections keep their descriptors meanwhile.
    if !have("prlimit") {
        return;
    }
    let _alone = alone().await;
    let Some((alice, fernand)) = couple(ServerKind::Prosody).await else {
        return;
    };
    let link = Link::to(fernand.server.parse().unwrap()).await.unwrap();
    let fernand = fernand.through(link.address());
    let mut shared = Shared::between(alice, fernand, &[BINARY], &SCARCELY).await;
    shared.serve_echo();
    let mut crowd = Crowd::of(&shared, SCARCE).await;
    crowd.settle().await;
    assert!(!crowd.waiting.is_empty(), "{crowd}");
    let served = crowd.served.len();
    link.cut(Ending::Fin);
    let online = shared.accepting.event("online").await;
    assert_eq!(online["resumed"], true, "{online}");
    for program in &mut crowd.served {
        pass(program, &content(7, SAID)).await;
    }
    assert_eq!(crowd.served.len(), served);
    drop(crowd);
    let [_, said] = shared.leave_complaining().await;
    assert_says_so_rarely(&said);
}

#[tokio::test]
async fn a_thousand_programs_do_no_harm_to_a_user_with_1024_descriptors() {
    if !have("prlimit") || !have("setpriv") || !may_become_nobody() {
        return;
    }
    let _alone = alone().await;
    let (alice, fernand) = couple(ServerKind::Embedded).await.unwrap();
    for account in [&alice, &fernand] {
        give_to_nobody(account.folder());
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = copied(folder.path());
    let launcher = [
        "setpriv",
        NOBODY,
        "--regid=65534",
        "--clear-groups",
        "prlimit",
        "--nofile=1024:1024",
        binary.to_str().unwrap(),
    ];
    let shared = Shared::between(alice, fernand, &launcher, &launcher).await;
    shared.serve_echo();
    let begun = Instant::now();
    let mut crowd = Crowd::of(&shared, 1000).await;
    crowd.settle().await;
    eprintln!(
        "{crowd} of 1000 with 1024 descriptors after {:?}",
        begun.elapsed()
    );
    assert!(crowd.served.len() >= 900, "{crowd}");
    for process in shared.vitals() {
        assert!(process.descriptors() < 1024);
        assert_idle(process).await;
    }
    for program in &mut crowd.served {
        pass(program, &content(7, SAID)).await;
    }
    // Those who wait come in when the others have gone.
    crowd.served.clear();
    while !crowd.waiting.is_empty() {
        crowd.settle().await;
        crowd.served.clear();
    }
    assert!(crowd.refused <= 100, "{crowd}");
    let [_, said] = shared.leave_complaining().await;
    assert_says_so_rarely(&said);
}

/// Programs that have said something and expect it back.
struct Crowd {
    waiting: Vec<TcpStream>,
    served: Vec<TcpStream>,
    refused: usize,
}

impl Crowd {
    async fn of(shared: &Shared, count: usize) -> Self {
        let mut waiting = Vec::new();
        for _ in 0..count {
            let mut program = TcpStream::connect(shared.tube).await.unwrap();
            program.write_all(&content(5, SAID)).await.unwrap();
            waiting.push(program);
        }
        Self {
            waiting,
            served: Vec::new(),
            refused: 0,
        }
    }

    /// Waits until each program is served or refused, or nothing happens any more.
    async fn settle(&mut self) {
        let mut patience = PATIENCE;
        loop {
            let before = self.waiting.len();
            self.look(patience).await;
            if self.waiting.is_empty() || self.waiting.len() == before {
                return;
            }
            patience = STALL;
        }
    }

    /// Sees to each program once. Whoever is slow has the others looked at, too: it may be the
    /// only one.
    async fn look(&mut self, mut patience: Duration) {
        let expected = content(5, SAID);
        let mut heard = vec![0; SAID];
        let mut waiting = Vec::new();
        // The first to connect is the first to be let in.
        for mut program in self.waiting.drain(..) {
            if timeout(patience, program.peek(&mut [0])).await.is_err() {
                waiting.push(program);
                patience = Duration::from_millis(1);
                continue;
            }
            let reading = timeout(PATIENCE, program.read_exact(&mut heard)).await;
            match reading.expect("all of the echo") {
                Ok(_) => {
                    assert!(heard == expected, "the echo came damaged");
                    self.served.push(program);
                }
                Err(_) => self.refused += 1,
            }
            patience = patience.min(STALL);
        }
        self.waiting = waiting;
    }
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (served, waiting) = (self.served.len(), self.waiting.len());
        write!(
            f,
            "{served} served, {waiting} waiting, {} refused",
            self.refused
        )
    }
}

/// The log tells of the lack, and is not filled with it: whatever happens, a minute passes between two
/// lines.
fn assert_says_so_rarely(said: &str) {
    let told: Vec<_> = said.lines().collect();
    assert!(!told.is_empty(), "nothing was said");
    let times: Vec<_> = told
        .iter()
        .map(|line| {
            assert!(line.contains("programs have to wait"), "{said}");
            let (time, _) = line.split_once(' ').unwrap();
            humantime::parse_rfc3339(time).unwrap()
        })
        .collect();
    for two in times.windows(2) {
        let between = two[1].duration_since(two[0]).unwrap();
        assert!(between > Duration::from_secs(59), "{said}");
    }
}

/// A process that keeps asking for what it has to wait for is busy each time that it is looked at;
/// one that has something to finish is not.
async fn assert_idle(process: Vitals) {
    let mut shares = Vec::new();
    for _ in 0..3 {
        let share = share_of_time(process).await;
        eprintln!("{share:.3} of a processor while programs wait");
        if share < 0.2 {
            return;
        }
        shares.push(share);
    }
    panic!("{shares:?} of a processor while programs wait");
}

/// The share of a processor's time that a process takes.
async fn share_of_time(process: Vitals) -> f64 {
    let (begun, before) = (Instant::now(), process.busy());
    sleep(WHILE).await;
    let busy = process.busy().saturating_sub(before);
    busy.as_secs_f64() / begun.elapsed().as_secs_f64()
}

/// Whether the program is installed, without which a test is skipped.
fn have(program: &str) -> bool {
    wanted(
        Command::new(program).arg("--version").output().is_ok(),
        &format!("{program} is missing: install the package util-linux"),
    )
}

fn may_become_nobody() -> bool {
    wanted(
        rustix::process::geteuid().is_root(),
        "only root can start a process as another user",
    )
}

/// Skips a test by name; with `CI` set nothing is skipped.
fn wanted(is_there: bool, otherwise: &str) -> bool {
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "{otherwise}");
        eprintln!("skipped: {otherwise}");
    }
    is_there
}

fn give_to_nobody(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        chown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
    }
    chown(folder, Some(65534), Some(65534)).unwrap();
}

/// The binary where everybody can start it.
fn copied(folder: &Path) -> PathBuf {
    let binary = folder.join("tubes");
    // Copied here, it would be open for writing in whatever another test starts at the same moment,
    // and nothing that is open for writing can be run.
    let copied = Command::new("cp").arg(BINARY).arg(&binary).status();
    assert!(copied.unwrap().success());
    for path in [folder, &binary] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    binary
}

const NOBODY: &str = "--reuid=65534";

/// Few descriptors, hard and soft.
const SCARCE: usize = 64;

const SCARCELY: [&str; 3] = ["prlimit", "--nofile=64:64", BINARY];

/// Bytes that a program says.
const SAID: usize = 500;

/// When nothing has come for so long to any program, those that are left have to wait.
const STALL: Duration = Duration::from_secs(30);

/// Nothing tells when a descriptor is free again: it is tried, but not without a rest.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// How long the use of the processor is watched.
const WHILE: Duration = Duration::from_secs(2);
