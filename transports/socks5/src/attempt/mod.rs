//! The negotiation (XEP-0065 §5, §6).
//!
//! ```text
//!   requester                         responder
//!     │ ── <query/>: hosts ─────────────► │
//!     │ ◄─── TCP, to one of them ──────── │  or both to a proxy
//!     │ ◄── <streamhost-used/> ────────── │  or item-not-found
//!     │ ── <activate/> to the proxy       │
//! ```

mod promise;
mod requester;
mod responder;

use std::time::Duration;

use tokio::net::TcpStream;
use tubes_transport::{AskError, Bytestream, Kind, Patience, Plan, Question, Stanzas, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

pub(crate) use self::requester::Requester;
pub(crate) use self::responder::Responder;

use crate::plain::{End, Plain};
use crate::relayed::Relayed;
use crate::{Way, element};

/// Asks a proxy to relay a stream between this side and `responder`, both of which have connected.
pub(crate) async fn activate(
    proxy: &Jid,
    stream: &StreamId,
    responder: &FullJid,
    stanzas: &Stanzas,
) -> Result<(), AskError> {
    let activate = element::activate(stream, responder);
    let patience = Patience::Within(ACTIVATION);
    let asked = stanzas.ask(Some(proxy.clone()), Question::Set, activate, patience);
    asked.await?.await.map(drop)
}

/// Whether the negotiation is one between two occupants of a room.
fn is_in_room(plan: &Plan) -> bool {
    plan.local != plan.account
}

/// The open bytestream over a connection that has its handshake behind it.
fn open(stream: TcpStream, way: Way, kind: Kind) -> Bytestream {
    match (way, kind) {
        (Way::Direct, Kind::Ours) => Plain::open(stream, End::OfOneDirection, way),
        (Way::Proxy, Kind::Ours) => Bytestream::new(Relayed::new(stream), way.label()),
        (_, Kind::Other) => Plain::open(stream, End::OfBoth, way),
    }
}

/// For a proxy to answer. It has nothing else to do than to look two connections up.
const ACTIVATION: Duration = Duration::from_secs(5);
