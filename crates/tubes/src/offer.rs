//! What is offered to whom.

use tubes_local::{Address, Command, Export};
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::BareJid;

/// A service to share with a contact.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) peer: BareJid,
    pub(crate) service: String,
    pub(crate) export: Export,
    pub(crate) parameters: Parameters,
}

impl Offer {
    /// Offers the service that listens at `address` under a name such as `http` or `rfb`.
    pub fn new(peer: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self::of(peer, service, address.into())
    }

    /// Offers a command, which is run for each connection: its standard input and output are the
    /// connection, and its environment has `TUBES_PEER`, who connects, and `TUBES_SERVICE`.
    pub fn command(peer: BareJid, service: impl Into<String>, command: Command) -> Self {
        Self::of(peer, service, command.into())
    }

    /// Offers whatever can be exported, for example [`Export::of`] a socket that listens already.
    pub fn of(peer: BareJid, service: impl Into<String>, export: Export) -> Self {
        Self {
            peer,
            service: service.into(),
            export,
            parameters: Parameters::default(),
        }
    }

    /// Tells the service who connects, before the first byte of each connection: by a header of
    /// the PROXY protocol, version 2, whose field [`PEER_TLV`](crate::PEER_TLV) is the full JID. A
    /// command gets none, as its environment says so.
    pub fn with_proxy_header(mut self) -> Self {
        self.export = self.export.with_proxy_header();
        self
    }

    /// Tells the contact what its programs have to know: a path, a password, a version.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }
}
