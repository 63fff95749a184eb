//! File transfer with programs that are not ours: gloox, QXmpp and slixmpp, each behind a small
//! driver (`tests/interop`), on Prosody and on ejabberd.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod driver;
mod library;
mod meeting;
mod ours;
mod parcel;
#[path = "../program/mod.rs"]
mod program;
mod quirks;
mod strangers;
mod table;
mod workshop;
