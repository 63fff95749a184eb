//! What file transfer needs of the file system.
//!
//! ```text
//!   files, folders ── walk ──► Outgoing ──► Source ── Blocks ──► a bytestream
//!
//!   a bytestream ── Intake ──► Partial ── finish ──► a file in the Destination
//!                              .NAME.….part          (never in place of another, unless told)
//! ```
//!
//! # Layout
//! - [`SafeName`], [`SafePath`]: names of peers, made safe
//! - [`Source`]: one open file to be sent; [`Blocks`]: its bytes, read ahead
//! - [`walk()`]: what is in a folder, as [`Outgoing`] files with safe paths
//! - [`Destination`]: a folder in which to receive; [`Offered`]: what a peer says of a file
//! - [`Partial`]: a file that is not complete yet; [`Intake`]: writes it beside the task that
//!   receives
//! - [`Stop`]: an order to stop with that, which may come too late
//! - [`Checksum`], [`Algorithm`], [`Hasher`]: what tells that all bytes are right
//! - [`Trouble`]: what the file system objects to: a full disk, a quota, a permission
//!
//! Everything but [`Blocks`] and [`Intake`] blocks its thread. Nothing here knows of XMPP. Nothing
//! below a folder that people named follows a symbolic link.

mod blocks;
mod checksum;
mod destination;
mod folder;
mod intake;
mod name;
mod part;
mod partial;
mod path;
mod place;
mod queue;
mod source;
mod stop;
mod trouble;
mod walk;
mod writeback;

pub use blocks::Blocks;
pub use checksum::{Algorithm, Checksum, ChecksumError, Hasher};
pub use destination::{BeginError, Destination, DestinationError, Offered, Version};
pub use intake::{Intake, TakeError};
pub use name::{NameError, SafeName};
pub use partial::{FinishError, Partial, WriteError};
pub use path::{PathError, SafePath};
pub use place::Overwrite;
pub use source::{Source, SourceError};
pub use stop::Stop;
pub use trouble::Trouble;
pub use walk::{Listing, Outgoing, Skipped, WalkError, WhySkipped, walk};
