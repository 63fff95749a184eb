//! Receiving a file, and having the last word on it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::timeout;
use tubes_files::{Checksum, FinishError, Intake, Partial, TakeError, Trouble, WriteError};
use tubes_protocol::file::{Md5, Reason, Sha256, Sum, Verdict};
use tubes_transport::Bytestream;

use crate::words::{PARTING, drain, end, hear, tell};
use crate::{Certainty, Counter, Dialect, Errand};

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
    fn for_sender(&self) -> Option<Reason> {
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

/// Receives the rest of a file, and says how that went where the sender can hear it.
///
/// # Errors
///
/// The file is not in its place.
pub async fn receive(
    errand: Errand,
    partial: Partial,
    wanted: Wanted,
) -> Result<Received, ReceiveError> {
    errand.counter.begin(partial.offset());
    match errand.dialect {
        Dialect::Ours => from_own(errand, partial, wanted).await,
        Dialect::Plain => from_others(errand, partial, wanted).await,
    }
}

async fn from_own(
    errand: Errand,
    partial: Partial,
    wanted: Wanted,
) -> Result<Received, ReceiveError> {
    let Errand {
        mut stream,
        counter,
        stop,
        ..
    } = errand;
    let left = partial.size() - partial.offset();
    let mut intake = Intake::new(partial);
    let taking = async {
        bytes(&mut stream, &counter, &mut intake, left).await?;
        let sum: Option<Sum> = hear(&mut stream).await.map_err(ReceiveError::Broken)?;
        let Sum(sum) = sum.ok_or(ReceiveError::CutShort)?;
        Ok(sum)
    };
    let taken = tokio::select! {
        biased;
        () = stop.cancelled() => Err(ReceiveError::Stopped),
        taken = taking => taken,
    };
    match taken {
        Ok(sum) => {
            let received = settle(intake, sum, wanted).await;
            conclude(stream, &received).await;
            received
        }
        Err(why) => {
            // The sender need not wait for the disk to hear that.
            let failed = Err(why);
            let (kept, ()) = tokio::join!(keep(intake), conclude(stream, &failed));
            failed.map_err(|why| or_unwritten(why, kept))
        }
    }
}

/// Receives nothing, and says why where the sender can hear it; for others the bytestream breaks.
pub async fn refuse(errand: Errand, reason: Reason) {
    if errand.dialect == Dialect::Ours {
        close(errand.stream, Verdict::Failed(reason)).await;
    }
}

/// Says how it went, and ends the bytestream.
pub(crate) async fn conclude(stream: Bytestream, received: &Result<Received, ReceiveError>) {
    let verdict = match received {
        Ok(_) => Some(Verdict::Received),
        Err(why) => why.for_sender().map(Verdict::Failed),
    };
    if let Some(verdict) = verdict {
        close(stream, verdict).await;
    }
}

async fn close(mut stream: Bytestream, verdict: Verdict) {
    // The file is in its place or not, whether the sender hears of it or not: it will offer it again.
    let told = timeout(PARTING, tell(&mut stream, verdict)).await;
    if let Ok(Ok(())) = told {
        // What is still on its way would have the word itself thrown away.
        drain(&mut stream).await;
        end(&mut stream).await;
    }
}

async fn settle(intake: Intake, sum: Sha256, wanted: Wanted) -> Result<Received, ReceiveError> {
    if wanted.sha256.is_some_and(|wanted| wanted != sum) {
        intake.discard().await;
        return Err(ReceiveError::Unlike);
    }
    let path = intake.finish(Some(Checksum::Sha256(sum.0))).await?;
    Ok(Received {
        path,
        sum: Some(sum),
        certainty: Certainty::Verified,
    })
}

/// Keeps what came, to go on with it later. The part is free then.
async fn keep(mut intake: Intake) -> Result<(), WriteError> {
    let paused = timeout(WRITING, intake.pause()).await;
    // A disk that takes longer is not waited for. What it refuses to take is thrown away then, too.
    let _ = timeout(WRITING, intake.let_go()).await;
    paused.map_or(Ok(()), |paused| paused.map(drop))
}

/// Why it was not received, or why not even what came is kept. The first failure of the disk is the one
/// to be told, but not to who has given up.
fn or_unwritten(why: ReceiveError, kept: Result<(), WriteError>) -> ReceiveError {
    match (why, kept) {
        (why @ (ReceiveError::Write(_) | ReceiveError::Stopped), _) | (why, Ok(())) => why,
        (_, Err(unwritten)) => unwritten.into(),
    }
}

async fn from_others(
    errand: Errand,
    partial: Partial,
    wanted: Wanted,
) -> Result<Received, ReceiveError> {
    let Errand {
        mut stream,
        counter,
        stop,
        ..
    } = errand;
    if partial.offset() > 0 && wanted.md5.is_none() {
        // So it is with our own kind over a bytestream without half-close, where no sum is said in the end.
        partial.discard();
        return Err(ReceiveError::Unproven);
    }
    let left = partial.size() - partial.offset();
    let mut intake = Intake::new(partial);
    let taken = tokio::select! {
        biased;
        () = stop.cancelled() => Err(ReceiveError::Stopped),
        taken = bytes(&mut stream, &counter, &mut intake, left) => taken,
    };
    if let Err(why) = taken {
        // It breaks, which is all that others know.
        drop(stream);
        return Err(or_unwritten(why, keep(intake).await));
    }
    let sum = wanted.md5.map(|sum| Checksum::Md5(sum.0));
    let path = intake.finish(sum).await?;
    // It is for the sender to end it; some wait for this side instead.
    end(&mut stream).await;
    drain(&mut stream).await;
    Ok(Received {
        path,
        sum: None,
        certainty: match sum {
            Some(_) => Certainty::Checked,
            None => Certainty::Carried,
        },
    })
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
