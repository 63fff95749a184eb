//! What was handed to the stream and is still on its way to the server.

use std::collections::VecDeque;
use std::time::Instant;

use futures_util::FutureExt;
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{StanzaStage, StanzaState, StanzaToken};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::minidom::Element;

use crate::continuity::Owed;
use crate::pace::Pace;

/// Stanzas that are not sent yet, and such that the server has not acknowledged.
pub(crate) struct Flight {
    /// Oldest first.
    unsent: VecDeque<StanzaToken>,
    /// Oldest first. Empty itself on a stream without acknowledgements.
    unacked: VecDeque<Unacked>,
    pace: Pace,
}

struct Unacked {
    token: StanzaToken,
    bytes: usize,
    since: Instant,
}

/// What the server has acknowledged since it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// How many stanzas.
    pub(crate) count: usize,
    /// The server's rate in bytes per second, when it turns out that people should know it.
    pub(crate) rate: Option<u64>,
}

impl Flight {
    pub(crate) fn new() -> Self {
        Self {
            unsent: VecDeque::new(),
            unacked: VecDeque::new(),
            pace: Pace::new(),
        }
    }

    /// Whether the stream takes a stanza without delay.
    pub(crate) fn has_room(&self) -> bool {
        self.unsent.len() < DEPTH - 1
    }

    /// Whether bulk data may go, too.
    pub(crate) fn has_room_for_bulk(&self) -> bool {
        self.has_room() && self.pace.has_room()
    }

    /// A stanza of so many bytes was handed to the stream.
    pub(crate) fn handle_sent(&mut self, token: StanzaToken, bytes: usize, now: Instant) {
        self.pace.handle_sent(bytes);
        self.unsent.push_back(token.clone());
        self.unacked.push_back(Unacked {
            token,
            bytes,
            since: now,
        });
    }

    /// Forgets what has arrived.
    pub(crate) fn settle(&mut self, now: Instant) -> Arrived {
        self.unsent
            .retain(|token| matches!(token.state(), StanzaState::Queued));
        let mut arrived = Arrived::default();
        while let Some(oldest) = self.unacked.front_mut() {
            // Ready as well when nobody will ever know: without stream management, or with the
            // session lost.
            if acked(oldest).now_or_never().is_none() {
                break;
            }
            let delay = now.saturating_duration_since(oldest.since);
            let rate = self.pace.handle_acked(oldest.bytes, delay, now);
            arrived.count += 1;
            arrived.rate = rate.or(arrived.rate);
            self.unacked.pop_front();
        }
        arrived
    }

    /// Whether the server has yet to acknowledge something.
    pub(crate) fn owed(&self) -> Owed {
        match self.unacked.is_empty() {
            true => Owed::Nothing,
            false => Owed::Something,
        }
    }

    /// Waits until something is sent or acknowledged. Cancel safe; never done when nothing is
    /// on its way.
    pub(crate) async fn progress(&mut self) {
        tokio::select! {
            () = sent(&mut self.unsent), if !self.unsent.is_empty() => {}
            Some(()) = first_acked(&mut self.unacked) => {}
            else => std::future::pending().await,
        }
    }

    /// Waits until the stream takes another stanza. Cancel safe.
    pub(crate) async fn room(&mut self) {
        while !self.has_room() {
            sent(&mut self.unsent).await;
        }
    }

    /// The session goes on after a pause, which says nothing of the server.
    pub(crate) fn handle_resumed(&mut self, now: Instant) {
        self.pace.handle_lost();
        for unacked in &mut self.unacked {
            unacked.since = now;
            self.pace.handle_sent(unacked.bytes);
        }
    }

    /// The session is lost, and with it all acknowledgements.
    pub(crate) fn handle_lost(&mut self) {
        self.unsent.clear();
        self.unacked.clear();
        self.pace.handle_lost();
    }
}

/// Waits until the oldest stanza is sent, or failed, and forgets it. Cancel safe.
async fn sent(unsent: &mut VecDeque<StanzaToken>) {
    if let Some(oldest) = unsent.front_mut() {
        oldest.wait_for(StanzaStage::Sent).await;
        unsent.pop_front();
    }
}

async fn first_acked(unacked: &mut VecDeque<Unacked>) -> Option<()> {
    acked(unacked.front_mut()?).await;
    Some(())
}

async fn acked(unacked: &mut Unacked) {
    unacked.token.wait_for(StanzaStage::Acked).await;
}

/// About how many bytes a stanza takes on the wire.
pub(crate) fn size(stanza: &Stanza) -> usize {
    let payloads: usize = match stanza {
        Stanza::Iq(iq) => match iq {
            Iq::Get { payload, .. } | Iq::Set { payload, .. } => element_size(payload),
            Iq::Result { payload, .. } => payload.as_ref().map_or(0, element_size),
            Iq::Error { .. } => ENVELOPE,
        },
        Stanza::Message(message) => message.payloads.iter().map(element_size).sum(),
        Stanza::Presence(presence) => presence.payloads.iter().map(element_size).sum(),
    };
    ENVELOPE + payloads
}

fn element_size(element: &Element) -> usize {
    let attributes = element.attrs().into_iter().map(|(_, value)| value.len());
    let texts = element.texts().map(str::len);
    let own = 2 * element.name().len() + element.ns().len() + MARKUP;
    own + attributes.chain(texts).sum::<usize>()
        + element.children().map(element_size).sum::<usize>()
}

/// Depth of the stream's queues. Small, so that what is urgent is soon sent.
pub(crate) const DEPTH: usize = 16;

/// A stanza's name, addresses and id, usually.
const ENVELOPE: usize = 160;

/// Brackets, quotes, and the names of attributes, usually.
const MARKUP: usize = 32;
