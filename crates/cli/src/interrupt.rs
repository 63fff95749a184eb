//! Being interrupted: once is a request to close everything properly, twice is an order.

use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Stop;

/// Tells every part of a command that the user wants it to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: watch::Receiver<Option<Asked>>,
}

impl Interrupt {
    /// Takes SIGINT and SIGTERM over. From now on the second of them ends the process at once.
    pub(crate) fn install() -> io::Result<Self> {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let (tell, asked) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let now = tokio::select! {
                    Some(()) = interrupted.recv() => Asked::Interrupted,
                    Some(()) = terminated.recv() => Asked::Terminated,
                    else => return,
                };
                if tell.send_replace(Some(now)).is_some() {
                    process::exit(now.at_once());
                }
            }
        });
        Ok(Self { asked })
    }

    /// Waits until the user has had enough. Cancel safe.
    pub(crate) async fn wait(&self) -> Stop {
        let mut asked = self.asked.clone();
        match asked.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Asked::Terminated)) => Stop::Terminated,
            // Without the task that listens nobody could interrupt us any more: end, too.
            _ => Stop::Interrupted,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Interrupted,
    Terminated,
}

impl Asked {
    /// The shells' convention for a process that a signal ended: 128 and its number.
    fn at_once(self) -> i32 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}
