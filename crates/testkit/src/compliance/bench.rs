//! The two sides of a test, joined by a hub.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tubes_transport::{
    Bytestream, ConnectError, Kind, Plan, Role, Stanzas, StreamId, Transport, Wire,
};
use xmpp_parsers::jid::FullJid;

use crate::Hub;
use crate::compliance::{Breach, Carrier, Subject};

/// Two sessions joined in memory, and a transport for each.
pub(crate) struct Bench {
    pub(crate) hub: Hub,
    pub(crate) kind: Kind,
    subject: Arc<dyn Subject>,
    requester: Side,
    responder: Side,
}

struct Side {
    stanzas: Stanzas,
    transport: Arc<dyn Transport>,
}

/// The two ends of one open bytestream.
pub(crate) struct Ends {
    pub(crate) requester: Bytestream,
    pub(crate) responder: Bytestream,
}

/// Both sides' wires of one stream.
pub(crate) struct Wires {
    pub(crate) requester: Wire,
    pub(crate) responder: Wire,
}

impl Bench {
    /// Wants a tokio runtime.
    pub(crate) fn new(subject: Arc<dyn Subject>, kind: Kind) -> Self {
        let hub = Hub::new();
        subject.furnish(&hub);
        let side = |role| Side {
            stanzas: hub.join(address(role)),
            transport: subject.transport(role),
        };
        Self {
            requester: side(Role::Requester),
            responder: side(Role::Responder),
            hub,
            kind,
            subject,
        }
    }

    pub(crate) fn carrier(&self) -> Carrier {
        self.subject.carrier()
    }

    pub(crate) fn tells_breaks(&self) -> bool {
        self.subject.tells_breaks_to(self.kind)
    }

    pub(crate) fn patience(&self) -> Duration {
        self.subject.patience()
    }

    pub(crate) fn stanzas(&self, role: Role) -> &Stanzas {
        &self.side(role).stanzas
    }

    pub(crate) fn namespace(&self, role: Role) -> &'static str {
        self.side(role).transport.namespace()
    }

    /// Awaits one step.
    pub(crate) async fn within<T>(
        &self,
        doing: &'static str,
        step: impl Future<Output = T>,
    ) -> Result<T, Breach> {
        let done = timeout(self.patience(), step).await;
        done.map_err(|_| Breach::Silent(doing))
    }

    /// Claims the stream on both sides, as a signalling does before anything is tried.
    pub(crate) fn wires(&self, stream: &str) -> Result<Wires, Breach> {
        let claim = |role| {
            let wire = self.claim(role, stream);
            wire.ok_or(Breach::ClaimKept("before anything was tried"))
        };
        Ok(Wires {
            requester: claim(Role::Requester)?,
            responder: claim(Role::Responder)?,
        })
    }

    pub(crate) fn claim(&self, role: Role, stream: &str) -> Option<Wire> {
        let peer = address(other(role)).into();
        self.stanzas(role).claim(peer, StreamId::from(stream))
    }

    pub(crate) fn plan(&self, role: Role, stream: &str) -> Plan {
        Plan {
            role,
            stream: StreamId::from(stream),
            local: address(role),
            peer: address(other(role)),
            account: address(role),
            kind: self.kind,
            offer: None,
            stanzas: self.stanzas(role).clone(),
        }
    }

    pub(crate) fn transport(&self, role: Role) -> &dyn Transport {
        self.side(role).transport.as_ref()
    }

    /// One attempt from beginning to end.
    ///
    /// The responder begins when the requester's first stanza is there, as under Stream
    /// Initiation.
    pub(crate) async fn connect(
        &self,
        role: Role,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        if role == Role::Responder {
            wire.peek().await?;
        }
        let plan = self.plan(role, wire.stream().clone().as_str());
        let attempt = self.transport(role).prepare(plan).await?;
        attempt.connect(None, wire).await
    }

    /// Opens a bytestream over wires that were claimed before.
    pub(crate) async fn open_over(&self, wires: &mut Wires) -> Result<Ends, Breach> {
        let both = async {
            tokio::join!(
                self.connect(Role::Requester, &mut wires.requester),
                self.connect(Role::Responder, &mut wires.responder),
            )
        };
        let (requester, responder) = self.within("opening", both).await?;
        let failed = |role| move |why| Breach::Connect { role, why };
        Ok(Ends {
            requester: requester.map_err(failed(Role::Requester))?,
            responder: responder.map_err(failed(Role::Responder))?,
        })
    }

    /// Opens a bytestream; what is left of the wires is given up, as a signalling does.
    pub(crate) async fn open(&self, stream: &str) -> Result<Ends, Breach> {
        let mut wires = self.wires(stream)?;
        self.open_over(&mut wires).await
    }

    fn side(&self, role: Role) -> &Side {
        match role {
            Role::Requester => &self.requester,
            Role::Responder => &self.responder,
        }
    }
}

impl Ends {
    /// This side's end, and the peer's.
    pub(crate) fn seen_by(self, role: Role) -> (Bytestream, Bytestream) {
        match role {
            Role::Requester => (self.requester, self.responder),
            Role::Responder => (self.responder, self.requester),
        }
    }
}

impl Wires {
    /// This side's wire, and the peer's.
    pub(crate) fn seen_by(self, role: Role) -> (Wire, Wire) {
        match role {
            Role::Requester => (self.requester, self.responder),
            Role::Responder => (self.responder, self.requester),
        }
    }
}

/// Alice requests, Fernand responds.
pub(crate) fn address(role: Role) -> FullJid {
    match role {
        Role::Requester => jid("alice@tubes.example/desk"),
        Role::Responder => jid("fernand@tubes.example/lab"),
    }
}

#[expect(
    clippy::expect_used,
    reason = "a literal that is wrong shall fail the tests"
)]
pub(crate) fn jid(literal: &str) -> FullJid {
    FullJid::new(literal).expect("a full JID")
}

pub(crate) fn other(role: Role) -> Role {
    match role {
        Role::Requester => Role::Responder,
        Role::Responder => Role::Requester,
    }
}
