//! Bytestreams within one process: the smallest transport that keeps the whole contract.
//!
//! ```text
//!   requester ── leaves a half ──► Memory ── takes it ──► responder
//!       └────────── <open sid='…'/> over the Wire ────────────┘
//! ```
//!
//! - [`Memory`]: the transport, and one try of it (this file)
//! - the two halves of a bytestream (`half.rs`)

mod half;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tubes_transport::xmpp_parsers::jid::FullJid;
use tubes_transport::xmpp_parsers::minidom::Element;
use tubes_transport::xmpp_parsers::minidom::rxml::xml_ncname;
use tubes_transport::xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};
use tubes_transport::{
    Attempt, Bytestream, ConnectError, Inbound, Patience, Plan, Question, Role, StreamId,
    Transport, Wire, async_trait,
};

use crate::half::Half;

/// The transport. Both accounts get clones of one value: through it their bytestreams meet.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    left: Arc<Mutex<HashMap<Place, Half>>>,
}

/// Requester, responder and stream: no other account can take what is left for this one.
type Place = (FullJid, FullJid, StreamId);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Half>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Memory {
    fn namespace(&self) -> &'static str {
        NS
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        let memory = self.clone();
        Ok(Box::new(Meeting { memory, plan }))
    }
}

/// One try.
struct Meeting {
    memory: Memory,
    plan: Plan,
}

#[async_trait]
impl Attempt for Meeting {
    async fn connect(
        self: Box<Self>,
        _remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let half = match self.plan.role {
            Role::Requester => self.request(wire).await?,
            Role::Responder => timeout(DEADLINE, self.respond(wire))
                .await
                .map_err(|_| ConnectError::TimedOut("waiting for the peer to open"))??,
        };
        Ok(Bytestream::new(half, "memory"))
    }
}

impl Meeting {
    async fn request(&self, wire: &Wire) -> Result<Half, ConnectError> {
        let Plan {
            local,
            peer,
            stream,
            ..
        } = self.plan.clone();
        let open = Element::builder("open", NS)
            .attr(xml_ncname!("sid").to_owned(), stream.as_str())
            .build();
        let (ours, theirs) = half::pair();
        let _left = Left::new(&self.memory, (local, peer, stream), theirs);
        wire.ask(Question::Set, open, Patience::default())
            .await?
            .await?;
        Ok(ours)
    }

    async fn respond(&self, wire: &mut Wire) -> Result<Half, ConnectError> {
        // What belongs to another transport stays where it is, for the next attempt.
        if !wire.peek().await?.payload().is("open", NS) {
            let why = "the peer turned to another transport";
            return Err(ConnectError::Protocol(why.to_owned()));
        }
        let Inbound::Ask(ask) = wire.next().await? else {
            let why = "the peer tells what it should ask";
            return Err(ConnectError::Protocol(why.to_owned()));
        };
        let Plan {
            local,
            peer,
            stream,
            ..
        } = self.plan.clone();
        let Some(half) = self.memory.lock().remove(&(peer, local, stream)) else {
            ask.refuse_with(ErrorType::Cancel, DefinedCondition::ItemNotFound);
            let why = "the peer is in another process, or has given up";
            return Err(ConnectError::Unreachable(why.to_owned()));
        };
        ask.grant(None);
        Ok(half)
    }
}

/// What the requester has left; taken back when dropped, unless the responder has it.
struct Left<'a> {
    memory: &'a Memory,
    place: Place,
}

impl<'a> Left<'a> {
    fn new(memory: &'a Memory, place: Place, half: Half) -> Self {
        memory.lock().insert(place.clone(), half);
        Self { memory, place }
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.memory.lock().remove(&self.place);
    }
}

/// What both sides call this transport.
const NS: &str = "urn:x-tubes:memory:0";

/// How long the peer may take until it opens: it may first try other transports.
const DEADLINE: Duration = Duration::from_secs(60);
