//! XMPP servers to try things on: one in-process, and throwaway Prosody and ejabberd.
//!
//! ```text
//!   Setup ──► Server::start ──► domain, address, ca ──► any XMPP client
//!               │
//!               ├─ embedded   in this process
//!               └─ prosody, ejabberd ──► Supervised: a child, a folder; both go with us
//! ```
//!
//! - [`Server`]: a running server of any kind, and its accounts (`server.rs`)
//! - [`ServerKind`]: which one, and whether it is installed (`kind.rs`)
//! - [`Server::rooms`]: the room service (XEP-0045) that each of them has (`server.rs`)
//! - [`Setup`]: domain, first accounts, limits, a proxy for bytestreams (`setup.rs`)
//! - [`Ca`]: the root certificate that clients are to trust (`ca.rs`)
//! - [`Proxy`]: the embedded server's proxy for SOCKS5 bytestreams (XEP-0065), which also does
//!   without a server (`proxy/`)
//!
//! Every server listens on free ports, requires TLS, and does both on the loopback interface only,
//! unless told otherwise. It leaves no process and no folder behind, whatever becomes of the
//! process that started it.

mod ca;
mod ejabberd;
mod embedded;
mod error;
mod kind;
mod probe;
mod prosody;
mod proxy;
mod rehearsal;
mod server;
mod setup;
mod supervised;

pub use self::ca::Ca;
pub use self::error::{AccountError, StartError};
pub use self::kind::{ServerKind, UnknownKind};
pub use self::proxy::{ActivationError, Proxy};
pub use self::server::{Account, Server};
pub use self::setup::Setup;
