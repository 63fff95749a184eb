//! The negotiation: `<open/>` and its answer (XEP-0047 §2.1).

use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tubes_transport::{
    AskError, Bytestream, ConnectError, Inbound, Kind, Patience, Plan, Question, Role, StreamId,
    Voice, Wire,
};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::Ibb;
use crate::element::{self, Heard, Speech};
use crate::stream;

/// One try of In-Band Bytestreams.
pub(crate) struct Attempt {
    ibb: Ibb,
    role: Role,
    kind: Kind,
}

impl Attempt {
    pub(crate) fn new(ibb: Ibb, plan: Plan) -> Self {
        Self {
            ibb,
            role: plan.role,
            kind: plan.kind,
        }
    }

    async fn request(&self, wire: &Wire) -> Result<u16, ConnectError> {
        let mut block_size = self.ibb.block_size;
        loop {
            match offer(wire, self.kind, block_size).await {
                Ok(()) => return Ok(block_size),
                Err(AskError::Refused(why))
                    if why.defined_condition == DefinedCondition::ResourceConstraint
                        && block_size > SMALLEST =>
                {
                    block_size = smaller(block_size);
                }
                Err(why) => return Err(why.into()),
            }
        }
    }

    async fn respond(&self, wire: &mut Wire) -> Result<u16, ConnectError> {
        loop {
            // What belongs to another transport stays where it is, for the next attempt.
            if !wire.peek().await?.payload().has_ns(element::NS) {
                let why = "the peer turned to another transport";
                return Err(ConnectError::Protocol(why.to_owned()));
            }
            let Inbound::Ask(ask) = wire.next().await? else {
                continue;
            };
            match Heard::read(ask.payload()) {
                Heard::Open { block_size } if block_size > self.ibb.largest_block => {
                    // XEP-0047 §2.1: the peer may try a smaller size.
                    let condition = DefinedCondition::ResourceConstraint;
                    ask.refuse_with(ErrorType::Modify, condition);
                }
                Heard::Open { block_size } => {
                    ask.grant(None);
                    return Ok(block_size);
                }
                Heard::Malformed => {
                    ask.refuse(element::error(DefinedCondition::BadRequest));
                    let why = "malformed <open/>";
                    return Err(ConnectError::Protocol(why.to_owned()));
                }
                Heard::Abort | Heard::Close | Heard::Data { .. } | Heard::Foreign => {
                    ask.refuse(element::error(DefinedCondition::ItemNotFound));
                }
            }
        }
    }
}

#[async_trait]
impl tubes_transport::Attempt for Attempt {
    async fn connect(
        self: Box<Self>,
        _remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let block_size = match self.role {
            Role::Requester => self.request(wire).await?,
            Role::Responder => timeout(DEADLINE, self.respond(wire))
                .await
                .map_err(|_| ConnectError::TimedOut("waiting for the peer to open"))??,
        };
        tracing::debug!(block_size, "in-band bytestream open");
        let stream = stream::open(wire.take(), self.kind, block_size, self.ibb.window);
        // A flush waits for the peer to acknowledge each block.
        let stream = Bytestream::new(stream, LABEL).with_receipt();
        Ok(match self.kind {
            Kind::Ours => stream,
            Kind::Other => stream.without_half_close(),
        })
    }
}

/// Offers one block size and waits for the answer.
async fn offer(wire: &Wire, kind: Kind, block_size: u16) -> Result<(), AskError> {
    let open = Speech::Open { block_size }.into_element(wire.stream());
    let patience = Patience::default();
    let answer = wire.ask(Question::Set, open, patience).await?;
    let mut offered = Offered {
        voice: wire.voice(),
        stream: wire.stream().clone(),
        kind,
        outcome: Outcome::Unknown,
    };
    let answer = answer.await;
    if !matches!(answer, Err(AskError::TimedOut)) {
        offered.outcome = Outcome::Known;
    }
    answer.map(|_| ())
}

/// An `<open/>` that the peer may yet accept.
struct Offered {
    voice: Voice,
    stream: StreamId,
    kind: Kind,
    outcome: Outcome,
}

#[derive(PartialEq)]
enum Outcome {
    Known,
    Unknown,
}

impl Drop for Offered {
    /// Takes an offer back that nobody waits for any more: or the peer would hold a stream open
    /// at whose other end is nobody.
    fn drop(&mut self) {
        if self.outcome == Outcome::Known {
            return;
        }
        // A peer that has accepted meanwhile is not to take this for the end of an empty stream.
        let speech = match self.kind {
            Kind::Ours => Speech::Abort,
            Kind::Other => Speech::Close,
        };
        let close = speech.into_element(&self.stream);
        let voice = self.voice.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // Whether it still reached anybody makes no difference here.
                let _ = voice.ask(Question::Set, close, Patience::default()).await;
            });
        }
    }
}

/// The next smaller power of two: others accept such sizes (QXmpp and Gabble 4096).
fn smaller(block_size: u16) -> u16 {
    let half = block_size.saturating_sub(1).checked_ilog2();
    half.map_or(1, |exponent| 1 << exponent)
}

/// The transport's name for people.
const LABEL: &str = "ibb";

/// How long the peer may take until it opens: it may first try other transports that it has
/// agreed on.
const DEADLINE: Duration = Duration::from_secs(60);

/// Below this there is more envelope than content; a peer that wants less does not want us.
const SMALLEST: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_to_powers_of_two() {
        let sizes = [65535, 5888, 4096, 257, 2, 1].map(smaller);
        assert_eq!(sizes, [32768, 4096, 2048, 256, 1, 1]);
    }
}
