//! Being interrupted: once is a request to close everything properly, twice is an order.

use std::io;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::exit::Stop;

/// Tells every part of a command that the user wants it to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: watch::Receiver<Option<Asked>>,
}

impl Interrupt {
    /// Takes SIGINT, SIGTERM and SIGHUP over: ssh ends its `ProxyCommand` by the last. From now
    /// on the second of them ends the process at once.
    pub(crate) fn install() -> io::Result<Self> {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        let (tell, asked) = watch::channel(None);
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            loop {
                let now = tokio::select! {
                    Some(()) = interrupted.recv() => Asked::Interrupted,
                    Some(()) = terminated.recv() => Asked::Terminated,
                    Some(()) = hung_up.recv() => Asked::Terminated,
                    else => return,
                };
                match first {
                    None => first = Some(Instant::now()),
                    // timeout(1) signals the process and then its group: one wish, two signals.
                    Some(first) if first.elapsed() < BREATH => continue,
                    Some(_) => process::exit(now.at_once()),
                }
                tell.send_replace(Some(now));
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

/// Signals closer together than any two strokes of a person count as one.
const BREATH: Duration = Duration::from_millis(100);
