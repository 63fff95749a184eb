//! The session, as the application uses it beside the tubes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Handler, Message as ActorMessage, ResponseFuture};
use tokio::sync::mpsc;
use tubes_transport::{Ask, Gone, Stanzas};
use xmpp_parsers::message::Message;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use super::SessionActor;

/// The XMPP session of an account, beside its tubes: the application's own messages, presences and
/// questions.
///
/// What the tubes use (offers, Stream Initiation, bytestreams, disco#info, the roster, pings) is not seen
/// here; presences are seen by both. Questions of one's own go through [`stanzas`](Self::stanzas).
#[derive(Debug)]
pub struct SharedSession {
    heard: mpsc::Receiver<Heard>,
    missed: Arc<AtomicU64>,
    stanzas: Stanzas,
}

/// Something that was said to the application.
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

/// The application has the session already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is shared already: one part of the application has it")]
pub struct AlreadyShared;

impl SharedSession {
    /// What was said to the application next; none once the account is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.missed.swap(0, Ordering::Relaxed) {
            0 => self.heard.recv().await,
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
    hearer: mpsc::Sender<Heard>,
    missed: Arc<AtomicU64>,
}

impl SessionActor {
    /// Says something to the application, if it listens. The session never waits for it.
    pub(super) fn hand_on(&mut self, heard: Heard) {
        let Some(share) = &self.share else { return };
        match share.hearer.try_send(heard) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => self.share = None,
            Err(mpsc::error::TrySendError::Full(Heard::Ask(ask))) => {
                ask.refuse_with(ErrorType::Wait, DefinedCondition::ResourceConstraint);
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                share.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Share the session with the application.
#[derive(ActorMessage)]
#[rtype(result = "Result<SharedSession, AlreadyShared>")]
pub(crate) struct ShareSession;

impl Handler<ShareSession> for SessionActor {
    type Result = ResponseFuture<Result<SharedSession, AlreadyShared>>;

    fn handle(&mut self, ShareSession: ShareSession, _: &mut Self::Context) -> Self::Result {
        let in_use = |share: &Share| !share.hearer.is_closed();
        if self.share.as_ref().is_some_and(in_use) {
            return Box::pin(async { Err(AlreadyShared) });
        }
        let (hearer, heard) = mpsc::channel(WAITING);
        let missed = Arc::default();
        self.share = Some(Share {
            hearer,
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

/// What waits for a slow application.
const WAITING: usize = 1024;
