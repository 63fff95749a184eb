//! What is offered to whom.

use tubes_actors::Audience;
use tubes_local::{Address, Command, Export};
use tubes_protocol::tube::Parameters;
use xmpp_parsers::jid::BareJid;

/// A service to share with a contact, or with all who are in a room.
///
/// ```
/// use tubes::{Audience, BareJid, Command, Offer, Parameters, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// let mut parameters = Parameters::default();
/// parameters.insert("path", Value::Str("/photos".to_owned()))?;
/// let web = Offer::new(fernand.clone(), "http", "127.0.0.1:8000".parse()?)
///     .with_parameters(parameters)
///     .with_proxy_header();
/// let shell = Offer::command(fernand, "x-uptime", Command::shell("uptime"));
/// let room: BareJid = "hall@rooms.example.org".parse()?;
/// let game = Offer::command(Audience::Room(room), "x-chess", Command::shell("gnuchess"));
/// # drop((web, shell, game));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) audience: Audience,
    pub(crate) service: String,
    pub(crate) export: Export,
    pub(crate) parameters: Parameters,
}

impl Offer {
    /// Offers a contact the service that listens at `address`, under a name such as `http` or `rfb`.
    pub fn new(peer: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self::of(peer, service, address)
    }

    /// Offers it to all who are in a room, now and later. The room has to be
    /// [entered](crate::Tubes::enter) first.
    pub fn in_room(room: BareJid, service: impl Into<String>, address: Address) -> Self {
        Self::of(Audience::Room(room), service, address)
    }

    /// Offers a command, which is run for each connection: its standard input and output are the
    /// connection, and its environment has `TUBES_PEER`, who connects, and `TUBES_SERVICE`.
    pub fn command(
        audience: impl Into<Audience>,
        service: impl Into<String>,
        command: Command,
    ) -> Self {
        Self::of(audience, service, command)
    }

    /// Offers whatever can be exported, for example [`Export::of`] a socket that listens already, to a
    /// contact or in a room. A bare JID stands for a contact: of a room write [`Audience::Room`].
    pub fn of(
        audience: impl Into<Audience>,
        service: impl Into<String>,
        export: impl Into<Export>,
    ) -> Self {
        Self {
            audience: audience.into(),
            service: service.into(),
            export: export.into(),
            parameters: Parameters::default(),
        }
    }

    /// Tells the service who connects, before the first byte of each connection: by a header of
    /// the PROXY protocol, version 2, whose field [`PEER_TLV`](crate::local::PEER_TLV) is the full JID. A
    /// command gets none, as its environment says so.
    pub fn with_proxy_header(mut self) -> Self {
        self.export = self.export.with_proxy_header();
        self
    }

    /// Tells them what their programs have to know: a path, a password, a version.
    pub fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }
}
