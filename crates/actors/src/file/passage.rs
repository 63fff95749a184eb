//! What both tasks do with an open bytestream.

use std::sync::Arc;

use tubes_courier::{Dialect, Errand};
use tubes_files::Stop;
use tubes_protocol::transcript::Transcript;
use tubes_transport::{Kind, Patience, Request, StreamId};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

use super::{FileId, Progress};
use crate::env::Env;
use crate::event::Event;
use crate::failure;
use crate::opening::{Opening, Secured};
use crate::tube::Venue;

/// A task's share.
pub(super) struct Passage {
    pub(super) env: Env,
    pub(super) file: FileId,
    pub(super) progress: Progress,
    pub(super) stop: Stop,
}

impl Passage {
    /// How a bytestream with this contact is opened.
    pub(super) fn opening(&self, peer: &FullJid) -> Opening {
        Opening {
            env: self.env.clone(),
            venue: Venue::Contact(peer.to_bare()),
            peer: peer.clone(),
            said: Arc::new(Transcript::default()),
        }
    }

    /// What a negotiation with the peer is about.
    pub(super) fn request(
        &self,
        stream: StreamId,
        peer: FullJid,
        purpose: Element,
        extensions: Vec<Element>,
    ) -> Request {
        let local = self.env.local.borrow().clone();
        Request {
            stream,
            account: local.clone(),
            local,
            peer,
            purpose,
            extensions,
            // A person may have to decide.
            patience: Patience::WhileAlive,
            stanzas: self.env.stanzas.clone(),
        }
    }

    /// The bytes begin to flow.
    pub(super) fn announce(&self, peer: &FullJid, secured: &Secured, offset: u64) {
        let transport = secured.stream.label();
        tracing::debug!(transport, offset, "flowing");
        self.env.announcer.announce(Event::FileStarted {
            file: self.file,
            peer: peer.clone(),
            transport,
            fell_back_from: secured.attempts.iter().map(failure::tried).collect(),
            offset,
            protection: secured.protection.clone(),
        });
    }

    /// What is to be done over an open bytestream.
    pub(super) fn errand(&self, secured: Secured) -> Errand {
        let Secured { stream, kind, .. } = secured;
        let dialect = match kind {
            // Whoever has the last word needs a direction of its own.
            Kind::Ours if stream.half_close() => Dialect::Ours,
            _ => Dialect::Plain,
        };
        Errand {
            stream,
            dialect,
            counter: self.progress.counter(),
            stop: self.stop.clone(),
        }
    }
}
