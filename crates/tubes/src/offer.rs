//! What is offered to whom.

use tubes_local::Address;
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::BareJid;

/// A service to share with a contact.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) peer: BareJid,
    pub(crate) service: String,
    pub(crate) address: Address,
    pub(crate) parameters: Parameters,
}

impl Offer {
    /// Offers the service that listens at `address` under a name such as `http` or `rfb`.
    pub fn new(peer: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self {
            peer,
            service: service.into(),
            address,
            parameters: Parameters::default(),
        }
    }

    /// Tells the contact what its programs have to know: a path, a password, a version.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }
}
