//! One bytestream's share of the XMPP session.

use tokio::sync::mpsc;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;

use crate::stanzas;
use crate::switchboard::Claim;
use crate::{Answer, Ask, Gone, Patience, Question, Share, Stanzas, StreamId, Tell};

/// What one peer says of one stream, and a way to answer in kind.
///
/// Stanzas are routed here by the pair of sender and `sid`, so no peer can speak into another's
/// stream, and a new transport's stanzas arrive without a line of routing code. Dropping the
/// wire releases the claim; questions still waiting in it are answered `service-unavailable`.
#[derive(Debug)]
pub struct Wire {
    claim: Claim,
    peeked: Option<Inbound>,
    voice: Voice,
    signals: Option<mpsc::Sender<Element>>,
}

impl Wire {
    pub(crate) fn new(claim: Claim, stanzas: Stanzas) -> Self {
        let voice = Voice {
            peer: claim.peer().clone(),
            stanzas,
        };
        Self {
            claim,
            peeked: None,
            voice,
            signals: None,
        }
    }

    /// Lets [`inform`](Self::inform) reach the peer inside the negotiation.
    ///
    /// For a signalling that can carry such information (Jingle's `transport-info`).
    pub fn with_signals(mut self, signals: mpsc::Sender<Element>) -> Self {
        self.signals = Some(signals);
        self
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Jid {
        self.claim.peer()
    }

    /// The stream this wire belongs to.
    pub fn stream(&self) -> &StreamId {
        self.claim.stream()
    }

    /// To count by what of the peer's bytes is held until it is read: all of its streams together have a
    /// bound. For transports that carry bytes on the wire.
    pub fn share(&self) -> Share {
        self.claim.share()
    }

    /// The next thing the peer says. Cancel safe.
    pub async fn next(&mut self) -> Result<Inbound, Gone> {
        match self.peeked.take() {
            Some(inbound) => Ok(inbound),
            None => self.claim.recv().await,
        }
    }

    /// Looks at the next thing the peer says and leaves it there. Cancel safe.
    ///
    /// Under Stream Initiation the responder learns from it which transport is tried.
    pub async fn peek(&mut self) -> Result<&Inbound, Gone> {
        let inbound = self.next().await?;
        Ok(self.peeked.insert(inbound))
    }

    /// Asks the peer something on the bulk lane. See [`Stanzas::ask`].
    pub async fn ask(
        &self,
        question: Question,
        payload: Element,
        patience: Patience,
    ) -> Result<Answer, Gone> {
        self.voice.ask(question, payload, patience).await
    }

    /// Gives the peer information inside the negotiation; false if the signalling has no place
    /// for it (Stream Initiation), or if nobody listens any more.
    pub async fn inform(&self, information: Element) -> bool {
        match &self.signals {
            Some(signals) => signals.send(information).await.is_ok(),
            None => false,
        }
    }

    /// A way to speak that can be used while [`next`](Self::next) is awaited.
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// Takes the wire along beyond `connect`; what is left behind is closed.
    pub fn take(&mut self) -> Self {
        let left = Self {
            claim: self.claim.closed(),
            peeked: None,
            voice: self.voice.clone(),
            signals: None,
        };
        std::mem::replace(self, left)
    }
}

/// The speaking half of a [`Wire`].
#[derive(Clone, Debug)]
pub struct Voice {
    peer: Jid,
    stanzas: Stanzas,
}

impl Voice {
    /// Asks the peer something on the bulk lane. See [`Stanzas::ask`].
    pub async fn ask(
        &self,
        question: Question,
        payload: Element,
        patience: Patience,
    ) -> Result<Answer, Gone> {
        let to = Some(self.peer.clone());
        stanzas::ask(&self.stanzas.bulk, to, question, payload, patience).await
    }

    /// Tells the peer something on the bulk lane. See [`Stanzas::tell`].
    pub async fn tell(&self, payload: Element) -> Result<(), Gone> {
        stanzas::tell(&self.stanzas.bulk, self.peer.clone(), vec![payload]).await
    }
}

/// Something a peer said of a stream, or of nothing in particular.
#[derive(Debug)]
#[non_exhaustive]
pub enum Inbound {
    /// A question, to be answered once.
    Ask(Ask),
    /// Information inside the negotiation, from the signalling.
    Info(Element),
    /// A statement.
    Tell(Tell),
}

impl Inbound {
    /// What was said.
    pub fn payload(&self) -> &Element {
        match self {
            Self::Ask(ask) => ask.payload(),
            Self::Info(information) => information,
            Self::Tell(tell) => &tell.payload,
        }
    }
}
