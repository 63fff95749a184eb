//! Stream tubes in a chat room (XEP-0045), as telepathy-gabble speaks them.
//!
//! ```text
//!   offerer                          room                          everybody else
//!      │ ── presence: <tubes><tube …/></tubes> ──► ── the same ──────► │  offered, and open
//!      │ ◄── Stream Initiation with <muc-stream tube/>, room to room ── │  one for each connection
//!      │ ── presence: <tubes/> ──────────────────► ── the same ──────► │  withdrawn
//! ```
//!
//! Nobody is asked and nobody declines: who is in the room sees what is offered there.
//!
//! - [`Listing`]: what an occupant offers, in its presence (`listing.rs`)
//! - [`Board`]: what all of them offer, and what changes with each presence (`board.rs`)

mod board;
mod listing;

pub use self::board::{Board, Change, Occupant};
pub use self::listing::Listing;
