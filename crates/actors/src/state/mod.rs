//! The present state of an account, as its events tell it.
//!
//! ```text
//!   State ──handle(event)──► State        whoever has the state and every event after it
//!                                         has the state at any time
//! ```
//!
//! - [`State`]: the account, and what is on it (this file)
//! - [`Tube`] and [`Connection`]: what it is made of (`tube.rs`); [`Room`] (`room.rs`); [`File`]
//!   (`file.rs`)
//! - [`State::since`]: what must have happened between two states (`since.rs`)

mod file;
mod room;
mod since;
#[cfg(test)]
mod tests;
mod tube;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use xmpp_parsers::jid::{BareJid, FullJid};

pub use self::file::{File, Passage};
pub use self::room::Room;
pub use self::tube::{Connection, Phase, Stage, Tube};

use crate::event::{Direction, Event, TubeId};
use crate::file::FileId;

/// What is the case with an account: its link, its contacts, its tubes and their connections.
///
/// Bounded by what exists: whatever ends is forgotten.
///
/// ```
/// use tubes_actors::state::Link;
/// use tubes_actors::{Event, State};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // One's own state is led on by each event after it.
/// let mut state = State::default();
/// let peer: xmpp_parsers::jid::FullJid = "fernand@example.net/desk".parse()?;
/// state.handle(&Event::PeerOnline { peer: peer.clone() });
/// assert!(state.peers.contains(&peer));
/// assert_eq!(state.link, Link::Starting);
/// for (id, tube) in &state.tubes {
///     println!("{id}: {} for {}, {:?}", tube.service, tube.audience, tube.phase);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// The files that are offered or on their way.
    pub files: BTreeMap<FileId, File>,
    /// The link to the server.
    pub link: Link,
    /// The contacts' resources that do tubes and are online.
    pub peers: BTreeSet<FullJid>,
    /// The rooms that the account is in.
    pub rooms: BTreeMap<BareJid, Room>,
    /// The tubes there are.
    pub tubes: BTreeMap<TubeId, Tube>,
}

/// How an account's link to the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// There is none any more: the account is closed.
    Closed,
    /// Down.
    Offline {
        /// Why.
        reason: String,
        /// The wait before the next try, counted from when this was found out; none: it was
        /// given up.
        retry_in: Option<Duration>,
    },
    /// Up.
    Online {
        /// The address of this client.
        jid: FullJid,
        /// The server: host and port.
        server: String,
        /// The TLS protocol, if any.
        tls: Option<&'static str>,
        /// Whether a former session goes on.
        resumed: bool,
    },
    /// Not up yet.
    #[default]
    Starting,
}

impl State {
    /// The state of an account that is no more.
    pub(crate) fn closed() -> Self {
        Self {
            link: Link::Closed,
            ..Self::default()
        }
    }

    /// Takes notice of what happened. Events of tubes and connections that are not there change
    /// nothing.
    pub fn handle(&mut self, event: &Event) {
        match event {
            Event::Offline { reason, retry_in } => self.offline(reason, *retry_in),
            Event::Online {
                jid,
                server,
                tls,
                resumed,
            } => {
                self.link = Link::Online {
                    jid: jid.clone(),
                    server: server.clone(),
                    tls: *tls,
                    resumed: *resumed,
                };
            }
            Event::PeerOffline { peer } => self.peer_offline(peer),
            Event::PeerOnline { peer } => drop(self.peers.insert(peer.clone())),
            Event::TubeClosed { tube, .. } => drop(self.tubes.remove(tube)),
            Event::TubeExported { tube, .. }
            | Event::TubeOffered {
                tube,
                direction: Direction::In,
                ..
            } => {
                if let Some(known) = self.tubes.get_mut(tube) {
                    known.handle(event);
                } else if let Some(new) = Tube::begun_by(event) {
                    self.tubes.insert(*tube, new);
                }
            }
            Event::FileDone { .. }
            | Event::FileFailed { .. }
            | Event::FileOffered { .. }
            | Event::FileStarted { .. } => file::handle(&mut self.files, event),
            Event::OccupantCame { .. }
            | Event::OccupantLeft { .. }
            | Event::RoomEntered { .. }
            | Event::RoomLeft { .. }
            | Event::RoomLost { .. } => room::handle(&mut self.rooms, event),
            Event::ConnectionClosed { tube, .. }
            | Event::ConnectionOpened { tube, .. }
            | Event::ConnectionOpening { tube, .. }
            | Event::ConnectionRenamed { tube, .. }
            | Event::Listening { tube, .. }
            | Event::TubeOffered { tube, .. }
            | Event::TubeOpened { tube } => {
                if let Some(tube) = self.tubes.get_mut(tube) {
                    tube.handle(event);
                }
            }
            Event::Disregarded { .. }
            | Event::LimitReached { .. }
            | Event::Missed(_)
            | Event::Throttled { .. }
            | Event::TrustDecided { .. } => {}
        }
    }

    fn offline(&mut self, reason: &str, retry_in: Option<Duration>) {
        if retry_in.is_none() {
            // Nobody will ever hear of them again.
            for peer in std::mem::take(&mut self.peers) {
                self.peer_offline(&peer);
            }
            self.rooms.clear();
        }
        self.link = Link::Offline {
            reason: reason.to_owned(),
            retry_in,
        };
    }

    fn peer_offline(&mut self, peer: &FullJid) {
        self.peers.remove(peer);
        for tube in self.tubes.values_mut() {
            tube.offered_to.remove(peer);
        }
    }
}
