//! Receiving a file, and having the last word on it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::timeout;
use tubes_files::{Checksum, FinishError, Intake, Partial, TakeError, Trouble, WriteError};
use tubes_protocol::file::{Md5, Reason, Sha256, Sum, Verdict};
use tubes_transport::Bytestream;

use crate::words::hear;
use crate::{Certainty, Counter, Dialect, Errand, Farewell, Settled};

/// What the sender has said of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its sum, if it was said with the offer. Our own kind says it in any case in the end.
    pub sha256: Option<Sha256>,
    /// Its sum, as old peers have it.
    pub md5: Option<Md5>,
}

/// A file that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where it is.
    pub path: PathBuf,
    /// The sum that it has, where the sender has said one of this kind.
    pub sum: Option<Sha256>,
    /// How sure it is that it is what was sent.
    pub certainty: Certainty,
}

impl Received {
    /// A whole with this sum, if it was said which one it has.
    pub(crate) fn with(sum: Option<Checksum>, path: PathBuf) -> Self {
        let (sum, certainty) = match sum {
            Some(Checksum::Sha256(sum)) => (Some(Sha256(sum)), Certainty::Verified),
            Some(_) => (None, Certainty::Checked),
            None => (None, Certainty::Carried),
        };
        Self {
            path,
            sum,
            certainty,
        }
    }

    /// It is there, which our own kind waits to hear; others wait for the end.
    pub(crate) fn settled(self, stream: Bytestream, dialect: Dialect) -> Settled<Self> {
        let farewell = match dialect {
            Dialect::Ours => Farewell::with(stream, Verdict::Received),
            // It is for the sender to end it; some wait for this side instead.
            Dialect::Plain => Farewell::to(stream),
        };
        Settled {
            outcome: self,
            farewell: Some(farewell),
        }
    }
}

/// Why a file was not received. What came of it stays, unless it is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The bytestream broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The sender ended before the last byte.
    #[error("the sender ended before the last byte")]
    CutShort,
    /// All bytes came, and do not get to their place.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// This side gave it up.
    #[error("given up")]
    Stopped,
    /// The sender has not said, or not twice the same, which sum the file has.
    #[error("the sender contradicts itself: the file changed while it was sent")]
    Unlike,
    /// Nothing will tell whether the part that was there belongs to the file. It is thrown away.
    #[error(
        "what was there of the file cannot be proven to belong to it, and was thrown away: repeat the command"
    )]
    Unproven,
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ReceiveError {
    /// What the sender is told of it, if there is something to be told.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::Broken(_) | Self::CutShort => return None,
            Self::Finish(FinishError::Differs { .. }) | Self::Unproven => Reason::Differs,
            Self::Finish(FinishError::Exists { .. }) => Reason::Exists,
            Self::Finish(FinishError::Write(why)) | Self::Write(why) => of_write(why),
            Self::Finish(_) => Reason::Io,
            Self::Stopped => Reason::Cancelled,
            Self::Unlike => Reason::Changed,
        })
    }
}

fn of_write(why: &WriteError) -> Reason {
    match why {
        WriteError::Disk { why, .. } => of_trouble(why),
        _ => Reason::Io,
    }
}

/// What somebody elsewhere needs to know of what the file system objects to.
pub fn of_trouble(why: &Trouble) -> Reason {
    match why {
        Trouble::Denied | Trouble::ReadOnly => Reason::Permission,
        Trouble::Full => Reason::Full,
        Trouble::Quota => Reason::Quota,
        _ => Reason::Io,
    }
}

/// Receives the rest of a file, and says why not where the sender can hear it. That it has arrived is left for
/// the caller to say: it is in its place whether the sender hears of it or not.
///
/// # Errors
///
/// The file is not in its place.
pub async fn receive(
    errand: Errand,
    partial: Partial,
    wanted: Wanted,
) -> Result<Settled<Received>, ReceiveError> {
    let Errand {
        mut stream,
        dialect,
        counter,
        stop,
    } = errand;
    counter.begin(partial.offset());
    if dialect == Dialect::Plain && partial.offset() > 0 && wanted.md5.is_none() {
        // So it is with our own kind over a bytestream without half-close, where no sum is said in the end.
        partial.discard();
        return Err(ReceiveError::Unproven);
    }
    let left = partial.size() - partial.offset();
    let mut intake = Intake::new(partial.with_stop(stop.clone()));
    let taking = async {
        bytes(&mut stream, &counter, &mut intake, left).await?;
        let sum = match dialect {
            Dialect::Ours => Some(sum_said(&mut stream, wanted).await?),
            Dialect::Plain => wanted.md5.map(|sum| Checksum::Md5(sum.0)),
        };
        Ok(Received::with(sum, intake.finish(sum).await?))
    };
    let taken = tokio::select! {
        biased;
        () = stop.ordered() => Err(ReceiveError::Stopped),
        taken = taking => taken,
    };
    let why = match taken {
        Ok(received) => return Ok(received.settled(stream, dialect)),
        Err(_) if stop.is_ordered() => ReceiveError::Stopped,
        Err(why) => why,
    };
    // The sender need not wait for the disk to hear that.
    let (kept, ()) = tokio::join!(put_away(intake, &why), fail(stream, dialect, why.reason()));
    Err(or_unwritten(why, kept))
}

/// Receives nothing, and says why where the sender can hear it; for others the bytestream breaks.
pub async fn refuse(errand: Errand, reason: Reason) {
    fail(errand.stream, errand.dialect, Some(reason)).await;
}

/// Says why to our own kind, if there is something to be said; otherwise the bytestream breaks, which is all that
/// others know.
pub(crate) async fn fail(stream: Bytestream, dialect: Dialect, reason: Option<Reason>) {
    if let (Dialect::Ours, Some(reason)) = (dialect, reason) {
        Farewell::with(stream, Verdict::Failed(reason)).say().await;
    }
}

/// The sum that the sender says in the end, which is the one that it has said before.
async fn sum_said(
    from: &mut (impl AsyncRead + Unpin),
    wanted: Wanted,
) -> Result<Checksum, ReceiveError> {
    let sum: Option<Sum> = hear(from).await.map_err(ReceiveError::Broken)?;
    let Sum(sum) = sum.ok_or(ReceiveError::CutShort)?;
    match wanted.sha256 {
        Some(wanted) if wanted != sum => Err(ReceiveError::Unlike),
        _ => Ok(Checksum::Sha256(sum.0)),
    }
}

/// Keeps what came, to go on with it later, unless nobody can. The part is free then.
async fn put_away(mut intake: Intake, why: &ReceiveError) -> Result<(), WriteError> {
    if let ReceiveError::Unlike = why {
        intake.discard().await;
        return Ok(());
    }
    let paused = timeout(WRITING, intake.pause()).await;
    // A disk that takes longer is not waited for. What it refuses to take is thrown away then, too.
    let _ = timeout(WRITING, intake.let_go()).await;
    paused.map_or(Ok(()), |paused| paused.map(drop))
}

/// Why it was not received, or why not even what came is kept. The first failure of the disk is the one
/// to be told, but not to who has given up.
fn or_unwritten(why: ReceiveError, kept: Result<(), WriteError>) -> ReceiveError {
    match (why, kept) {
        (ReceiveError::Broken(_) | ReceiveError::CutShort, Err(unwritten)) => unwritten.into(),
        (why, _) => why,
    }
}

/// Takes so many bytes.
async fn bytes(
    from: &mut (impl AsyncRead + Unpin),
    counter: &Counter,
    intake: &mut Intake,
    mut left: u64,
) -> Result<(), ReceiveError> {
    while left > 0 {
        let read = intake.take(from, left).await.map_err(|why| match why {
            TakeError::Read(why) => ReceiveError::Broken(why),
            TakeError::Write(why) => ReceiveError::Write(why),
        })?;
        if read == 0 {
            return Err(ReceiveError::CutShort);
        }
        counter.count(read);
        left -= u64::try_from(read).unwrap_or_default();
    }
    Ok(())
}

/// For the disk to take what came of a file that is given up. Whoever gives up many at once, to leave, has
/// little more than that.
const WRITING: Duration = Duration::from_secs(2);
