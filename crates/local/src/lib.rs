//! Local sockets and the splice between a socket and a bytestream.
//!
//! ```text
//!   program ── Socket ──┐                          ┌── Bytestream ── peer
//!    (accepted by a     ├──────── splice ──────────┤
//!     Listener, or      │  bytes, ends of file,    │
//!     reached by dial) ─┘  errors, back-pressure   └
//! ```
//!
//! # Layout
//! - [`Address`]: where a local service is, or where programs are to find one
//! - [`Access`]: which programs may use what listens there
//! - [`Permissions`]: which other users may use the file of a Unix socket
//! - [`Listener`]: lets programs in
//! - [`Reservation`]: keeps a port while nobody listens there
//! - [`Export`]: what a peer's programs get to: a service, told who connects or not, or a
//!   [`Command`] for each connection
//! - [`Exportable`]: what such a service is found by: a listening socket, an address
//! - [`dial()`]: reaches a service
//! - [`Socket`], [`Source`]: one open connection and who opened it
//! - [`splice()`]: carries bytes between a socket and a bytestream until both ends are done;
//!   [`splice_until`]: or until it is stopped
//! - [`Totals`]: how many bytes went each way, readable meanwhile
//!
//! Nothing here knows of XMPP, and nothing spawns a task, but for the one that sees a command off:
//! that outlives the socket.

mod access;
mod addr;
mod bind;
mod buffer;
mod command;
mod dial;
mod export;
mod exportable;
mod header;
mod lane;
mod listener;
mod outcome;
mod path;
mod permissions;
mod principal;
mod process;
mod reservation;
mod socket;
mod splice;
mod stdio;
mod totals;

pub use access::{Access, AccessError};
pub use addr::{Address, AddressError};
pub use bind::BindError;
pub use command::Command;
pub use dial::{DialError, dial};
pub use export::{Caller, Export};
pub use exportable::{ExportError, Exportable};
pub use header::PEER_TLV;
pub use listener::{AcceptError, Listener};
pub use outcome::{Outcome, SpliceError};
pub use permissions::{Mode, ModeError, Permissions};
pub use principal::{Group, PrincipalError, User};
pub use reservation::Reservation;
pub use socket::{Socket, Source};
pub use splice::{splice, splice_until};
pub use totals::Totals;
