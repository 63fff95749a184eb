//! A server process that never outlives us, and its folder.
//!
//! ```text
//!   we ──(pipe)──► sh ──► the server
//! ```
//!
//! The shell kills the server and starts it again when the pipe says so. At the end of the pipe,
//! which comes when we close it and also when we are killed, it removes the folder, too.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tracing::warn;

/// A running server process and the folder that all its files are in.
#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    folder: TempDir,
    /// How often the server was started.
    starts: u32,
}

impl Supervised {
    /// Starts `program` with a clean environment except for `PATH` and `environment`; what it
    /// prints becomes the log.
    pub(crate) fn start(
        folder: TempDir,
        program: &Path,
        arguments: &[&OsStr],
        environment: &[(&str, &OsStr)],
    ) -> io::Result<Self> {
        let log = File::create(folder.path().join(LOG))?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "tubes-server"])
            .arg(folder.path())
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A terminal's interrupt is for us, not for the server.
            .process_group(0)
            .spawn()?;
        let starts = 1;
        Ok(Self {
            shell,
            folder,
            starts,
        })
    }

    /// The folder; it is gone when this is dropped.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the server has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.folder().join(ended(self.starts)).exists()
    }

    /// Kills the server (SIGKILL) and waits for its end; its folder stays.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.order("kill")?;
        let ended = tokio::time::timeout(PATIENCE, self.end()).await;
        ended.map_err(|_| io::ErrorKind::TimedOut.into())
    }

    async fn end(&self) {
        while !self.has_ended() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts the server again that was killed.
    pub(crate) fn start_again(&mut self) -> io::Result<()> {
        self.order("start")?;
        self.starts += 1;
        Ok(())
    }

    fn order(&mut self, what: &str) -> io::Result<()> {
        match &mut self.shell.stdin {
            Some(pipe) => writeln!(pipe, "{what}"),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// What the server printed: all of it, or the beginning and the end.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.folder().join(LOG)).unwrap_or_default();
        match (log.first_chunk::<LOG_KEPT>(), log.last_chunk::<LOG_KEPT>()) {
            (Some(first), Some(last)) if log.len() > 2 * LOG_KEPT => {
                let (first, last) = (
                    String::from_utf8_lossy(first),
                    String::from_utf8_lossy(last),
                );
                format!("{first}\n[…]\n{last}")
            }
            _ => String::from_utf8_lossy(&log).into_owned(),
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.shell.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                _ => break,
            }
        }
        // Somebody has killed or stopped the shell: what it was to do is done here.
        warn!("the shell that watches over a server did not do its work");
        if let Some(group) = i32::try_from(self.shell.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.shell.wait();
    }
}

/// What a start's end is told by, in the folder. It stays when the server is started again: the shell
/// may not have read yet that it is to kill what has ended, and the number may be somebody else's by now.
fn ended(start: u32) -> String {
    format!("ended-{start}")
}

/// `ended-1` says that the server has ended, by itself or not, after its first start; its log stays until
/// we have read it. The process number comes through a pipe of its own, so that nobody is ever killed
/// before it is known who.
const SCRIPT: &str = r#"
folder=$1; shift
starts=0
exec 3<&0 </dev/null
mkfifo "$folder/number"
exec 4<>"$folder/number"
run() {
    "$@" 3<&- 4<&- &
    echo "$!" >&4
    wait "$!"
    : >"$folder/ended-$starts"
}
start() {
    starts=$((starts + 1))
    run "$@" 3<&- & runner=$!
    read -r server <&4
}
stop() {
    [ -e "$folder/ended-$starts" ] || kill -KILL "$server"
    wait "$runner"
}
start "$@"
while read -r order <&3; do
    case $order in
        kill) stop ;;
        start) start "$@" ;;
    esac
done
stop
rm -rf "$folder"
"#;

/// Where the server's output goes, in its folder.
const LOG: &str = "log";

/// Bytes of the log's beginning, and of its end, that are shown.
const LOG_KEPT: usize = 4096;

/// How long the shell may take to kill the server and to clear up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kernel has no wait with a deadline.
const POLL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rustix::process::kill_process;

    use super::*;

    #[tokio::test]
    async fn one_that_has_ended_is_killed_and_started_again_and_nobody_else_is_hit() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Supervised::start(folder, Path::new("true"), &[], &[]).unwrap();
        tokio::time::timeout(PATIENCE, server.end()).await.unwrap();
        let shell = Pid::from_child(&server.shell);
        // It reads both orders only when they are both there.
        kill_process(shell, Signal::STOP).unwrap();
        server.kill().await.unwrap();
        server.start_again().unwrap();
        kill_process(shell, Signal::CONT).unwrap();
        tokio::time::timeout(PATIENCE, server.end()).await.unwrap();
        // A shell that kills who is not there complains.
        assert_eq!(server.log(), "");
    }
}
