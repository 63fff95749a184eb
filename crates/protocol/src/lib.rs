//! Stream Initiation, stream tubes and files on the wire, and their state machines.
//!
//! ```text
//!   Element ──► SiRequest ──► Responder ──► which transport to answer with, to try, to await
//!           ◄── SiAnswer  ──► Requester ──► which transport to try next
//!   Element ◄─► TubeOffer · StreamFor · TubeClose · FileOffer · FileAnswer
//! ```
//!
//! - [`ns`]: the namespaces
//! - [`disco`]: what a peer says it can do
//! - [`mod@file`]: offering a file, taking it or a part of it, and the last word on it
//! - [`room`]: what the occupants of a chat room offer each other
//! - [`si`]: Stream Initiation (XEP-0095) with the fallback of telepathy-gabble's `si-multiple`
//! - [`transcript`]: what both sides of a negotiation said, to notice who changed it
//! - [`tube`]: offering a stream tube, connecting through it, closing it
//!
//! Deliberately absent: clocks, randomness, input and output. Whoever runs the machines brings
//! them.

pub mod disco;
pub mod file;
pub mod ns;
pub mod room;
pub mod si;
pub mod transcript;
pub mod tube;
mod xml;
