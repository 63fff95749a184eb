//! The transport under test, and what it declares of itself.

use std::sync::Arc;
use std::time::Duration;

use tubes_transport::{Kind, Role, Transport};

use crate::Hub;

/// A transport under test.
pub trait Subject: Send + Sync + 'static {
    /// The transport as this side has it. Called once for each side of a test; two sides that
    /// have to share something share it through the subject.
    fn transport(&self, role: Role) -> Arc<dyn Transport>;

    /// Lets others join whom the transport speaks with beside its peer, such as a proxy. Called once
    /// for each hub, within its runtime and before [`transport`](Self::transport).
    fn furnish(&self, _hub: &Hub) {}

    /// What the open bytestream depends on.
    fn carrier(&self) -> Carrier;

    /// Whether a peer of this kind is told when a stream breaks; if not, it may take a break for
    /// an end. True unless the transport's protocol has no words for it.
    fn tells_breaks_to(&self, _kind: Kind) -> bool {
        true
    }

    /// How long one step of a test may take before it counts as hanging. 30 seconds suit
    /// machines under load; a test that passes never waits for it.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// What carries the bytes of an open bytestream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The XMPP session: when it is lost, so is the bytestream.
    Session,
    /// Something of the transport's own, which outlives the session.
    Own {
        /// The most bytes that the kernel may hold of one direction beside the process itself:
        /// the buffers of the sockets in between. 0 without sockets.
        kernel: usize,
    },
}
