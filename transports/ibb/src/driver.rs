//! The task that owns a bytestream's wire.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep_until;
use tubes_transport::{Answer, AskError, Gone, Inbound, Patience, Question, StreamId, Voice, Wire};

use crate::element::Speech;
use crate::stream::Shared;

/// Runs until both directions are over. Whatever it waits for has an owner, the program that
/// holds the face, or a timeout of the machine.
pub(crate) async fn drive(shared: Arc<Shared>, mut wire: Wire) {
    // Should the runtime let this task fall, the program is told.
    let _fallen = Fallen(&shared);
    let voice = wire.voice();
    let mut answers = FuturesUnordered::new();
    let mut saying = None;
    loop {
        if saying.is_none() {
            saying = shared
                .with(|machine| machine.next_speech())
                .map(|speech| say(&voice, wire.stream(), speech));
        }
        let step = shared.with(|machine| match machine.is_over() {
            true => Step::Over,
            false => Step::Until(machine.next_timeout(now())),
        });
        let Step::Until(timeout) = step else {
            break;
        };
        tokio::select! {
            heard = wire.next() => if let Err(gone) = handle_heard(&shared, &mut wire, heard) {
                // What was answered before the peer went counts.
                while let Some(Some((what, sent, answer))) = answers.next().now_or_never() {
                    handle_answer(&shared, what, sent, answer);
                }
                shared.with(|machine| machine.handle_gone(gone));
            },
            said = settle(&mut saying) => match said {
                Ok((what, sent, answer)) => {
                    if what == What::Close {
                        shared.with(|machine| machine.handle_said());
                    }
                    answers.push(answer.map(move |answer| (what, sent, answer)));
                }
                Err(gone) => shared.with(|machine| machine.handle_gone(gone)),
            },
            Some((what, sent, answer)) = answers.next() => {
                handle_answer(&shared, what, sent, answer);
            }
            () = shared.work.notified() => {}
            () = sleep(timeout) => shared.with(|machine| machine.handle_timeout(now())),
        }
    }
    tracing::debug!("in-band bytestream over");
}

/// What the loop does next.
enum Step {
    Over,
    Until(Option<Instant>),
}

/// What an answer is about.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Close,
    /// The block of this number.
    Data(u16),
}

/// Something on its way into the session's lane, which may be full.
type Saying = Pin<Box<dyn Future<Output = Result<(What, Instant, Answer), Gone>> + Send>>;

fn say(voice: &Voice, stream: &StreamId, speech: Speech) -> Saying {
    let what = match speech {
        Speech::Data { seq, .. } => What::Data(seq),
        Speech::Abort | Speech::Close | Speech::Open { .. } => What::Close,
    };
    let payload = speech.into_element(stream);
    let voice = voice.clone();
    // The time in the lane counts: a lane that others fill is a queue like any other.
    let sent = now();
    Box::pin(async move {
        let patience = Patience::WhileAlive;
        let answer = voice.ask(Question::Set, payload, patience).await?;
        Ok((what, sent, answer))
    })
}

/// Completes when what is being said is in the lane. Cancel safe.
async fn settle(saying: &mut Option<Saying>) -> Result<(What, Instant, Answer), Gone> {
    let said = match saying {
        Some(saying) => saying.await,
        None => pending().await,
    };
    *saying = None;
    said
}

/// Takes what came, and what came with it: one wake for a batch.
fn handle_heard(
    shared: &Shared,
    wire: &mut Wire,
    heard: Result<Inbound, Gone>,
) -> Result<(), Gone> {
    shared.with(|machine| {
        let mut next = Some(heard);
        let mut left = BATCH;
        while let Some(heard) = next.take() {
            match heard? {
                Inbound::Ask(ask) => machine.handle_ask(ask),
                Inbound::Tell(tell) => machine.handle_tell(&tell.payload),
                // Information inside the negotiation comes too late and says nothing here.
                _ => {}
            }
            left -= 1;
            if left > 0 {
                next = wire.next().now_or_never();
            }
        }
        Ok(())
    })
}

fn handle_answer(
    shared: &Shared,
    what: What,
    sent: Instant,
    answer: Result<Option<xmpp_parsers::minidom::Element>, AskError>,
) {
    shared.with(|machine| match (what, answer) {
        (_, Err(AskError::Gone(gone))) => machine.handle_gone(gone),
        (What::Close, Ok(_)) => machine.handle_close_answered(Ok(())),
        (What::Close, Err(_)) => machine.handle_close_answered(Err(())),
        (What::Data(seq), Ok(_)) => machine.handle_acked(seq, sent, now()),
        (What::Data(_), Err(_)) => machine.handle_refused(),
    });
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}

/// The time by tokio's clock, which tests may pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Fallen<'a>(&'a Shared);

impl Drop for Fallen<'_> {
    fn drop(&mut self) {
        self.0.with(|machine| {
            if !machine.is_over() {
                machine.handle_gone(Gone::Closed);
            }
        });
    }
}

/// Stanzas that are taken at a time, before the reader is woken and others get their turn.
const BATCH: usize = 32;
