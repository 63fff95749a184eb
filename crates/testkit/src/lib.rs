//! What the tests of the workspace share: two sessions joined in memory, and faults between them.
//!
//! - [`Hub`]: joins the ends of sessions without a server (`hub.rs`, `carrier.rs`)
//! - [`Fate`]: what befalls a stanza on its way
//! - [`mod@compliance`]: what every transport has to keep, as tests

pub mod compliance;

mod carrier;
mod hub;

pub use self::hub::{Fate, Hub};
