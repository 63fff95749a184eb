//! How a client is put together.

use std::fmt;
use std::sync::Arc;

use tubes_local::{Access, Address};

use super::joining::Joining;
use super::policy::{Everything, Policy};
use super::{Reception, StreamTubeClient};
use crate::Rules;
use crate::stream_tube::Scope;

/// What a client is created with; from [`StreamTubeClient::builder`].
pub struct ClientBuilder {
    pub(super) scope: Scope,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) reception: Reception,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            scope: Scope::default(),
            policy: Arc::new(Everything),
            reception: Reception::InHand,
        }
    }

    /// The services of which it takes tubes that contacts offer; none, unless it is said here.
    pub fn services_for_contacts<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.scope.for_contacts(services);
        self
    }

    /// The services of which it takes tubes that are offered in rooms; none, unless it is said here.
    pub fn services_for_rooms<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.scope.for_rooms(services);
        self
    }

    /// Reports connections one by one, as long as the client lives.
    pub fn with_monitoring(mut self) -> Self {
        self.scope.monitor();
        self
    }

    /// Whose tubes of which service are taken; of others nothing is said, and they stay as they are.
    /// Without rules: those of all whom the account deals with.
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.scope.rule(rules);
        self
    }

    /// Asks of each tube whether it is wanted. Without a policy all are.
    pub fn with_policy(mut self, policy: impl Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Lets programs connect to each tube here. As there may be several tubes, leave the choice to the
    /// system: port 0, or a Unix socket with an empty path.
    ///
    /// Otherwise the application itself [connects](StreamTubeClient::connect).
    pub fn listening_at(mut self, address: Address, access: Access) -> Self {
        self.reception = Reception::Listening { address, access };
        self
    }

    /// The client, without accounts yet.
    pub fn build(self) -> StreamTubeClient {
        StreamTubeClient::new(Joining::new(self))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("scope", &self.scope)
            .field("reception", &self.reception)
            .finish_non_exhaustive()
    }
}
