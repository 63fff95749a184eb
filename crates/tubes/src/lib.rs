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
//! [`Tubes`] is `Send`, works in any tokio runtime, and shows nothing of the actors inside.
//! Several accounts may live in one process.

mod builder;
mod client;
mod offer;
mod server;
mod stream_tube;
mod tubes;

pub use self::builder::{Builder, TransportName, UnknownTransport, state_folder};
pub use self::client::{
    Answer, ClientBuilder, ClientEvent, ConnectError, Connection, Invitation, Policy,
    StreamTubeClient,
};
pub use self::offer::Offer;
pub use self::server::{
    ExportError, Exportable, ParametersGenerator, RequestId, ServeError, ServerBuilder,
    ServerEvent, StreamTubeServer, TubeRequest,
};
pub use self::stream_tube::{
    AddError, ConnectionEnd, Feed, Monitoring, Rules, StreamTube, StreamTubes, TubeConnection,
};
pub use self::tubes::Tubes;

pub use tubes_actors::{
    AcceptError, AlreadyShared, Audience, Decision, Direction, EnterError, Event, Events, Failure,
    FailureKind, Heard, Limit, Limits, OfferError, ShareError, SharedSession, StartError, State,
    Traffic, TubeId, state,
};
pub use tubes_ibb::Ibb;
pub use tubes_local as local;
pub use tubes_local::{
    Access, AccessError, Address, AddressError, BindError, Command, Export, Group, GroupError,
    Listener, Mode, ModeError, PEER_TLV, Sharing, Socket,
};
pub use tubes_protocol::disco::Abilities;
pub use tubes_protocol::tube::{ParameterError, Parameters, Refusal, TubeError, Value};
pub use tubes_secure::{
    Device, Distrust, Encryption, Fingerprint, Judgement, Protection, PublicKey, SecureError,
    Standing, StoreError, TrustStore, UnknownDevice, safety_number,
};
pub use tubes_session::{
    Account, AccountError, CertificateFault, Contact, Login, LoginError, LoginErrorKind,
    LoginFailure, Password, Resource, Sight, StreamManagement, Terms, Tls,
};
pub use tubes_socks5::{KnownProxy, Loopback, Reveal, Socks5, Streamhost, Verdict, Way};
pub use tubes_transport as transport;
pub use xmpp_parsers::jid::{BareJid, FullJid, Jid, ResourcePart};
