//! What was handed to the stream and is still on its way to the server.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{StanzaStage, StanzaState, StanzaToken};
use tubes_transport::Lane;
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
    /// How much of it is bulk data.
    bulk: usize,
    /// None while the connection is lost: that says nothing of the server.
    since: Option<Instant>,
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
    pub(crate) fn widest(&self) -> Lane {
        match self.pace.has_room() {
            true => Lane::Bulk,
            false => Lane::Urgent,
        }
    }

    /// A stanza of so many bytes was handed to the stream.
    pub(crate) fn handle_sent(
        &mut self,
        token: StanzaToken,
        lane: Lane,
        bytes: usize,
        now: Instant,
    ) {
        let bulk = match lane {
            Lane::Urgent => 0,
            Lane::Bulk => bytes,
        };
        self.pace.handle_sent(bulk);
        self.unsent.push_back(token.clone());
        self.unacked.push_back(Unacked {
            token,
            bytes,
            bulk,
            since: Some(now),
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
            if let Some(since) = oldest.since {
                let delay = now.saturating_duration_since(since);
                let rate = self
                    .pace
                    .handle_acked(oldest.bytes, oldest.bulk, delay, now);
                arrived.rate = rate.or(arrived.rate);
            } else {
                self.pace.handle_gone(oldest.bulk);
            }
            arrived.count += 1;
            self.unacked.pop_front();
        }
        self.write_off(now);
        arrived
    }

    /// What takes this long keeps no other data waiting any more: or a single acknowledgement
    /// that a server forgets would stop it for ever.
    fn write_off(&mut self, now: Instant) {
        for late in self.unacked.iter_mut().filter(|unacked| unacked.bulk > 0) {
            if late.since.is_none_or(|since| now < since + LATE) {
                return;
            }
            self.pace.handle_gone(late.bulk);
            late.bulk = 0;
        }
    }

    /// When the next data keeps no other data waiting any more.
    pub(crate) fn next_write_off(&self) -> Option<Instant> {
        let mut waiting = self.unacked.iter().filter(|unacked| unacked.bulk > 0);
        Some(waiting.next()?.since? + LATE)
    }

    /// Whether what is said takes long to reach the server.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.oldest().is_some_and(|since| now >= since + LATE)
    }

    /// What the server has yet to acknowledge.
    pub(crate) fn owed(&self) -> Option<Owed> {
        let since = self.unacked.front()?.since?;
        let bytes = self.unacked.iter().map(|unacked| unacked.bytes).sum();
        Some(Owed { since, bytes })
    }

    /// Since when the oldest stanza is on its way.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.unacked.front()?.since
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

    /// The connection is lost.
    pub(crate) fn handle_suspended(&mut self) {
        self.pace.handle_suspended();
        for unacked in &mut self.unacked {
            unacked.since = None;
        }
    }

    /// The session goes on: what is left is said again.
    pub(crate) fn handle_resumed(&mut self, now: Instant) {
        for unacked in &mut self.unacked {
            unacked.since = Some(now);
        }
    }

    /// The session is lost, and with it all acknowledgements. What is not sent yet will be, in
    /// the next one.
    pub(crate) fn handle_reset(&mut self) {
        self.unacked.clear();
        self.pace = Pace::new();
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

/// What is said should have reached the server by then.
const LATE: Duration = Duration::from_secs(5);

/// A stanza's name, addresses and id, usually.
const ENVELOPE: usize = 160;

/// Brackets, quotes, and the names of attributes, usually.
const MARKUP: usize = 32;
