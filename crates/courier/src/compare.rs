//! Having a file already, and making sure that it is the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::task::spawn_blocking;
use tubes_files::{Checksum, Destination, FinishError, SafePath};
use tubes_protocol::file::Sum;

use crate::receive::{ReceiveError, Received, fail};
use crate::words::hear;
use crate::{Dialect, Errand, Settled};

/// A whole file that is where another one of its name and size is to be.
#[derive(Debug)]
pub struct Existing {
    /// The folder that is received into.
    pub there: Arc<Destination>,
    /// Where in it.
    pub path: SafePath,
    /// The same, from the beginning.
    pub whole: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

/// Hears which sum the sender's file has, and says whether the one that is there has the same: then it is
/// received, without that a byte of it was sent. For our own kind alone, who says so.
///
/// Files that share a turn, as those of one contact, are read one after the other.
///
/// # Errors
///
/// It is another file, or that cannot be told.
pub async fn compare(
    errand: Errand,
    existing: Existing,
    turn: Arc<Mutex<()>>,
) -> Result<Settled<Received>, ReceiveError> {
    let Errand {
        mut stream,
        dialect,
        counter,
        stop,
    } = errand;
    if dialect == Dialect::Plain {
        // No sum follows.
        return Err(FinishError::Exists {
            path: existing.whole,
        }
        .into());
    }
    counter.begin(existing.size);
    let comparing = async {
        let sum: Option<Sum> = hear(&mut stream).await.map_err(ReceiveError::Broken)?;
        let sum = sum.ok_or(ReceiveError::CutShort)?;
        // First the own turn, so that who waits for it takes no place from others.
        let turn = turn.lock_owned().await;
        is_same(existing, sum, turn).await
    };
    let compared = tokio::select! {
        biased;
        () = stop.ordered() => Err(ReceiveError::Stopped),
        compared = comparing => compared,
    };
    match compared {
        Ok(received) => Ok(received.settled(stream, dialect)),
        Err(why) => {
            fail(stream, dialect, why.reason()).await;
            Err(why)
        }
    }
}

async fn is_same(
    existing: Existing,
    Sum(sum): Sum,
    turn: OwnedMutexGuard<()>,
) -> Result<Received, ReceiveError> {
    let Existing {
        there,
        path,
        whole,
        size,
    } = existing;
    let place = PLACES.acquire().await;
    let checksum = Checksum::Sha256(sum.0);
    let stop = Stop::default();
    let stopped = Arc::clone(&stop.0);
    let comparing = spawn_blocking(move || {
        // Also when nobody waits for it any more.
        let _held = (turn, place);
        there.has(&path, size, checksum, &stopped)
    });
    match comparing.await {
        Ok(Ok(true)) => Ok(Received::with(Some(checksum), whole)),
        // What cannot be read is in the way all the same.
        _ => Err(FinishError::Exists { path: whole }.into()),
    }
}

/// Stops reading when dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Files that are read at a time to be compared: contacts can have that done without sending a byte, and
/// more at once would keep the disk and the processor from everything else.
static PLACES: Semaphore = Semaphore::const_new(4);
