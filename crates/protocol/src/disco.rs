//! What a peer says it can do (XEP-0030).

use std::collections::BTreeSet;

use crate::ns;
use crate::tube::SERVICE;

/// What a peer's disco#info features say about tubes.
///
/// ```
/// use tubes_protocol::disco::{Abilities, service_feature};
/// use tubes_protocol::ns;
///
/// let features = [ns::TUBES.to_owned(), service_feature("x-chess")];
/// let abilities = Abilities::from_iter(features);
/// assert!(abilities.tubes && abilities.services.contains("x-chess"));
/// assert!(!abilities.ours, "another program than this one");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It takes files (XEP-0096).
    pub files: bool,
    /// It understands what this project adds to the XEPs.
    pub ours: bool,
    /// It understands Stream Initiation.
    pub si: bool,
    /// The services for which it takes stream tubes. An offer needs none of them: a peer that
    /// does tubes can be offered any service.
    pub services: BTreeSet<String>,
    /// The transports it names that this project knows of, by their namespaces.
    pub transports: BTreeSet<&'static str>,
    /// It does tubes at all.
    pub tubes: bool,
}

impl<S: AsRef<str>> FromIterator<S> for Abilities {
    fn from_iter<I: IntoIterator<Item = S>>(features: I) -> Self {
        let mut abilities = Self::default();
        for feature in features {
            abilities.add(feature.as_ref());
        }
        abilities
    }
}

impl Abilities {
    fn add(&mut self, feature: &str) {
        match feature {
            ns::FILE_TRANSFER => self.files = true,
            ns::KIND => self.ours = true,
            ns::SI => self.si = true,
            _ => self
                .transports
                .extend(TRANSPORTS.iter().find(|known| **known == feature)),
        }
        let Some(rest) = feature.strip_prefix(ns::TUBES) else {
            return;
        };
        // Gabble takes any feature that begins with the namespace for "does tubes".
        self.tubes = true;
        if let Some(service) = rest.strip_prefix(STREAM)
            && !service.is_empty()
            && service.len() <= SERVICE
            && self.services.len() < SERVICES
        {
            self.services.insert(service.to_owned());
        }
    }
}

/// The disco#info feature that says that stream tubes for `service` are welcome.
///
/// The service stands in it as it is, without escaping.
pub fn service_feature(service: &str) -> String {
    format!("{}{STREAM}{service}", ns::TUBES)
}

/// The transports that a Stream Initiation may agree on (XEP-0047, XEP-0065).
const TRANSPORTS: [&str; 2] = [ns::BYTESTREAMS, ns::IBB];

/// What follows the tubes namespace in the feature of a service.
const STREAM: &str = "/stream#";

/// Services remembered of one peer; far more than anybody exports.
const SERVICES: usize = 256;

#[cfg(test)]
mod tests {
    use super::{Abilities, SERVICES, service_feature};
    use crate::ns;
    use crate::tube::SERVICE;

    #[test]
    fn remembers_a_bounded_number_of_services() {
        let features = (0..2 * SERVICES).map(|n| service_feature(&n.to_string()));
        let abilities: Abilities = features.collect();
        assert_eq!(abilities.services.len(), SERVICES);
    }

    #[test]
    fn remembers_no_service_that_cannot_be_offered() {
        let features = [SERVICE, SERVICE + 1].map(|length| service_feature(&"s".repeat(length)));
        let abilities: Abilities = features.into_iter().collect();
        assert_eq!(abilities.services.len(), 1);
    }

    #[test]
    fn a_service_without_a_name_is_none() {
        let abilities: Abilities = [service_feature("")].into_iter().collect();
        assert!(abilities.services.is_empty());
        assert!(abilities.tubes);
    }

    #[test]
    fn knows_nothing_of_a_peer_that_says_nothing() {
        let abilities: Abilities = ["urn:xmpp:ping", ns::HINTS].into_iter().collect();
        assert_eq!(abilities, Abilities::default());
    }

    #[test]
    fn remembers_the_transports_it_knows() {
        let features = [ns::IBB, "urn:xmpp:jingle:1", ns::BYTESTREAMS];
        let abilities: Abilities = features.into_iter().collect();
        assert_eq!(abilities.transports, [ns::BYTESTREAMS, ns::IBB].into());
    }
}
