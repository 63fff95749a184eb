//! The task that sends a file.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tubes_courier::{SendError, Sent, Settled};
use tubes_files::{Algorithm, Checksum, Source, Stop};
use tubes_protocol::file::{
    Contents, Date, FileAnswer, FileError, FileOffer, Md5, Reason, Withdrawal,
};
use tubes_transport::{Kind, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

use super::end::{Concluded, Fate};
use super::passage::Passage;
use super::{Delivered, FileId, Particulars, Progress, trouble};
use crate::env::Env;
use crate::event::{Direction, Event, Failure};
use crate::failure;
use crate::opening::{Secured, Unopened};

/// A file to be sent.
#[derive(Debug)]
pub(crate) struct Sending {
    /// To whom: a contact, or one resource of it.
    pub(crate) to: Jid,
    pub(crate) source: Source,
    pub(crate) offer: FileOffer,
    pub(crate) contents: Contents,
}

/// A resource that takes files.
#[derive(Clone, Debug)]
pub(crate) struct Taker {
    pub(crate) jid: FullJid,
    /// What it is, if it has said so.
    pub(crate) kind: Option<Kind>,
}

impl Taker {
    /// By what the sum of a file of this size is said with the offer, in clear. Our own kind hears it in the
    /// end, where nobody else does; for others a large file is not read twice.
    fn sum(&self, size: u64) -> Option<Algorithm> {
        match self.kind {
            Some(Kind::Other) if size <= SUMMED => Some(Algorithm::Md5),
            _ => None,
        }
    }
}

impl Sending {
    /// This file, which is to be in this folder there.
    ///
    /// # Errors
    ///
    /// It has a name that cannot be said.
    pub(crate) fn new(
        to: Jid,
        source: Source,
        folder: Vec<String>,
        description: Option<String>,
    ) -> Result<Self, FileError> {
        let mut offer = FileOffer::new(source.name().as_str(), source.size())?;
        offer.date = Date::of(source.modified());
        if let Some(description) = description {
            offer = offer.with_description(description)?;
        }
        Ok(Self {
            to,
            offer,
            contents: Contents::within(folder)?,
            source,
        })
    }

    pub(super) fn announce(&self, env: &Env, file: FileId, progress: &Progress) {
        env.announcer.announce(Event::FileOffered {
            file,
            peer: self.to.clone(),
            direction: Direction::Out,
            particulars: Particulars::of(&self.offer, Some(&self.contents)),
            progress: progress.clone(),
        });
    }

    pub(super) async fn run(
        self,
        env: Env,
        file: FileId,
        progress: Progress,
        found: oneshot::Receiver<Taker>,
        stop: Stop,
    ) -> Concluded {
        let taker = tokio::select! {
            () = stop.ordered() => return Fate::GivenUp.into(),
            taker = found => taker,
        };
        let Ok(taker) = taker else {
            return Fate::from(failure::internal()).into();
        };
        let passage = Passage {
            env,
            file,
            progress,
            stop,
        };
        let offering = Offering {
            passage,
            taker,
            stream: new_stream(),
        };
        let sent = Box::pin(offering.send(self)).await;
        sent.unwrap_or_else(Concluded::from)
    }
}

/// A file that is offered to somebody.
struct Offering {
    passage: Passage,
    taker: Taker,
    stream: StreamId,
}

impl Offering {
    async fn send(mut self, sending: Sending) -> Result<Concluded, Fate> {
        let Sending {
            source,
            mut offer,
            contents,
            ..
        } = sending;
        let source = Arc::new(source);
        self.foresee().await?;
        offer.md5 = self.sum(&source).await?;
        let first = self.once(&source, offer.clone(), contents.clone()).await?;
        let Ended::Differs = first else {
            return first.concluded();
        };
        // What was there was part of something else, and is thrown away by now.
        self.stream = new_stream();
        self.once(&source, offer, contents).await?.concluded()
    }

    async fn once(
        &self,
        source: &Arc<Source>,
        offer: FileOffer,
        contents: Contents,
    ) -> Result<Ended, Fate> {
        let secured = self.offer(offer, contents).await?;
        let answer = FileAnswer::read(secured.purpose.as_ref(), source.size());
        let FileAnswer { range } = answer.map_err(|why| trouble::answer(&why))?;
        let peer = &self.taker.jid;
        self.passage.announce(peer, &secured, range.offset);
        let errand = self.passage.errand(secured);
        match tubes_courier::send(errand, Arc::clone(source), range).await {
            Ok(sent) => Ok(Ended::Sent(sent)),
            Err(SendError::Stopped) => {
                self.withdraw(Reason::Cancelled).await;
                Err(Fate::GivenUp)
            }
            Err(SendError::Refused(Reason::Differs)) if range.offset > 0 => Ok(Ended::Differs),
            Err(why) => {
                if let SendError::Source(why) = &why {
                    self.withdraw(trouble::of_source(why)).await;
                }
                Err(trouble::send(peer, &why).into())
            }
        }
    }

    /// Fails if it is known by now that the peer would be refused: then it is not to hear of the file.
    async fn foresee(&self) -> Result<(), Fate> {
        if self.taker.kind != Some(Kind::Other) {
            return Ok(());
        }
        // Who is no Tubes will say no key.
        let vetted = self.passage.opening(&self.taker.jid).vet(&[]).await;
        vetted.map(drop).map_err(|why| Failure::from(why).into())
    }

    /// The sum that is said with the offer.
    async fn sum(&self, source: &Arc<Source>) -> Result<Option<Md5>, Fate> {
        let Some(algorithm) = self.taker.sum(source.size()) else {
            return Ok(None);
        };
        let source = Arc::clone(source);
        let summing =
            spawn_blocking(move || source.checksum(algorithm, |_| ControlFlow::Continue(())));
        match summing.await {
            Ok(Ok(Checksum::Md5(sum))) => Ok(Some(Md5(sum))),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(why)) => Err(trouble::source(&why).into()),
            Err(_) => Err(failure::internal().into()),
        }
    }

    async fn offer(&self, offer: FileOffer, contents: Contents) -> Result<Secured, Fate> {
        let peer = &self.taker.jid;
        let extensions = vec![contents.into()];
        let stream = self.stream.clone();
        let request = self
            .passage
            .request(stream, peer.clone(), offer.into(), extensions);
        let opening = self.passage.opening(peer);
        let asked = tokio::select! {
            () = self.passage.stop.ordered() => None,
            asked = opening.ask(request) => Some(asked),
        };
        let Some(asked) = asked else {
            self.withdraw(Reason::Cancelled).await;
            return Err(Fate::GivenUp);
        };
        asked.map_err(|unopened| {
            Fate::Failed(match unopened {
                Unopened::Failed(failure) => failure,
                Unopened::Open(error) => trouble::offer(peer, &error),
            })
        })
    }

    /// Tells our own kind that nothing more comes; others learn of it by that.
    async fn withdraw(&self, reason: Reason) {
        if self.taker.kind != Some(Kind::Ours) {
            return;
        }
        let withdrawal = Withdrawal {
            stream: self.stream.as_str().to_owned(),
            reason,
        };
        let to = self.taker.jid.clone().into();
        let stanzas = &self.passage.env.stanzas;
        // A session that is down has nobody to be told over.
        let _ = timeout(COURTESY, stanzas.tell(to, withdrawal.payloads())).await;
    }
}

/// How one try ended.
enum Ended {
    /// What the receiver had was not the beginning of this file.
    Differs,
    Sent(Settled<Sent>),
}

impl Ended {
    fn concluded(self) -> Result<Concluded, Fate> {
        match self {
            // Twice is too often.
            Self::Differs => Err(failure::internal().into()),
            Self::Sent(settled) => Ok(Concluded::delivered(settled, |sent| Delivered {
                path: None,
                sha256: sent.sum.map(|sum| sum.to_string()),
                certainty: sent.certainty,
            })),
        }
    }
}

/// Draws an identifier that nobody can guess.
fn new_stream() -> StreamId {
    StreamId::from(format!("{:032x}", rand::random::<u128>()))
}

/// Bytes of a file that is read twice for others, so that its sum can be said with the offer.
const SUMMED: u64 = 16 * 1024 * 1024;

/// How long a session that is slow is worth waiting for.
const COURTESY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn a_sum_is_said_in_clear_only_to_who_is_known_to_need_it() {
        let sum = |kind, size| {
            let jid = "alice@example.org/one".parse().unwrap();
            Taker { jid, kind }.sum(size)
        };
        assert_eq!(sum(Some(Kind::Ours), 1), None);
        assert_eq!(sum(None, 1), None);
        assert_eq!(sum(Some(Kind::Other), 1), Some(Algorithm::Md5));
        assert_eq!(sum(Some(Kind::Other), SUMMED + 1), None);
    }
}
