//! A file on its way, as one value.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_stream::Stream;
use tubes_actors::state::{File, Passage};
use tubes_actors::{
    AcceptFileError, Account, Delivered, Direction, Event, Events, Failure, FailureKind, FileId,
    Particulars, Progress, State,
};
use tubes_files::Destination;
use tubes_secure::Protection;
use xmpp_parsers::jid::{FullJid, Jid};

/// A file that is offered, or on its way. Also a [`Stream`] of its [`Step`]s, of which the last one says
/// how it ended.
///
/// Dropping it changes nothing: the file goes on, and the account's events tell of it.
#[derive(Debug)]
pub struct FileTransfer {
    account: Account,
    id: FileId,
    file: File,
    events: Events,
    phase: Phase,
    /// How it ended, once it has.
    outcome: Outcome,
    /// What is to be told first.
    started: Option<Step>,
    /// What was told last.
    bytes: u64,
    pace: Interval,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ended,
    Flowing,
    Offered,
}

/// Something that happened to a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// It is over. Nothing follows.
    Ended(Outcome),
    /// More of it was carried. Comes a few times a second at most.
    Progress {
        /// How many bytes were handed on; of the last of them the receiver may not have heard yet.
        bytes: u64,
        /// How many there are.
        size: u64,
    },
    /// The bytes begin to flow.
    Started {
        /// Who is at the other end.
        peer: FullJid,
        /// What carries it: `ibb`, …
        transport: &'static str,
        /// What was tried before, and why it failed.
        fell_back_from: Vec<(String, String)>,
        /// How many bytes the receiver had already.
        offset: u64,
        /// Whether somebody on the way can read or change it.
        protection: Protection,
    },
}

/// How a file ended.
///
/// ```
/// use tubes::{Certainty, Outcome};
///
/// /// Whether the sender can throw its own away.
/// fn is_there(outcome: &Outcome) -> bool {
///     match outcome {
///         Outcome::Done(delivered) => delivered.certainty == Certainty::Verified,
///         Outcome::Failed(_) | Outcome::GivenUp | Outcome::Unconfirmed => false,
///     }
/// }
///
/// assert!(!is_there(&Outcome::GivenUp));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived: where it is, and how sure that is.
    Done(Delivered),
    /// It was not sent, for this reason.
    Failed(Failure),
    /// This side gave it up, or left.
    GivenUp,
    /// All of it was sent, and nothing tells that it arrived. Only at the sender.
    Unconfirmed,
}

impl Outcome {
    /// Whether it arrived, as far as that can be known: the [`Certainty`](crate::Certainty) says how far.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl From<Delivered> for Outcome {
    fn from(delivered: Delivered) -> Self {
        match delivered.certainty.is_arrival() {
            true => Self::Done(delivered),
            false => Self::Unconfirmed,
        }
    }
}

impl FileTransfer {
    /// One that is there; none if there is no such file (any more).
    pub(crate) fn of(account: &Account, id: FileId) -> Option<Self> {
        let (state, events) = account.watch();
        let file = state.files.get(&id)?.clone();
        Some(Self::new(account, id, file, events))
    }

    /// One that was ordered after these events began: it may be over already.
    pub(crate) async fn begun(account: &Account, id: FileId, mut events: Events) -> Option<Self> {
        let mut state = State::default();
        loop {
            match events.next().await? {
                Event::Missed(_) => return Self::of(account, id),
                event => state.handle(&event),
            }
            if let Some(file) = state.files.remove(&id) {
                return Some(Self::new(account, id, file, events));
            }
        }
    }

    fn new(account: &Account, id: FileId, file: File, events: Events) -> Self {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = started(&file.passage);
        Self {
            account: account.clone(),
            id,
            phase: match started {
                Some(_) => Phase::Flowing,
                None => Phase::Offered,
            },
            outcome: Outcome::GivenUp,
            started,
            file,
            events,
            bytes: 0,
            pace,
        }
    }

    /// Its name in events.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The other side: who offers it, or whom it is offered to.
    pub fn peer(&self) -> &Jid {
        &self.file.peer
    }

    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        self.file.direction
    }

    /// What it is.
    pub fn particulars(&self) -> &Particulars {
        &self.file.particulars
    }

    /// How far it has come, from now on and to its end.
    pub fn progress(&self) -> Progress {
        self.file.progress.clone()
    }

    /// Receives it, there. It takes up what is left there of an earlier time, if it is the same file.
    ///
    /// # Errors
    ///
    /// It is no file that waits for this. What the file system objects to is told as a step.
    pub async fn accept(&self, there: Destination) -> Result<(), AcceptFileError> {
        self.account.accept_file(self.id, there).await
    }

    /// Declines it, or gives it up, and tells the other side. What came of it stays, to go on with.
    /// Returns when it is gone.
    pub async fn give_up(&self) {
        self.account.give_up_file(self.id).await;
    }

    /// The next step; none after the last one. Cancel safe.
    pub async fn next(&mut self) -> Option<Step> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end.
    pub async fn outcome(&mut self) -> Outcome {
        while self.next().await.is_some() {}
        self.outcome.clone()
    }

    /// What an event means for it.
    fn handle(&mut self, event: Event) -> Option<Step> {
        match event {
            Event::FileDone { file, delivered } if file == self.id => self.ended(delivered.into()),
            Event::FileFailed { file, error, .. } if file == self.id => {
                self.ended(error.map_or(Outcome::GivenUp, Outcome::Failed))
            }
            Event::FileStarted {
                file,
                peer,
                transport,
                fell_back_from,
                offset,
                protection,
            } if file == self.id => {
                self.phase = Phase::Flowing;
                Some(Step::Started {
                    peer,
                    transport,
                    fell_back_from,
                    offset,
                    protection,
                })
            }
            Event::Missed(_) => self.catch_up(),
            _ => None,
        }
    }

    /// Events were lost.
    fn catch_up(&mut self) -> Option<Step> {
        let (state, events) = self.account.watch();
        self.events = events;
        if let Some(file) = state.files.get(&self.id) {
            self.file = file.clone();
            let started = started(&file.passage).filter(|_| self.phase == Phase::Offered);
            if started.is_some() {
                self.phase = Phase::Flowing;
            }
            return started;
        }
        self.ended(Outcome::Failed(Failure {
            kind: FailureKind::Limit,
            message: "it ended while events were missed: how is not known".to_owned(),
            remedy: None,
        }))
    }

    fn ended(&mut self, outcome: Outcome) -> Option<Step> {
        self.phase = Phase::Ended;
        self.outcome = outcome.clone();
        Some(Step::Ended(outcome))
    }

    fn moved(&mut self) -> Option<Step> {
        let bytes = self.file.progress.bytes();
        if bytes == self.bytes {
            return None;
        }
        self.bytes = bytes;
        Some(Step::Progress {
            bytes,
            size: self.file.particulars.size,
        })
    }
}

impl Stream for FileTransfer {
    type Item = Step;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        let this = &mut *self;
        if this.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        if let Some(step) = this.started.take() {
            return Poll::Ready(Some(step));
        }
        while let Poll::Ready(event) = Pin::new(&mut this.events).poll_next(cx) {
            let step = match event {
                Some(event) => this.handle(event),
                // The account is closed, and with it the file.
                None => this.ended(Outcome::GivenUp),
            };
            if step.is_some() {
                return Poll::Ready(step);
            }
        }
        while this.phase == Phase::Flowing && this.pace.poll_tick(cx).is_ready() {
            if let Some(step) = this.moved() {
                return Poll::Ready(Some(step));
            }
        }
        Poll::Pending
    }
}

/// What has begun, as a step.
fn started(passage: &Passage) -> Option<Step> {
    match passage.clone() {
        Passage::Flowing {
            peer,
            transport,
            fell_back_from,
            offset,
            protection,
        } => Some(Step::Started {
            peer,
            transport,
            fell_back_from,
            offset,
            protection,
        }),
        _ => None,
    }
}

/// How often it is told how far it has come: as often as people can see.
const PACE: Duration = Duration::from_millis(100);
