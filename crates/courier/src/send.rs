//! Sending a file, and waiting for the last word on it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tubes_files::{Algorithm, Blocks, Checksum, Source, SourceError};
use tubes_protocol::file::{Range, Reason, Sha256, Sum, Verdict};

use crate::words::{drain, end, end_of, hear, tell};
use crate::{Certainty, Counter, Dialect, Errand, Farewell, Settled};

/// A file that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The sum of the whole, where the other side was told it.
    pub sum: Option<Sha256>,
    /// How sure it is that it arrived.
    pub certainty: Certainty,
}

/// Why a file was not sent, or why that is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The bytestream broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The receiver ended before the last byte was sent.
    #[error("the receiver ended before the last byte")]
    CutShort,
    /// The receiver does not have it, and says why.
    #[error("the receiver does not have it: {}", .0.name())]
    Refused(Reason),
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// This side gave it up.
    #[error("given up")]
    Stopped,
    /// Everything was sent, and the receiver ended without a word on it.
    #[error("the receiver has not said that it has everything")]
    Unconfirmed,
}

/// Sends a part of a file, and stays until the receiver has said that the whole is in its place; where it
/// cannot say so, until it has ended the bytestream, and has all of it as far as that tells. Where it does not,
/// or five minutes pass without that, it may have the file or not, and the [`Certainty`] says so.
///
/// # Errors
///
/// It was not sent. The receiver may have a part of it.
pub async fn send(
    errand: Errand,
    source: Arc<Source>,
    range: Range,
) -> Result<Settled<Sent>, SendError> {
    errand.counter.begin(range.offset);
    match errand.dialect {
        Dialect::Ours => to_own(errand, source, range).await,
        Dialect::Plain => to_others(errand, source, range).await,
    }
}

async fn to_own(
    errand: Errand,
    source: Arc<Source>,
    range: Range,
) -> Result<Settled<Sent>, SendError> {
    let Errand {
        stream,
        counter,
        stop,
        ..
    } = errand;
    let (mut read, mut write) = tokio::io::split(stream);
    let sent = {
        let hearing = hear(&mut read);
        let saying = async {
            let sum = bytes(&mut write, &counter, source, range, Some(Algorithm::Sha256)).await?;
            if let Some(sum) = sum {
                tell(&mut write, Sum(sum))
                    .await
                    .map_err(SendError::Broken)?;
            }
            Ok(sum)
        };
        tokio::select! {
            biased;
            () = stop.ordered() => Err(SendError::Stopped),
            sent = converse(saying, hearing) => sent,
        }
    };
    let mut stream = read.unsplit(write);
    match sent {
        Ok(sent) => Ok(Settled {
            outcome: sent,
            farewell: Some(Farewell::to(stream)),
        }),
        // An end that comes early tells the other side that no more follows, if it gets there: a bytestream
        // that is left behind breaks.
        Err(why) => {
            let _ = timeout(HASTE, async {
                end(&mut stream).await;
                drain(&mut stream).await;
            })
            .await;
            Err(why)
        }
    }
}

async fn to_others(
    errand: Errand,
    source: Arc<Source>,
    range: Range,
) -> Result<Settled<Sent>, SendError> {
    let Errand {
        stream,
        counter,
        stop,
        ..
    } = errand;
    let has_receipt = stream.receipt();
    let (mut read, mut write) = tokio::io::split(stream);
    let carrying = async {
        let mut ending = pin!(end_of(&mut read));
        tokio::select! {
            biased;
            said = bytes(&mut write, &counter, source, range, None) => said.map(drop)?,
            // Theirs is the end of both directions: what would be written after it gets nowhere.
            ended = &mut ending => {
                return Err(ended.map_or_else(SendError::Broken, |()| SendError::CutShort));
            }
        }
        let receiving = async {
            write.shutdown().await?;
            ending.await?;
            // They may have gone while the last bytes were in this machine.
            write.flush().await
        };
        // Everything was sent: whatever breaks now leaves open whether it arrived, and so does a proxy.
        Ok(match timeout(ENDING, receiving).await {
            Ok(Ok(())) if has_receipt => Certainty::Carried,
            _ => Certainty::Unconfirmed,
        })
    };
    let carried = tokio::select! {
        () = stop.ordered() => Err(SendError::Stopped),
        carried = carrying => carried,
    };
    Ok(Settled {
        outcome: Sent {
            sum: None,
            certainty: carried?,
        },
        farewell: None,
    })
}

/// Sends the bytes of a part; the sum of the whole, if it was wanted.
async fn bytes(
    to: &mut (impl AsyncWrite + Unpin),
    counter: &Counter,
    source: Arc<Source>,
    range: Range,
    algorithm: Option<Algorithm>,
) -> Result<Option<Sha256>, SendError> {
    let mut left = range.length_of(source.size());
    let mut blocks = Blocks::new(Arc::clone(&source), range.offset, algorithm);
    while left > 0 || algorithm.is_some() {
        let Some(block) = blocks.next().await? else {
            break;
        };
        let wanted = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        let mut rest = block.get(..wanted).unwrap_or_default();
        left -= u64::try_from(wanted).unwrap_or_default();
        if left == 0 && algorithm.is_none() {
            // Where no sum follows, the last byte is the end for who counts them.
            unchanged(Arc::clone(&source)).await?;
        }
        while !rest.is_empty() {
            let written = to.write(rest).await.map_err(SendError::Broken)?;
            if written == 0 {
                return Err(SendError::Broken(io::ErrorKind::WriteZero.into()));
            }
            counter.count(written);
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    Ok(match blocks.checksum() {
        Some(Checksum::Sha256(sum)) => Some(Sha256(sum)),
        _ => None,
    })
}

/// Fails if the file is not what it was when it was opened.
async fn unchanged(source: Arc<Source>) -> Result<(), SourceError> {
    let path = source.path().to_owned();
    let checked = spawn_blocking(move || source.check()).await;
    checked.unwrap_or(Err(SourceError::Stopped { path }))
}

/// Says what there is to say, and hears what the other side makes of it, which may be that all is in vain.
async fn converse(
    saying: impl Future<Output = Result<Option<Sha256>, SendError>>,
    hearing: impl Future<Output = io::Result<Option<Verdict>>>,
) -> Result<Sent, SendError> {
    let (mut saying, mut hearing) = (pin!(saying), pin!(hearing));
    let first = tokio::select! {
        biased;
        heard = &mut hearing => Err(heard),
        said = &mut saying => Ok(said),
    };
    let sum = match first {
        Ok(Ok(sum)) => {
            confirmed(hearing.await)?;
            sum
        }
        Ok(Err(SendError::Broken(why))) => {
            // Whoever breaks it may have said why.
            let heard = timeout(HASTE, hearing).await;
            return Err(match heard.map(confirmed) {
                Ok(Err(refused @ SendError::Refused(_))) => refused,
                _ => SendError::Broken(why),
            });
        }
        Ok(Err(why)) => return Err(why),
        Err(heard) => {
            confirmed(heard)?;
            // It has heard the last byte before this side knows that it was heard.
            saying.await?
        }
    };
    Ok(Sent {
        sum,
        certainty: Certainty::Verified,
    })
}

fn confirmed(heard: io::Result<Option<Verdict>>) -> Result<(), SendError> {
    match heard {
        Ok(Some(Verdict::Received)) => Ok(()),
        Ok(Some(Verdict::Failed(reason))) => Err(SendError::Refused(reason)),
        Ok(None) => Err(SendError::Unconfirmed),
        Err(why) => Err(SendError::Broken(why)),
    }
}

/// For who gives up, and has no time.
const HASTE: Duration = Duration::from_secs(1);

/// For others to take what this machine and a proxy hold, and to end: what kernels hold at most, 4 MiB,
/// takes as long at 14 KiB/s. Longer than kernels keep a connection over which nothing moves, so that those
/// break first.
const ENDING: Duration = Duration::from_secs(300);
