//! What a server or a client is created for.

use std::collections::BTreeSet;

use crate::{Audience, Monitoring, Rules};

/// What both builders gather.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    services: Services,
    monitoring: Monitoring,
    rules: Rules,
}

/// The services that it is for.
#[derive(Debug, Default)]
pub(crate) struct Services {
    for_contacts: BTreeSet<String>,
    for_rooms: BTreeSet<String>,
}

impl Scope {
    pub(crate) fn for_contacts<S: Into<String>>(&mut self, services: impl IntoIterator<Item = S>) {
        self.services.for_contacts = services.into_iter().map(Into::into).collect();
    }

    pub(crate) fn for_rooms<S: Into<String>>(&mut self, services: impl IntoIterator<Item = S>) {
        self.services.for_rooms = services.into_iter().map(Into::into).collect();
    }

    pub(crate) fn monitor(&mut self) {
        self.monitoring = Monitoring::On;
    }

    pub(crate) fn rule(&mut self, rules: Rules) {
        self.rules = rules;
    }

    pub(super) fn into_parts(self) -> (Services, Monitoring, Rules) {
        (self.services, self.monitoring, self.rules)
    }
}

impl Services {
    /// Whether this service is one of them, for such an audience.
    pub(super) fn have(&self, audience: &Audience, service: &str) -> bool {
        match audience {
            Audience::Contact(_) => self.for_contacts.contains(service),
            Audience::Room(_) => self.for_rooms.contains(service),
        }
    }
}
