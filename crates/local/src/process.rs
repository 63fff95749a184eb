//! A running command, and how it is brought to its end.

use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time;
use tracing::{debug, warn};

/// ```text
///   Running ── connection broken ─────────────> Told ── 5 s ──> Killed ──> reaped
///      └────── connection ended ──> Left ── 10 s ─┘
/// ```
///
/// It is reaped whenever it ends by itself, too.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Arc<Group>,
    connection: watch::Receiver<Connection>,
    command: String,
    peer: String,
}

impl Process {
    /// Takes care of a child that leads a process group.
    pub(crate) fn new(child: Child, command: String, peer: String) -> (Self, Leash) {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        let group = Arc::new(Group(Mutex::new(leader.and_then(Pid::from_raw))));
        let (held, connection) = watch::channel(Connection::Whole);
        let leash = Leash {
            connection: held,
            group: Arc::clone(&group),
        };
        let process = Self {
            child,
            group,
            connection,
            command,
            peer,
        };
        (process, leash)
    }

    /// Waits until it has ended, and sees to it that it does once the connection is no more.
    pub(crate) async fn see_off(mut self) {
        tokio::select! {
            status = self.child.wait() => return self.ended(status),
            () = let_go(&mut self.connection) => {}
        }
        let connection = *self.connection.borrow();
        if connection == Connection::Whole {
            if let Ok(status) = time::timeout(LEISURE, self.child.wait()).await {
                return self.ended(status);
            }
            warn!(command = self.command, "still runs after its connection");
            self.group.signal(Signal::TERM);
        }
        if let Ok(status) = time::timeout(GRACE, self.child.wait()).await {
            return self.stopped(status);
        }
        self.group.signal(Signal::KILL);
        let status = self.child.wait().await;
        self.stopped(status);
    }

    /// It ended by itself, or because of what it was told over the connection.
    fn ended(&self, status: io::Result<ExitStatus>) {
        self.group.forget();
        match status {
            Ok(status) if status.success() => debug!(command = self.command, "command ended"),
            Ok(status) if *self.connection.borrow() == Connection::Broken => {
                debug!(command = self.command, %status, "command stopped");
            }
            Ok(status) => {
                warn!(command = self.command, peer = self.peer, %status, "command failed");
            }
            Err(why) => warn!(command = self.command, %why, "cannot wait for the command"),
        }
    }

    /// It was made to end, so that how it did says nothing.
    fn stopped(&self, status: io::Result<ExitStatus>) {
        self.group.forget();
        debug!(command = self.command, ?status, "command stopped");
    }
}

impl Drop for Process {
    /// The runtime ends before the command did: there is no time left for it.
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
    }
}

/// What the socket of a command holds it by: dropped, the connection has ended.
#[derive(Debug)]
pub(crate) struct Leash {
    connection: watch::Sender<Connection>,
    group: Arc<Group>,
}

impl Leash {
    /// The connection broke: the command is told at once, even if this process is about to end.
    pub(crate) fn broken(&self) {
        self.connection.send_replace(Connection::Broken);
        self.group.signal(Signal::TERM);
    }
}

/// How the connection of a command is, or was when it was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Broken,
    Whole,
}

/// The process group of a command: none once it was reaped, as the number may be another's then.
#[derive(Debug)]
struct Group(Mutex<Option<Pid>>);

impl Group {
    fn signal(&self, signal: Signal) {
        let leader = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = leader
            && let Err(why) = kill_process_group(leader, signal)
        {
            debug!(?signal, %why, "cannot signal the command");
        }
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Waits for the leash to be dropped.
async fn let_go(connection: &mut watch::Receiver<Connection>) {
    while connection.changed().await.is_ok() {}
}

/// What a command may take to end after its connection did: it has said all there is to say.
const LEISURE: Duration = Duration::from_secs(10);

/// What a command may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);
