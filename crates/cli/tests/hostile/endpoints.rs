//! Neighbours on the same machine, at the place where Fernand's programs find the tube.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use crate::honest::echo;
use crate::plan::{Plan, Standing};
use crate::program::{Account, PATIENCE, Program, words};
use crate::scene::server;
use crate::withstanding::Sign;

#[tokio::test]
async fn a_link_where_the_socket_is_to_be_is_neither_followed_nor_removed() {
    refuses(|path| {
        let elsewhere = path.with_file_name("elsewhere");
        drop(UnixListener::bind(&elsewhere).unwrap());
        symlink(elsewhere, path).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_not_followed_either() {
    refuses(|path| symlink(path.with_file_name("nowhere"), path).unwrap()).await;
}

#[tokio::test]
async fn a_file_where_the_socket_is_to_be_is_left_alone() {
    refuses(|path| fs::write(path, "somebody's").unwrap()).await;
}

#[tokio::test]
async fn a_folder_where_the_socket_is_to_be_is_left_alone() {
    refuses(|path| fs::create_dir(path).unwrap()).await;
}

#[tokio::test]
async fn a_socket_where_another_program_listens_is_left_to_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let theirs = UnixListener::bind(&path).unwrap();
    let before = trace(&path);
    let complaint = refusal(&path).await;
    assert!(complaint.contains("in use"), "{complaint}");
    assert_eq!(trace(&path), before);
    // It is still the other one that is reached there; once by the command, which only looked.
    UnixStream::connect(&path).unwrap();
    theirs.accept().unwrap();
}

#[tokio::test]
async fn a_socket_is_for_its_owner_alone_from_its_first_moment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let watch = Watch::over(&path);
    let shared = Shared::at(&path, &[]).await;
    assert_eq!(watch.modes(), [0o600]);
    let found = fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(names(folder.path()), ["socket"]);
    shared.leave().await;
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn what_took_the_sockets_place_is_not_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let mut shared = Shared::at(&path, &[]).await;
    // Ours has the same name, and is another one.
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    let before = trace(&path);
    shared.offering_ends().await;
    shared.leave().await;
    assert_eq!(trace(&path), before);
    UnixStream::connect(&path).unwrap();
    theirs.accept().unwrap();
}

#[tokio::test]
async fn a_link_in_the_place_of_the_sockets_folder_leads_to_no_harm() {
    let folder = TempDir::new().unwrap();
    let [ours, moved, theirs] = ["ours", "moved", "theirs"].map(|name| folder.path().join(name));
    fs::create_dir(&ours).unwrap();
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("socket"), "somebody's").unwrap();
    let shared = Shared::at(&ours.join("socket"), &[]).await;
    fs::rename(&ours, &moved).unwrap();
    symlink(&theirs, &ours).unwrap();
    shared.leave().await;
    assert_eq!(names(&theirs), ["socket"]);
    assert_eq!(fs::read(theirs.join("socket")).unwrap(), b"somebody's");
}

#[tokio::test]
async fn another_user_is_kept_out_by_the_sockets_mode() {
    kept_out(&[]).await;
}

#[tokio::test]
async fn another_user_is_kept_out_by_credentials_where_the_mode_lets_all_in() {
    let complaint = kept_out(&["--access", "credentials", "--mode", "0666"]).await;
    if let Some(complaint) = complaint {
        assert!(complaint.contains("access denied"), "{complaint}");
    }
}

#[tokio::test]
async fn neighbours_from_other_ports_get_nothing_and_fill_no_log() {
    let ours = TcpSocket::new_v4().unwrap();
    ours.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let access = format!("port:{}", ours.local_addr().unwrap().port());
    let shared = Shared::listening("127.0.0.1:0", &["--access", &access]).await;
    let place: SocketAddr = shared.place.strip_prefix("tcp:").unwrap().parse().unwrap();
    for _ in 0..TRIES {
        // It may be over before it has begun.
        let Ok(mut theirs) = TcpStream::connect(place).await else {
            continue;
        };
        let heard = timeout(PATIENCE, theirs.read_u8()).await.unwrap();
        assert!(heard.is_err());
    }
    let mut ours = ours.connect(place).await.unwrap();
    ours.write_all(b"!").await.unwrap();
    assert_eq!(ours.read_u8().await.unwrap(), b'!');
    drop(ours);
    let complaint = shared.leave().await;
    let lines = complaint.lines().count();
    // 1, 2, 4, … 256.
    assert_eq!(lines, 9, "{complaint}");
}

#[tokio::test]
async fn a_port_that_other_machines_reach_is_warned_of() {
    for (listen, warned) in [
        ("0.0.0.0:0", true),
        ("[::]:0", true),
        ("127.0.0.1:0", false),
    ] {
        let complaint = tried(listen, &[]).await;
        let warns = complaint.contains("programs on other machines can use the tube");
        assert_eq!(warns, warned, "{listen}: {complaint}");
    }
}

/// More than a tube carries at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbours_flood_of_connections_ends_at_the_limit() {
    let plan = Plan::new(Standing::Stranger).by("socks5-direct");
    // A thousand handshakes would take longer than all the rest.
    let plan = plan.with(&["--encryption", "off"]);
    let scene = plan.with_heavy_strikes(MANY + FEWER).set().await;
    let tube = scene.tube;
    let mut held = Vec::new();
    scene
        .withstands(Sign::Limit("connections_per_tube"), async move |_, blow| {
            for _ in 0..FLOOD {
                held.push(TcpStream::connect(tube).await.unwrap());
            }
            if blow == MANY {
                // They come in one after the other; on a busy machine one of them may be given up.
                let mut served = false;
                for program in held[..=LAST].iter_mut().rev() {
                    served = served || is_answered(program).await;
                }
                assert!(served);
            } else if blow > MANY {
                // Others come for those that go, but not for all.
                held.drain(..WITHDRAWAL.min(held.len() / FLOOD));
            }
        })
        .await;
}

/// What it says comes back.
async fn is_answered(program: &mut TcpStream) -> bool {
    let answer = async {
        program.write_all(b"!").await?;
        program.read_u8().await
    };
    let answer = timeout(PATIENCE, answer).await.expect("an end");
    answer.is_ok_and(|answer| answer == b'!')
}

/// What is at the place is left as it is, and the command says so before it does anything else.
async fn refuses(occupy: impl FnOnce(&Path)) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    occupy(&path);
    let (before, beside) = (trace(&path), names(folder.path()));
    let complaint = refusal(&path).await;
    assert!(
        complaint.contains("a file that is no socket is there"),
        "{complaint}"
    );
    assert_eq!(trace(&path), before);
    assert_eq!(names(folder.path()), beside);
}

/// What the command says that cannot listen there; it has asked no server before.
async fn refusal(path: &Path) -> String {
    let complaint = tried(&format!("unix:{}", path.display()), &[]).await;
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint
}

/// What the command says that is to listen there, and finds no server.
async fn tried(listen: &str, more: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    let password = password.to_string_lossy();
    let command = ["accept", "--from", "alice@tubes.test", "--listen", listen];
    let account = [
        "--account",
        "fernand@tubes.test",
        "--password-file",
        &password,
    ];
    // Nobody listens at the port for discarding.
    let server = ["--server", "127.0.0.1:9", "--tls", "none"];
    let program = Program::start(&[&command[..], &account, &server, more].concat());
    let (code, complaint) = program.end().await;
    assert!(matches!(code, Some(1 | 69)), "{code:?} {complaint}");
    complaint
}

/// Another user is not served at a socket like that, and its owner is; what the command has said of it.
async fn kept_out(more: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        let missing = "only root can try what other users can";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let folder = TempDir::new().unwrap();
    // So that it is not the folder that keeps them out.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("socket");
    let shared = Shared::at(&path, more).await;
    assert!(!is_served(&path, NOBODY).await);
    assert!(is_served(&path, OURS).await);
    Some(shared.leave().await)
}

/// Whether a program of this user has an echo from there.
async fn is_served(path: &Path, user: u32) -> bool {
    let script = "my $s = IO::Socket::UNIX->new($ARGV[0]) or exit 1; \
        $s->autoflush(1); print $s \"hello\\n\"; exit(<$s> ? 0 : 1)";
    let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
    let program = Command::new("setpriv")
        .args([&user, &group, "--clear-groups", "perl"])
        .args(["-MIO::Socket::UNIX", "-e", script])
        .arg(path)
        .status();
    let status = timeout(PATIENCE, program).await.expect("it ends");
    status.unwrap().success()
}

/// Alice offers an echo, Fernand has it at some place.
struct Shared {
    offering: Option<Program>,
    accepting: Program,
    /// As the command names it.
    place: String,
    _accounts: [Account; 2],
}

impl Shared {
    async fn at(path: &Path, more: &[&str]) -> Self {
        Self::listening(&format!("unix:{}", path.display()), more).await
    }

    async fn listening(listen: &str, more: &[&str]) -> Self {
        let server = server().await;
        let alice = Account::new(server, "alice").await;
        let fernand = Account::new(server, "fernand").await;
        let echo = echo().await.to_string();
        let offer = ["offer", &echo, "--to", &fernand.jid, "--service", "x-echo"];
        let accept = ["accept", "--from", &alice.jid, "--listen", listen];
        let offering = Program::start(&words(&alice.with(&offer)));
        let accept = fernand.with(&[&accept[..], more].concat());
        let mut accepting = Program::start(&words(&accept));
        let listening = accepting.event("listening").await;
        Self {
            offering: Some(offering),
            accepting,
            place: listening["address"].as_str().unwrap().to_owned(),
            _accounts: [alice, fernand],
        }
    }

    /// The tube is closed, so that the place is given up.
    async fn offering_ends(&mut self) {
        let offering = self.offering.take().unwrap();
        offering.signal(Signal::TERM);
        assert_eq!(offering.end().await, (Some(0), String::new()));
        self.accepting.event("tube_closed").await;
    }

    /// All end as they should; what Fernand's process has said.
    async fn leave(mut self) -> String {
        self.accepting.signal(Signal::TERM);
        let (code, complaint) = self.accepting.end().await;
        assert_eq!(code, Some(0), "{complaint}");
        if let Some(offering) = self.offering.take() {
            offering.signal(Signal::TERM);
            assert_eq!(offering.end().await, (Some(0), String::new()));
        }
        complaint
    }
}

/// Looks at a file without a pause, and notes its modes.
struct Watch {
    over: Arc<AtomicBool>,
    watching: std::thread::JoinHandle<Vec<u32>>,
}

impl Watch {
    fn over(path: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (path, until) = (path.to_owned(), Arc::clone(&over));
        let watching = std::thread::spawn(move || {
            let mut modes = Vec::new();
            let mut is_over = false;
            while !is_over {
                // There is a last look when it is over.
                is_over = until.load(Ordering::Relaxed);
                if let Ok(found) = fs::symlink_metadata(&path) {
                    modes.push(found.mode() & 0o777);
                    modes.dedup();
                }
            }
            modes
        });
        Self { over, watching }
    }

    fn modes(self) -> Vec<u32> {
        self.over.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

/// What tells whether a file is still the same, and where it leads.
fn trace(path: &Path) -> (u64, u64, Option<PathBuf>, Option<Vec<u8>>) {
    let found = fs::symlink_metadata(path).unwrap();
    let content = found.is_file().then(|| fs::read(path).unwrap());
    (found.dev(), found.ino(), fs::read_link(path).ok(), content)
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Whoever has no rights at all, and whoever runs the tests: root.
const NOBODY: u32 = 65534;
const OURS: u32 = 0;

/// Connections that a neighbour tries in vain.
const TRIES: usize = 300;

/// Connections of one strike, and the strikes after which there are as many as there are to be.
const FLOOD: usize = 3;
const MANY: u64 = 400;

/// The last one for which there is a place: the honest program has one of the 1024, too.
const LAST: usize = 1022;

/// Connections that go with one strike afterwards, and how many such strikes there are at once: to close them
/// all in the end would take as long as to open them.
const WITHDRAWAL: usize = 20;
const FEWER: u64 = 50;
