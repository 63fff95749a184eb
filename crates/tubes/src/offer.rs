//! What is offered to whom.

use tubes_actors::Audience;
use tubes_local::Address;
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::BareJid;

/// A service to share with a contact, or with all who are in a room.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) audience: Audience,
    pub(crate) service: String,
    pub(crate) address: Address,
    pub(crate) parameters: Parameters,
}

impl Offer {
    /// Offers a contact the service that listens at `address`, under a name such as `http` or `rfb`.
    pub fn new(peer: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self::to(Audience::Contact(peer), service, address)
    }

    /// Offers it to all who are in a room, now and later. The room has to be
    /// [entered](crate::Tubes::enter) first.
    pub fn in_room(room: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self::to(Audience::Room(room), service, address)
    }

    /// Offers it to either.
    pub fn to(audience: Audience, service: impl Into<String>, address: Address) -> Self {
        Self {
            audience,
            service: service.into(),
            address,
            parameters: Parameters::default(),
        }
    }

    /// Tells them what its programs have to know: a path, a password, a version.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }
}
