//! The tubes that a program has in hand, whichever side it is on, and their connections.
//!
//! ```text
//!   Tubes ──Event──► follow ──► Desk ──► StreamTubes   what is the case
//!   (an account)     (a task)       └──► Feed          and what happens, without a gap
//! ```
//!
//! - [`StreamTube`], [`TubeConnection`], [`StreamTubes`]: what is known of them (this file)
//! - [`Rules`] (`rules.rs`): whom tubes are for
//! - [`Desk`]: keeps the state, and announces what changes it (`desk.rs`); [`Feed`]: the
//!   application's end (`feed.rs`)
//! - [`Accounts`]: those whose tubes they are, and the tasks that follow them (`accounts.rs`)

pub(crate) mod accounts;
mod desk;
mod feed;
mod rules;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tubes_actors::state::{Phase, Stage};
use tubes_actors::{Audience, Failure, TubeId};
use tubes_local::Address;
use tubes_secure::Protection;
use xmpp_parsers::jid::{BareJid, FullJid};

pub use self::accounts::AddError;
pub(crate) use self::accounts::{Accounts, Keeper};
pub(crate) use self::desk::{Announced, Change, Desk};
pub use self::feed::Feed;
pub use self::rules::Rules;

/// A tube in the hands of a [`StreamTubeServer`](crate::StreamTubeServer) or a
/// [`StreamTubeClient`](crate::StreamTubeClient).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamTube {
    /// The account it is on.
    pub account: BareJid,
    /// Which of the account's tubes it is; no other tube of the process has it, on any account.
    pub id: TubeId,
    /// Whom it is shared with.
    pub audience: Audience,
    /// The service's name.
    pub service: String,
    /// The service's socket, or where programs connect, if they do.
    pub address: Option<Address>,
    /// How far it has come.
    pub phase: Phase,
}

/// A connection through a tube in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TubeConnection {
    /// The tube, as it was when the connection was opened.
    pub tube: StreamTube,
    /// Which of the tube's connections, counted from 1.
    pub number: u64,
    /// Who is at the other end.
    pub contact: FullJid,
    /// Where the service sees the connection come from: over TCP, the remote address of what it
    /// accepted. Unix sockets have none, and neither has the accepting side.
    pub source: Option<SocketAddr>,
    /// What carries it: `ibb`, …
    pub transport: &'static str,
    /// Whether somebody on the way can read or change it.
    pub protection: Protection,
}

impl TubeConnection {
    /// The connection that is open, if it is.
    fn of(tube: &StreamTube, number: u64, contact: &FullJid, stage: Stage) -> Option<Self> {
        let Stage::Flowing {
            transport,
            source,
            protection,
            ..
        } = stage
        else {
            return None;
        };
        Some(Self {
            tube: tube.clone(),
            number,
            contact: contact.clone(),
            source: source.and_then(|source| source.parse().ok()),
            transport,
            protection,
        })
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// It broke; why.
    Broken(Failure),
    /// Both sides were done.
    Disconnected,
}

impl From<Option<Failure>> for ConnectionEnd {
    fn from(error: Option<Failure>) -> Self {
        error.map_or(Self::Disconnected, Self::Broken)
    }
}

/// The tubes in hand and their connections, at one moment.
///
/// Bounded by what exists: whatever ends is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamTubes {
    /// The tubes.
    pub tubes: BTreeMap<TubeId, StreamTube>,
    /// The open connections, by their tube and number; none without [`Monitoring`].
    pub connections: BTreeMap<(TubeId, u64), TubeConnection>,
}

impl StreamTubes {
    /// The open connections by where the service sees them come from. Those whose source is
    /// unknown stand together under none. Of the others there is one each, as long as one socket is
    /// exported: the kernel may use a port once for each of several.
    pub fn by_source(&self) -> BTreeMap<Option<SocketAddr>, Vec<TubeConnection>> {
        let mut by_source: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for connection in self.connections.values() {
            let there = by_source.entry(connection.source).or_default();
            there.push(connection.clone());
        }
        by_source
    }
}

/// Whether connections are reported one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitoring {
    /// They are not, and cost nothing.
    #[default]
    Off,
    /// They are, at a small cost for each.
    On,
}
