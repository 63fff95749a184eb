//! The session, as the application uses it beside the tubes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Handler, Message as ActorMessage, ResponseFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tubes_transport::{Ask, Gone, Stanzas};
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use super::SessionActor;

/// The XMPP session of an account, beside its tubes: the application's own messages, presences and
/// questions.
///
/// What the tubes use (offers, Stream Initiation, bytestreams, disco#info, the roster, pings) is not seen
/// here; presences are seen by both. Questions of one's own go through [`stanzas`](Self::stanzas).
///
/// ```
/// use tubes_actors::{Heard, SharedSession};
/// use xmpp_parsers::message::{Lang, Message};
///
/// /// Says back what people say.
/// async fn parrot(mut session: SharedSession) -> Result<(), tubes_transport::Gone> {
///     while let Some(heard) = session.next().await {
///         let Heard::Message(message) = heard else { continue };
///         if let (Some(from), Some(said)) = (message.from, message.bodies.into_values().next()) {
///             let answer = Message::chat(from).with_body(Lang::default(), said);
///             session.send_message(answer).await?;
///         }
///     }
///     Ok(())
/// }
/// # let _ = parrot;
/// ```
#[derive(Debug)]
pub struct SharedSession {
    heard: mpsc::Receiver<Held>,
    missed: Arc<AtomicU64>,
    stanzas: Stanzas,
}

/// Something that was said to the application.
///
/// See [`SharedSession`] for an example.
#[derive(Debug)]
#[non_exhaustive]
pub enum Heard {
    /// Somebody asks something. Whoever drops it answers `service-unavailable`.
    Ask(Ask),
    /// A message, also one that was stored meanwhile (XEP-0203), or came back as an error.
    Message(Box<Message>),
    /// The application read too slowly, and this many messages and presences are lost to it. (Questions
    /// were refused.)
    Missed(u64),
    /// A presence: of a contact, or in a room.
    Presence(Box<Presence>),
}

/// Why the session is not shared.
///
/// ```
/// use tubes_actors::ShareError;
///
/// /// Whether to wait until another part of the application has done with the session.
/// fn may_wait(why: &ShareError) -> bool {
///     matches!(why, ShareError::Already)
/// }
///
/// assert!(!may_wait(&ShareError::Gone(tubes_transport::Gone::Session)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// Some part of the application has it.
    #[error("the session is shared already: one part of the application has it")]
    Already,
    /// The account is closed, or lost.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl SharedSession {
    /// What was said to the application next; none once the account is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.missed.swap(0, Ordering::Relaxed) {
            0 => Some(self.heard.recv().await?.heard),
            missed => Some(Heard::Missed(missed)),
        }
    }

    /// Sends a message. Waits while much else is to be said. Cancel safe: nothing is sent if dropped.
    ///
    /// # Errors
    ///
    /// The account is closed.
    pub async fn send_message(&self, message: Message) -> Result<(), Gone> {
        self.stanzas.send_message(message).await
    }

    /// Sends a presence. One without an address is what contacts see from now on (RFC 6121 §4.4), also
    /// after a reconnection; what this client can do is added to it. Cancel safe: nothing is sent if
    /// dropped.
    ///
    /// # Errors
    ///
    /// The account is closed.
    pub async fn send_presence(&self, presence: Presence) -> Result<(), Gone> {
        self.stanzas.send_presence(presence).await
    }

    /// The way to ask things.
    pub fn stanzas(&self) -> &Stanzas {
        &self.stanzas
    }
}

/// The account's end of it.
#[derive(Debug)]
pub(super) struct Share {
    hearer: mpsc::Sender<Held>,
    /// Bytes that may wait.
    room: Arc<Semaphore>,
    missed: Arc<AtomicU64>,
}

/// Something that waits for the application, and the bytes that are kept for it.
#[derive(Debug)]
struct Held {
    heard: Heard,
    _room: OwnedSemaphorePermit,
}

impl SessionActor {
    /// Whether the application listens.
    pub(super) fn is_shared(&self) -> bool {
        let share = self.share.as_ref();
        share.is_some_and(|share| !share.hearer.is_closed())
    }

    /// Says something to the application, if it listens. The session never waits for it.
    pub(super) fn hand_on(&mut self, heard: Heard) {
        let Some(share) = &self.share else { return };
        let room = Arc::clone(&share.room);
        let Ok(room) = room.try_acquire_many_owned(weigh(&heard)) else {
            return share.lose(heard);
        };
        let _room = room;
        match share.hearer.try_send(Held { heard, _room }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => self.share = None,
            Err(mpsc::error::TrySendError::Full(held)) => share.lose(held.heard),
        }
    }
}

impl Share {
    /// There is no place for it.
    fn lose(&self, heard: Heard) {
        match heard {
            Heard::Ask(ask) => {
                ask.refuse_with(ErrorType::Wait, DefinedCondition::ResourceConstraint);
            }
            _ => drop(self.missed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// How much memory it takes, about.
fn weigh(heard: &Heard) -> u32 {
    let payloads = |payloads: &[Element]| -> usize {
        payloads
            .iter()
            .map(|payload| String::from(payload).len())
            .sum()
    };
    let size = match heard {
        Heard::Ask(ask) => payloads(std::slice::from_ref(ask.payload())),
        Heard::Message(message) => {
            let bodies: usize = message.bodies.values().map(String::len).sum();
            let subjects: usize = message.subjects.values().map(String::len).sum();
            bodies + subjects + payloads(&message.payloads)
        }
        Heard::Missed(_) => 0,
        Heard::Presence(presence) => {
            let statuses: usize = presence.statuses.values().map(String::len).sum();
            statuses + payloads(&presence.payloads)
        }
    };
    u32::try_from(size + FRAME).unwrap_or(u32::MAX)
}

/// Share the session with the application.
#[derive(ActorMessage)]
#[rtype(result = "Result<SharedSession, ShareError>")]
pub(crate) struct ShareSession;

impl Handler<ShareSession> for SessionActor {
    type Result = ResponseFuture<Result<SharedSession, ShareError>>;

    fn handle(&mut self, ShareSession: ShareSession, _: &mut Self::Context) -> Self::Result {
        let in_use = |share: &Share| !share.hearer.is_closed();
        if self.share.as_ref().is_some_and(in_use) {
            return Box::pin(async { Err(ShareError::Already) });
        }
        let (hearer, heard) = mpsc::channel(WAITING);
        let missed = Arc::default();
        self.share = Some(Share {
            hearer,
            room: Arc::new(Semaphore::new(ROOM)),
            missed: Arc::clone(&missed),
        });
        let stanzas = self.env.stanzas.clone();
        let session = self.session.clone();
        Box::pin(async move {
            session.share().await;
            Ok(SharedSession {
                heard,
                missed,
                stanzas,
            })
        })
    }
}

/// Bytes that wait for a slow application.
const ROOM: usize = 4 * 1024 * 1024;

/// Bytes that each takes beside what it says.
const FRAME: usize = 512;

/// What waits for a slow application.
const WAITING: usize = 1024;
