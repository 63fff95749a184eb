//! The memory transport, with a flaw.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tubes_memory::Memory;
use tubes_testkit::compliance::{Carrier, Subject};
use tubes_transport::{
    Attempt, Bytestream, ConnectError, Plan, Role, Transport, Wire, async_trait,
};
use xmpp_parsers::minidom::Element;

/// What is wrong. Whatever it does not say is as the memory transport does it.
#[async_trait]
pub(crate) trait Flaw: fmt::Debug + Send + Sync + 'static {
    fn carrier(&self) -> Carrier {
        Carrier::Own { kernel: 0 }
    }

    async fn prepare(&self, plan: Plan) -> Plan {
        plan
    }

    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        attempt
            .connect(None, wire)
            .await
            .map(|stream| self.spoil(stream))
    }

    fn spoil(&self, stream: Bytestream) -> Bytestream {
        stream
    }

    /// How long a step may take. A test of what hangs has to wait for it.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A transport with a flaw; also the subject of its own test.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    memory: Memory,
    flaw: Arc<dyn Flaw>,
}

impl Broken {
    pub(crate) fn new(flaw: impl Flaw) -> Self {
        Self {
            memory: Memory::default(),
            flaw: Arc::new(flaw),
        }
    }
}

impl Subject for Broken {
    fn transport(&self, _role: Role) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    fn carrier(&self) -> Carrier {
        self.flaw.carrier()
    }

    fn patience(&self) -> Duration {
        self.flaw.patience()
    }
}

#[async_trait]
impl Transport for Broken {
    fn namespace(&self) -> &'static str {
        self.memory.namespace()
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        let plan = self.flaw.prepare(plan).await;
        Ok(Box::new(BrokenAttempt {
            attempt: self.memory.prepare(plan.clone()).await?,
            flaw: Arc::clone(&self.flaw),
            plan,
        }))
    }
}

struct BrokenAttempt {
    attempt: Box<dyn Attempt>,
    flaw: Arc<dyn Flaw>,
    plan: Plan,
}

#[async_trait]
impl Attempt for BrokenAttempt {
    async fn connect(
        self: Box<Self>,
        _remote: Option<Element>,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        self.flaw.connect(self.attempt, self.plan, wire).await
    }
}

/// A flaw of the bytestream alone.
pub(crate) struct InStream<F>(pub(crate) F);

impl<F> fmt::Debug for InStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InStream")
    }
}

impl<F: Fn(Bytestream) -> Bytestream + Send + Sync + 'static> Flaw for InStream<F> {
    fn spoil(&self, stream: Bytestream) -> Bytestream {
        (self.0)(stream)
    }
}

/// For a step of what hangs: what it does before takes milliseconds, and longer on a busy machine.
pub(crate) const HANGS: Duration = Duration::from_secs(5);
