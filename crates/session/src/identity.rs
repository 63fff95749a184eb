//! What this account says of itself: disco#info, entity capabilities, version.

use std::collections::BTreeSet;

use xmpp_parsers::caps::{self, Caps};
use xmpp_parsers::disco::{DiscoInfoQuery, DiscoInfoResult, Identity as DiscoIdentity};
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::version::VersionResult;

/// The features of this client, and what follows from them.
#[derive(Debug)]
pub(crate) struct Identity {
    features: BTreeSet<String>,
    caps: Option<Caps>,
}

impl Identity {
    pub(crate) fn new(features: impl IntoIterator<Item = String>) -> Self {
        let basic = [ns::CAPS, ns::DISCO_INFO, ns::PING, ns::VERSION];
        let features: BTreeSet<_> = features
            .into_iter()
            .chain(basic.map(ToOwned::to_owned))
            .collect();
        let mut identity = Self {
            features,
            caps: None,
        };
        let data = caps::compute_disco(&identity.describe(None));
        // SHA-1 is what everybody reads (XEP-0115 §5); nothing secret hangs on it.
        identity.caps = caps::hash_caps(&data, Algo::Sha_1)
            .ok()
            .map(|hash| Caps::new(NODE, hash));
        identity
    }

    /// The presence that announces this client.
    pub(crate) fn presence(&self) -> Presence {
        match &self.caps {
            Some(caps) => Presence::available().with_payload(caps.clone()),
            None => Presence::available(),
        }
    }

    /// Answers a question about this client; `None` if it is not such a question.
    pub(crate) fn answer(&self, question: &Element) -> Option<Result<Option<Element>, Unknown>> {
        if question.is("ping", ns::PING) {
            return Some(Ok(None));
        }
        if question.is("query", ns::VERSION) {
            return Some(Ok(Some(version().into())));
        }
        let query = DiscoInfoQuery::try_from(question.clone()).ok()?;
        if self.knows(query.node.as_deref()) {
            Some(Ok(Some(self.describe(query.node).into())))
        } else {
            Some(Err(Unknown))
        }
    }

    fn knows(&self, node: Option<&str>) -> bool {
        let own = self
            .caps
            .clone()
            .and_then(|caps| caps::query_caps(caps).node);
        node.is_none() || node == own.as_deref()
    }

    fn describe(&self, node: Option<String>) -> DiscoInfoResult {
        DiscoInfoResult {
            node,
            identities: vec![DiscoIdentity::new("client", "pc", "en", "Tubes")],
            features: self.features.clone(),
            extensions: Vec::new(),
        }
    }
}

/// The question is about a node that this client does not have.
#[derive(Debug)]
pub(crate) struct Unknown;

fn version() -> VersionResult {
    VersionResult {
        name: "Tubes".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: None,
    }
}

/// What the capability hash is announced under (XEP-0115 §4): a name for this software.
const NODE: &str = "urn:x-tubes";
