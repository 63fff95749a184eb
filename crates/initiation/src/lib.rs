//! Stream Initiation over a ladder of transports.
//!
//! ```text
//!   requester                            responder
//!   open                                 read ──► Proposal ──► accept
//!     │ ── request: the ladder ──────────► │
//!     │ ◄── answer: the rungs to try ───── │   claimed before answered
//!     │ ── first stanza of rung 1 ───────► │   tells which rung is tried
//!     ⋮    … and so on down the ladder     ⋮
//!   Opened                               Opened
//! ```
//!
//! - [`Si`]: the signalling (this file)
//! - `ladder.rs`: the transports, best first, and one try of one of them
//! - `open.rs`: the requester's side
//! - `accept.rs`: the responder's side
//!
//! What is decided is decided by the machines of `tubes_protocol::si`; here are the waits.

mod accept;
mod ladder;
mod open;

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{Instrument, Span, debug, info_span};
use tubes_protocol::ns;
use tubes_protocol::si::{SiError, SiRequest};
use tubes_transport::{
    Ask, Kind, OpenError, Opened, Proposal, Reading, Request, Signalling, Stanzas, StreamId,
    Transport,
};
use xmpp_parsers::jid::FullJid;

use crate::ladder::Ladder;

/// Stream Initiation (XEP-0095), with telepathy-gabble's fallback from one transport to the next.
#[derive(Clone, Debug)]
pub struct Si {
    ladder: Ladder,
}

impl Si {
    /// Stream Initiation over these transports, best first.
    pub fn new(transports: Vec<Arc<dyn Transport>>) -> Self {
        Self {
            ladder: Ladder::new(transports),
        }
    }
}

#[async_trait]
impl Signalling for Si {
    fn features(&self) -> Vec<String> {
        let own = [ns::SI, ns::KIND].into_iter();
        own.chain(self.ladder.namespaces())
            .map(str::to_owned)
            .collect()
    }

    async fn explore(&self, account: FullJid, stanzas: Stanzas) {
        self.ladder.explore(&account, &stanzas).await;
    }

    fn read(&self, ask: Ask) -> Reading {
        if !SiRequest::is(ask.payload()) {
            return Reading::Foreign(ask);
        }
        match parse(&ask) {
            Ok((peer, request)) => Reading::Proposal(Box::new(Proposal {
                stream: StreamId::from(request.id),
                peer,
                kind: kind(request.ours),
                purpose: request.purpose,
                extensions: request.extensions,
                transports: request.methods,
                multiple: request.multiple,
                ask,
            })),
            Err(why) => {
                debug!(peer = %ask.from(), %why, "request refused");
                ask.refuse(why.to_stanza_error());
                Reading::Answered
            }
        }
    }

    async fn open(&self, request: Request) -> Result<Opened, OpenError> {
        let span = span(&request);
        open::open(&self.ladder, request).instrument(span).await
    }

    async fn accept(&self, proposal: Proposal, request: Request) -> Result<Opened, OpenError> {
        let span = span(&request);
        accept::accept(&self.ladder, proposal, request)
            .instrument(span)
            .await
    }
}

fn parse(ask: &Ask) -> Result<(FullJid, SiRequest), SiError> {
    // Without a resource there is nobody to speak with over the wire.
    let peer = ask.from().clone().try_into_full();
    let peer = peer.map_err(|_| SiError::Malformed("a sender without a resource"))?;
    Ok((peer, SiRequest::try_from(ask.payload())?))
}

fn kind(ours: bool) -> Kind {
    if ours { Kind::Ours } else { Kind::Other }
}

fn span(request: &Request) -> Span {
    info_span!("negotiation", stream = %request.stream)
}
