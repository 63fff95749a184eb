//! A command that serves one connection.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use crate::export::Caller;
use crate::process::Process;
use crate::{DialError, Socket, Source};

/// A program and its arguments, started anew for each connection, as inetd does.
///
/// Its standard input and output are the connection: one socket, so that it ends its direction by
/// its own end or by `shutdown(2)`. Standard error is that of this process. In its environment
/// are `TUBES_PEER`, who connects, and `TUBES_SERVICE`, to what. What a peer may call itself
/// is its own choice: a shell script has to quote it.
///
/// It has a process group of its own. When the connection breaks the group is told to end
/// (SIGTERM), and five seconds later made to (SIGKILL). After a connection that ended properly the
/// command has ten seconds to end by itself.
///
/// ```
/// use tubes_local::Command;
///
/// let repository = Command::new("git").with_arguments(["upload-pack", "/srv/project.git"]);
/// assert_eq!(repository.to_string(), "git upload-pack /srv/project.git");
/// let greeting = Command::shell("echo \"Hello, $TUBES_PEER\"");
/// assert_eq!(greeting.program, "sh");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// What is run: a path, or a name that is looked for in `PATH`.
    pub program: OsString,
    /// What it is told.
    pub arguments: Vec<OsString>,
}

impl Command {
    /// A program without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
        }
    }

    /// A line for `sh -c`.
    pub fn shell(line: impl Into<OsString>) -> Self {
        Self::new("sh").with_arguments([OsString::from("-c"), line.into()])
    }

    /// Further arguments.
    pub fn with_arguments<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts it, and the task that sees it off. Must be called within a tokio runtime.
    pub(crate) fn run(&self, caller: &Caller) -> Result<Socket, DialError> {
        self.start(caller)
            .map_err(|why| DialError::command(self, why))
    }

    fn start(&self, caller: &Caller) -> io::Result<Socket> {
        tubes_tcp::spare_descriptor()?;
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let near = tokio::net::UnixStream::from_std(near)?;
        let input = OwnedFd::from(far);
        let output = input.try_clone()?;
        let child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .env("TUBES_PEER", &caller.peer)
            .env("TUBES_SERVICE", &caller.service)
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(output))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (process, leash) = Process::new(child, self.to_string(), caller.peer.clone());
        tokio::spawn(process.see_off());
        Ok(Socket::of_process(near, Source::own(), leash))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)?;
        self.arguments
            .iter()
            .try_for_each(|argument| write!(f, " {}", argument.display()))
    }
}
