//! Transports whose attempts leave something behind, or let others in.

use std::fs::File;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tubes_testkit::compliance::{Breach, Property, other_resource};
use tubes_transport::{Attempt, Bytestream, ConnectError, Plan, Role, Wire, async_trait};
use xmpp_parsers::minidom::Element;

use crate::caught;
use crate::flaw::{Flaw, HANGS};
use crate::spoilt::{Inside, Spoil, spoilt};

#[test]
fn preparing_aloud_is_caught() {
    let breach = caught(Property::PreparesInSilence, Talkative);
    assert!(matches!(breach, Breach::Spoke(_)), "{breach}");
}

#[derive(Debug)]
struct Talkative;

#[async_trait]
impl Flaw for Talkative {
    async fn prepare(&self, plan: Plan) -> Plan {
        let hello = vec![Element::bare("hello", "urn:example:hello")];
        let _ = plan.stanzas.tell(plan.peer.clone().into(), hello).await;
        plan
    }
}

#[test]
fn keeping_the_wire_of_a_refused_attempt_is_caught() {
    let breach = caught(Property::LeavesTheWire, Greedy);
    assert!(matches!(breach, Breach::Swallowed), "{breach}");
}

/// Takes the wire before it knows whether it will need it.
#[derive(Debug)]
struct Greedy;

#[async_trait]
impl Flaw for Greedy {
    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        attempt.connect(None, &mut wire.take()).await
    }
}

#[test]
fn reading_what_is_for_another_transport_is_caught() {
    let breach = caught(Property::LeavesWhatIsNotItsOwn, Hasty);
    assert!(matches!(breach, Breach::Swallowed), "{breach}");
}

/// Takes whatever comes first for its own.
#[derive(Debug)]
struct Hasty;

#[async_trait]
impl Flaw for Hasty {
    async fn connect(
        &self,
        _attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let said = wire.next().await?;
        Err(ConnectError::Protocol(said.payload().name().to_owned()))
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

#[test]
fn a_claim_that_a_dropped_attempt_keeps_is_caught() {
    let breach = caught(Property::FreesWhenDropped, Clinging);
    assert!(matches!(breach, Breach::ClaimKept(_)), "{breach}");
}

#[test]
fn a_claim_that_outlives_its_stream_is_caught() {
    let breach = caught(Property::FreesWhenEnded, Clinging);
    assert!(matches!(breach, Breach::ClaimKept(_)), "{breach}");
}

/// A task of the requester's holds the wire for ever.
#[derive(Debug)]
struct Clinging;

#[async_trait]
impl Flaw for Clinging {
    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        if plan.role == Role::Responder {
            return attempt.connect(None, wire).await;
        }
        let held = wire.take();
        tokio::spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        attempt.connect(None, wire).await
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

#[test]
fn a_descriptor_that_a_dropped_attempt_leaves_open_is_caught() {
    let breach = caught(Property::FreesWhenDropped, Leaking);
    assert!(matches!(breach, Breach::DescriptorsKept { .. }), "{breach}");
}

#[derive(Debug)]
struct Leaking;

#[async_trait]
impl Flaw for Leaking {
    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        std::mem::forget(File::open("/dev/null"));
        attempt.connect(None, wire).await
    }

    fn patience(&self) -> Duration {
        HANGS
    }
}

#[test]
fn an_attempt_that_ends_instead_of_breaking_is_caught() {
    let breach = caught(Property::FreesWhenDropped, Detached);
    assert!(matches!(breach, Breach::ForgedEnd(_)), "{breach}");
}

/// Goes on connecting though nobody waits for it, and ends what came of it.
#[derive(Debug)]
struct Detached;

#[async_trait]
impl Flaw for Detached {
    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        _plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let mut wire = wire.take();
        let connecting = tokio::spawn(async move {
            let stream = attempt.connect(None, &mut wire).await?;
            Ok(spoilt(stream, crate::ending::Polite))
        });
        connecting.await.map_err(io::Error::other)?
    }
}

#[test]
fn listening_to_others_is_caught() {
    let breach = caught(Property::IgnoresThirdParties, Credulous);
    assert!(matches!(breach, Breach::Failed { .. }), "{breach}");
}

/// Takes what another resource of the peer's says for the peer's own word.
#[derive(Debug)]
struct Credulous;

#[async_trait]
impl Flaw for Credulous {
    async fn connect(
        &self,
        attempt: Box<dyn Attempt>,
        plan: Plan,
        wire: &mut Wire,
    ) -> Result<Bytestream, ConnectError> {
        let stream = attempt.connect(None, wire).await?;
        let peer = match plan.role {
            Role::Requester => Role::Responder,
            Role::Responder => Role::Requester,
        };
        let other = plan.stanzas.claim(other_resource(peer).into(), plan.stream);
        let mut other = other.ok_or(ConnectError::TimedOut("claiming"))?;
        let told = Box::pin(async move { other.next().await.is_ok() });
        Ok(spoilt(stream, Gullible { told }))
    }
}

struct Gullible {
    told: Pin<Box<dyn Future<Output = bool> + Send>>,
}

impl Spoil for Gullible {
    fn poll_read(
        &mut self,
        inside: &mut Inside,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.told.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Poll::Pending => inside.as_mut().poll_read(cx, buf),
        }
    }
}

#[test]
fn a_transport_that_panics_is_judged() {
    let breach = caught(Property::CarriesInOrder, Panicking);
    assert!(matches!(&breach, Breach::Panicked(why) if why == "out of cheese"));
}

#[derive(Debug)]
struct Panicking;

#[async_trait]
impl Flaw for Panicking {
    async fn prepare(&self, _plan: Plan) -> Plan {
        panic!("out of cheese");
    }
}
