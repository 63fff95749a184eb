//! One logged-in XMPP account: connector, login, routing, discovery, roster and presence.
//!
//! ```text
//!   Account ──► Connector ──► Pump ⇄ Router ──► Switchboard ──► a bytestream's Wire
//!               DNS, TCP,      │       │
//!               TLS, SASL      │       └──► SessionEvent: links, presence, the unclaimed
//!                              └── Outbox ◄── Stanzas: whoever has something to say
//! ```
//!
//! This is the only crate that names tokio-xmpp; everybody else talks to a [`Session`].
//!
//! - [`Account`]: who logs in, and how (`account.rs`)
//! - [`Session`]: the handle (`session.rs`), [`SessionEvent`]: what it reports (`event.rs`)
//! - `connector.rs` with `dns.rs`, `tcp.rs`, `tls.rs` and `sasl/`: from an account to an
//!   authenticated stream; `filter/`: what of it is parsed; `reconnect.rs`: again, when one is
//!   lost
//! - `pump.rs`: the task that owns the connection; `continuity.rs`: whether a session goes on that
//!   lost its connection; `flight.rs` with `pace.rs`: what is on its way to the server, and how
//!   much may be; `router/`: where each stanza goes
//! - `tracker.rs`: questions that wait for answers; `contacts.rs`: who is online and can do
//!   what; `rooms.rs`: the rooms that it attends; `identity.rs`: what this client says of itself; `inquiry.rs`: what its owner may ask

mod account;
mod connector;
mod contacts;
mod continuity;
mod dns;
mod event;
mod filter;
mod flight;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod given_up;
mod handshake;
mod identity;
mod inquiry;
mod login_error;
mod pace;
mod pump;
mod reconnect;
mod rooms;
mod router;
mod sasl;
mod session;
mod tcp;
mod tls;
mod tracker;

pub use self::account::{Account, AccountError, Password, Tls};
pub use self::contacts::{Contact, Resource, Sight};
pub use self::event::{
    Acquaintance, Bound, Ignored, Link, Login, SessionEvent, StreamManagement, Terms,
};
pub use self::login_error::{CertificateFault, LoginError, LoginErrorKind, LoginFailure, Refusal};
pub use self::rooms::RoomSays;
pub use self::router::Subscribe;
pub use self::session::{Session, Showing};
