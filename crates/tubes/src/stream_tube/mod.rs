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
//! - [`Scope`]: what it is all for (`scope.rs`); [`Office`]: what a server and a client have of all this;
//!   [`Front`]: what the application holds of it (`office.rs`)

mod accounts;
mod desk;
mod feed;
mod office;
mod rules;
mod scope;

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
pub(crate) use self::office::{Front, Office};
pub use self::rules::Rules;
pub(crate) use self::scope::Scope;

/// A tube in the hands of a [`StreamTubeServer`](crate::StreamTubeServer) or a
/// [`StreamTubeClient`](crate::StreamTubeClient).
///
/// See [`StreamTubeServer`](crate::StreamTubeServer) for an example.
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
///
/// See [`StreamTubeServer`](crate::StreamTubeServer) for an example.
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
///
/// ```
/// use tubes::{ConnectionEnd, Failure, FailureKind};
///
/// fn news(end: &ConnectionEnd) -> String {
///     match end {
///         ConnectionEnd::Broken(why) => format!("broke: {why}"),
///         ConnectionEnd::Disconnected => "is done".to_owned(),
///     }
/// }
///
/// assert_eq!(news(&ConnectionEnd::Disconnected), "is done");
/// let message = "fernand@example.net went offline".to_owned();
/// let why = Failure { kind: FailureKind::Gone, message, remedy: None };
/// assert_eq!(news(&ConnectionEnd::Broken(why)), "broke: fernand@example.net went offline");
/// ```
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
///
/// ```
/// use tubes::StreamTubeServer;
///
/// let server = StreamTubeServer::builder().services_for_contacts(["x-chat"]).build();
/// let (state, events) = server.watch();
/// assert!(state.tubes.is_empty());
/// for (source, connections) in state.by_source() {
///     println!("{source:?}: {}", connections[0].contact);
/// }
/// # drop(events);
/// ```
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
///
/// ```
/// use tubes::{Monitoring, StreamTubeServer};
///
/// assert_eq!(StreamTubeServer::builder().build().monitoring(), Monitoring::Off);
/// let server = StreamTubeServer::builder().with_monitoring().build();
/// assert_eq!(server.monitoring(), Monitoring::On);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitoring {
    /// They are not, and cost nothing.
    #[default]
    Off,
    /// They are, at a small cost for each.
    On,
}
