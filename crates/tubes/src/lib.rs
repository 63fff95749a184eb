//! Share a local service with a contact over XMPP.
//!
//! ```text
//!   program ── socket ── Tubes ══ any XMPP account ══ Tubes ── socket ── service
//! ```
//!
//! Alice exports a local socket in a *stream tube* and offers it to Fernand, or to all in a chat room; he accepts and
//! gets a local socket; every program that connects there gets its own bytestream to a new
//! connection of Alice's service. Neither program knows of it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tubes::{Account, Event, Offer, Tubes};
//!
//! let account = Account::new("alice@example.org".parse()?, "secret".to_owned())?;
//! let (tubes, mut events) = Tubes::builder(account).start().await?;
//! let fernand = "fernand@example.org".parse()?;
//! tubes.befriend(&fernand).await;
//! tubes.offer(Offer::new(fernand, "http", "127.0.0.1:8000".parse()?)).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::ConnectionOpened { peer, transport, .. } = event {
//!         println!("{peer} connected over {transport}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`StreamTubeServer`] and [`StreamTubeClient`] stand on top of it, for programs that share one service
//! with many contacts, or take whatever is offered of one kind.
//!
//! Files go the same ways: [`Tubes::send_file`], and [`Tubes::file`] for those that are offered.
//!
//! [`Tubes`] is `Send`, works in any tokio runtime, and shows nothing of the actors inside.
//! Several accounts may live in one process.
//!
//! # Layout
//! - here: an account and its tubes, servers and clients, and what they report
//! - [`state`]: what is the case with an account at one moment
//! - [`local`]: sockets, who may use them, and what is exported
//! - [`secure`]: keys, and whose are trusted
//! - [`session`]: what is known of a login and of contacts
//! - [`socks5`]: settings of SOCKS5 bytestreams
//! - [`transport`]: for transports of one's own
//!
//! Types that other crates of this workspace define are shown by examples there, which name those crates:
//! write `tubes` instead.

mod builder;
mod client;
mod file;
mod offer;
mod server;
mod stream_tube;
mod tubes;

pub use self::builder::{Builder, TransportName, UnknownTransport, state_folder};
pub use self::client::{
    Answer, ClientBuilder, ClientEvent, ConnectError, Connection, Invitation, Policy,
    StreamTubeClient,
};
pub use self::file::{FileTransfer, Outcome, SendError, SendFile, Step};
pub use self::offer::Offer;
pub use self::server::{
    ParametersGenerator, RequestId, ServeError, ServerBuilder, ServerEvent, StreamTubeServer,
    TubeRequest,
};
pub use self::stream_tube::{
    AddError, ConnectionEnd, Feed, Monitoring, Rules, StreamTube, StreamTubes, TubeConnection,
};
pub use self::tubes::Tubes;

pub use tubes_actors::{
    AcceptError, AcceptFileError, Audience, Certainty, Decision, Delivered, Direction, Disregarded,
    EnterError, Event, Events, Failure, FailureKind, FileId, Heard, Limit, Limits, OfferError,
    Particulars, Progress, Remedy, SendFileError, ShareError, SharedSession, StartError, State,
    Traffic, TubeId, state,
};
pub use tubes_files as files;
pub use tubes_files::{Destination, Overwrite};
pub use tubes_ibb::Ibb;
pub use tubes_local as local;
pub use tubes_local::{
    Access, Address, BindError, Command, Export, ExportError, Exportable, Listener, Socket,
};
pub use tubes_protocol::tube::{ParameterError, Parameters, Refusal, TubeError, Value};
pub use tubes_secure::{Encryption, Fingerprint, Protection};
pub use tubes_session::{Account, Contact, Login, Tls};
pub use tubes_socks5::Socks5;
pub use tubes_transport as transport;
/// Addresses of XMPP: of a contact, of a program of it, and of either.
///
/// ```
/// use tubes::{BareJid, FullJid, Jid, ResourcePart};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// let desk: FullJid = fernand.with_resource(&ResourcePart::new("desk")?);
/// assert_eq!(desk.to_bare(), fernand);
/// assert_eq!(desk.resource().as_str(), "desk");
/// assert_eq!("fernand@example.net/desk".parse::<Jid>()?, Jid::from(desk));
/// # Ok(())
/// # }
/// ```
#[doc(inline)]
pub use xmpp_parsers::jid::{BareJid, FullJid, Jid, ResourcePart};

/// Whose keys are trusted, and why a connection may not be.
pub mod secure {
    pub use tubes_secure::{
        Device, Distrust, Judgement, PublicKey, SecureError, Standing, StoreError, TrustStore,
        UnknownDevice, safety_number,
    };
}

/// What is known of a login, of the server and of contacts, and why a login failed.
pub mod session {
    pub use tubes_protocol::disco::Abilities;
    pub use tubes_session::{
        AccountError, CertificateFault, LoginError, LoginErrorKind, LoginFailure, Password,
        Resource, Sight, StreamManagement, Terms,
    };
}

/// What [`Socks5`] can be told: proxies, and who may learn addresses.
pub mod socks5 {
    pub use tubes_socks5::{KnownProxy, Loopback, Reveal, Streamhost, Verdict, Way};
}
