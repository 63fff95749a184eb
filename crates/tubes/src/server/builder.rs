//! How a server is put together.

use std::collections::BTreeSet;

use super::StreamTubeServer;
use super::serving::Serving;
use crate::{Monitoring, Rules};

/// What a server is created with; from [`StreamTubeServer::builder`].
#[derive(Debug, Default)]
pub struct ServerBuilder {
    pub(super) for_contacts: BTreeSet<String>,
    pub(super) for_rooms: BTreeSet<String>,
    pub(super) monitoring: Monitoring,
    pub(super) rules: Rules,
}

impl ServerBuilder {
    /// The services that it offers to contacts; none, unless it is said here.
    pub fn services_for_contacts<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.for_contacts = services.into_iter().map(Into::into).collect();
        self
    }

    /// The services that it offers in rooms; none, unless it is said here.
    pub fn services_for_rooms<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.for_rooms = services.into_iter().map(Into::into).collect();
        self
    }

    /// Reports connections one by one, as long as the server lives.
    pub fn with_monitoring(mut self) -> Self {
        self.monitoring = Monitoring::On;
        self
    }

    /// Who may use which service, in the beginning.
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The server, with nothing to export yet and no accounts.
    pub fn build(self) -> StreamTubeServer {
        StreamTubeServer::new(Serving::new(self))
    }
}
