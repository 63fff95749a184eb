//! What the tests of the workspace share: two sessions joined in memory, and faults between them.
//!
//! ```text
//!   in memory          Stanzas ──► Hub ──► Stanzas
//!   over real servers  client ──► Link ──► server
//! ```
//!
//! - [`Hub`]: joins the ends of sessions without a server (`hub.rs`, `carrier.rs`)
//! - [`Link`]: the way between a client and a server, and all that can go wrong on it (`link/`)
//! - [`Fate`]: what befalls a stanza on its way, in either of them (`fate.rs`)
//! - [`Step`]: what is said for a bytestream, and an [`Observer`] who tells it (`step.rs`)
//! - [`mod@compliance`]: what every transport has to keep, as tests

pub mod compliance;

mod carrier;
mod fate;
mod hub;
mod link;
mod step;

pub use self::fate::Fate;
pub use self::hub::Hub;
pub use self::link::{Door, Ending, Flow, Heading, Link};
pub use self::step::{Observer, Step};
