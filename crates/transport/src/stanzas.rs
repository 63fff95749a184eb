//! What may be said over the session.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::Presence;

use crate::switchboard::Switchboard;
use crate::{AskError, Bound, Excess, Gone, StreamId, Wire};

/// A cloneable, bounded way to say things over the session.
///
/// Two lanes lead to the session. What is said here takes the *control* lane and overtakes bulk
/// data; what is said on a [`Wire`] takes the *bulk* lane and keeps its order.
#[derive(Clone, Debug)]
pub struct Stanzas {
    pub(crate) control: mpsc::Sender<Outbound>,
    pub(crate) bulk: mpsc::Sender<Outbound>,
    pub(crate) switchboard: Switchboard,
}

impl Stanzas {
    /// Asks somebody something: sends an IQ request.
    ///
    /// Waits while the lane is full; the [`Answer`] is awaited separately, so that several
    /// questions can be under way in order. The time that `patience` gives begins now, so a
    /// session that is down for a while does not prolong it. Cancel safe: nothing is sent if
    /// dropped.
    pub async fn ask(
        &self,
        to: Option<Jid>,
        question: Question,
        payload: Element,
        patience: Patience,
    ) -> Result<Answer, Gone> {
        ask(&self.control, to, question, payload, patience).await
    }

    /// Tells somebody something: sends a message with these payloads and no body.
    ///
    /// Waits while the lane is full. Cancel safe: nothing is sent if dropped.
    pub async fn tell(&self, to: Jid, payloads: Vec<Element>) -> Result<(), Gone> {
        tell(&self.control, to, payloads).await
    }

    /// Sends a message as it is, beside what transports and tubes have to say. See
    /// [`tell`](Self::tell).
    ///
    /// # Errors
    ///
    /// The session is gone.
    pub async fn send_message(&self, message: Message) -> Result<(), Gone> {
        let message = Outbound::Message(Box::new(message));
        self.control.send(message).await.map_err(|_| Gone::Session)
    }

    /// Sends a presence. One without an address is what all contacts see of this client from now on,
    /// beside what the session says of itself. See [`tell`](Self::tell).
    ///
    /// # Errors
    ///
    /// The session is gone.
    pub async fn send_presence(&self, presence: Presence) -> Result<(), Gone> {
        let presence = Outbound::Presence(Box::new(presence));
        self.control.send(presence).await.map_err(|_| Gone::Session)
    }

    /// Reports that there was no more of something, for whoever may be told of it.
    pub fn exceeded(&self, bound: Bound) {
        self.switchboard.excesses.note(Excess { bound, who: None });
    }

    /// Claims what `peer` says of `stream` from now on; `None` if that is claimed already.
    pub fn claim(&self, peer: Jid, stream: StreamId) -> Option<Wire> {
        let claim = self.switchboard.claim(peer, stream)?;
        Some(Wire::new(claim, self.clone()))
    }

    /// Whether what `from` says of a stream that nobody claims may have been said before it knew that the stream is
    /// over. To be asked about each such stanza once: there is an end to that, too.
    pub fn was_on_the_way(&self, from: &Jid, stream: &StreamId) -> bool {
        self.switchboard.was_on_the_way(from, stream)
    }
}

pub(crate) async fn ask(
    lane: &mpsc::Sender<Outbound>,
    to: Option<Jid>,
    question: Question,
    payload: Element,
    patience: Patience,
) -> Result<Answer, Gone> {
    let (reply, answer) = oneshot::channel();
    let ask = Outbound::Ask {
        to,
        question,
        payload,
        patience,
        reply,
    };
    let mut answer = Answer {
        reply: answer,
        deadline: patience.deadline(),
    };
    let sent = match &mut answer.deadline {
        None => lane.send(ask).await,
        Some(deadline) => tokio::select! {
            biased;
            sent = lane.send(ask) => sent,
            // The question was dropped unsent; the answer says so when it is awaited.
            () = deadline.as_mut() => Ok(()),
        },
    };
    sent.map_err(|_| Gone::Session)?;
    Ok(answer)
}

pub(crate) async fn tell(
    lane: &mpsc::Sender<Outbound>,
    to: Jid,
    payloads: Vec<Element>,
) -> Result<(), Gone> {
    let tell = Outbound::Tell { to, payloads };
    lane.send(tell).await.map_err(|_| Gone::Session)
}

/// The two forms of an IQ request (RFC 6120 §8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Asks for information.
    Get,
    /// Asks for something to be done.
    Set,
}

/// How long a question may stay unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// At most this long.
    Within(Duration),
    /// As long as the session and the peer live. For answers that a peer may withhold as
    /// back-pressure; the session pings a peer that is silent meanwhile.
    WhileAlive,
}

impl Patience {
    /// For the answer to a request for a bytestream, where no person is asked: 60 seconds.
    pub const NEGOTIATION: Self = Self::Within(Duration::from_secs(60));

    fn deadline(self) -> Option<Pin<Box<Sleep>>> {
        match self {
            Self::Within(time) => Some(Box::pin(tokio::time::sleep(time))),
            Self::WhileAlive => None,
        }
    }
}

impl Default for Patience {
    /// 30 seconds.
    fn default() -> Self {
        Self::Within(Duration::from_secs(30))
    }
}

/// The answer to a question; resolves to the result's payload.
///
/// Dropping it forgets the question; an answer that still comes is ignored.
#[derive(Debug)]
pub struct Answer {
    reply: oneshot::Receiver<Result<Option<Element>, AskError>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Answer {
    type Output = Result<Option<Element>, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // First the deadline: a question that was dropped because of it has no reply either.
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            // An answer that came in the last moment counts.
            let answer = self.reply.try_recv();
            return Poll::Ready(answer.unwrap_or(Err(AskError::TimedOut)));
        }
        // A reply that was dropped unanswered went down with the session.
        let reply = Pin::new(&mut self.reply).poll(cx);
        reply.map(|answer| answer.unwrap_or(Err(AskError::Gone(Gone::Session))))
    }
}

impl Outbound {
    /// Whether it is a question that nobody waits for any more.
    pub fn is_abandoned(&self) -> bool {
        matches!(self, Self::Ask { reply, .. } if reply.is_closed())
    }
}

/// Something on its way to the session.
#[derive(Debug)]
pub enum Outbound {
    /// An answer to a peer's question.
    Answer(crate::Answered),
    /// A question.
    Ask {
        /// Whom to ask; nobody: the own account.
        to: Option<Jid>,
        /// The form of the request.
        question: Question,
        /// What to ask.
        payload: Element,
        /// How long to wait.
        patience: Patience,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Option<Element>, AskError>>,
    },
    /// A message of the application's.
    Message(Box<Message>),
    /// A presence of the application's.
    Presence(Box<Presence>),
    /// A message.
    Tell {
        /// Whom to tell.
        to: Jid,
        /// What to tell.
        payloads: Vec<Element>,
    },
}
