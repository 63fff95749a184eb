//! The transports, best first, and one try of one of them.

use std::sync::Arc;

use futures_util::future::join_all;
use tracing::debug;
use tubes_transport::{
    Bytestream, ConnectError, Kind, OpenError, Plan, Request, Role, Stanzas, Transport, Tried, Wire,
};
use xmpp_parsers::jid::FullJid;

/// The transports of a signalling, best first.
#[derive(Clone, Debug)]
pub(crate) struct Ladder(Vec<Arc<dyn Transport>>);

impl Ladder {
    pub(crate) fn new(transports: Vec<Arc<dyn Transport>>) -> Self {
        Self(transports)
    }

    /// What the transports are called by, best first.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|transport| transport.namespace())
    }

    /// Lets every transport look around.
    pub(crate) async fn explore(&self, account: &FullJid, stanzas: &Stanzas) {
        let exploring = self.0.iter();
        join_all(exploring.map(|transport| transport.explore(account.clone(), stanzas.clone())))
            .await;
    }

    pub(crate) fn rung(&self, namespace: &str) -> Option<&dyn Transport> {
        let mut rungs = self.0.iter();
        let rung = rungs.find(|transport| transport.namespace() == namespace)?;
        Some(rung.as_ref())
    }
}

/// What a plan says, whichever transport it is for.
pub(crate) fn plan(request: &Request, role: Role, kind: Kind) -> Plan {
    Plan {
        role,
        stream: request.stream.clone(),
        local: request.local.clone(),
        peer: request.peer.clone(),
        account: request.account.clone(),
        kind,
        // Stream Initiation has no place for descriptions.
        offer: None,
        stanzas: request.stanzas.clone(),
    }
}

/// Tries one transport from beginning to end.
pub(crate) async fn attempt(
    transport: &dyn Transport,
    plan: Plan,
    wire: &mut Wire,
) -> Result<Bytestream, Failed> {
    let transport_ns = transport.namespace();
    debug!(transport = transport_ns, "attempt begins");
    let outcome = match transport.prepare(plan).await {
        Ok(attempt) => attempt.connect(None, wire).await.map_err(Failed::Connect),
        Err(why) => Err(Failed::Prepare(why)),
    };
    match &outcome {
        Ok(stream) => debug!(transport = transport_ns, label = stream.label(), "opened"),
        Err(failed) => debug!(transport = transport_ns, why = %failed.why(), "attempt failed"),
    }
    outcome
}

/// Where an attempt failed, and why.
#[derive(Debug)]
pub(crate) enum Failed {
    /// After something may have been said to the peer.
    Connect(ConnectError),
    /// Before anything was said.
    Prepare(ConnectError),
}

impl Failed {
    pub(crate) fn why(&self) -> &ConnectError {
        let (Self::Connect(why) | Self::Prepare(why)) = self;
        why
    }

    pub(crate) fn into_why(self) -> ConnectError {
        let (Self::Connect(why) | Self::Prepare(why)) = self;
        why
    }
}

/// Nothing is left to try.
pub(crate) fn exhausted(tried: Vec<Tried>) -> OpenError {
    OpenError::Exhausted(tried)
}

/// The last failure leaves no other transport a chance.
pub(crate) fn stopped(why: ConnectError, transport: &'static str, tried: Vec<Tried>) -> OpenError {
    match why {
        ConnectError::Gone(gone) => OpenError::Gone(gone),
        why => exhausted(tried.into_iter().chain(why.into_tried(transport)).collect()),
    }
}
