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
//! - [`Entry`]: how this side comes in and out, and who is there (`entry.rs`), by what the room says
//!   of occupants: [`Told`] (`presence.rs`); what follows is a [`Step`] (`step.rs`)
//! - [`Listing`]: what an occupant offers, in its presence (`listing.rs`)
//! - [`Board`]: what all of them offer, and what changes with each presence (`board.rs`), within
//!   bounds: what does not fit waits for its turn (`queue.rs`)

mod board;
mod entry;
mod listing;
mod presence;
mod queue;
mod step;

pub use self::board::{Board, Change};
pub use self::entry::{Entry, Known};
pub use self::listing::Listing;
pub use self::presence::{Removal, Told};
pub use self::step::{Exit, Step};

/// The nickname by which a room knows an occupant at this moment; no more than that, and no identity.
pub type Occupant = String;
