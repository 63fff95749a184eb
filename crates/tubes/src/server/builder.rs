//! How a server is put together.

use super::StreamTubeServer;
use super::serving::Serving;
use crate::Rules;
use crate::stream_tube::Scope;

/// What a server is created with; from [`StreamTubeServer::builder`].
#[derive(Debug, Default)]
pub struct ServerBuilder(Scope);

impl ServerBuilder {
    /// The services that it offers to contacts; none, unless it is said here.
    pub fn services_for_contacts<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.0.for_contacts(services);
        self
    }

    /// The services that it offers in rooms; none, unless it is said here.
    pub fn services_for_rooms<S: Into<String>>(
        mut self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.0.for_rooms(services);
        self
    }

    /// Reports connections one by one, as long as the server lives.
    pub fn with_monitoring(mut self) -> Self {
        self.0.monitor();
        self
    }

    /// Who may use which service, in the beginning.
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.0.rule(rules);
        self
    }

    /// The server, with nothing to export yet and no accounts.
    pub fn build(self) -> StreamTubeServer {
        StreamTubeServer::new(Serving::new(self.0))
    }
}
