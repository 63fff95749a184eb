//! A contact that behaves as telepathy-gabble 0.19 does, stanza by stanza and byte by byte.
//!
//! - [`Gabble`]: speaks and is spoken to (this file)
//! - [`Negotiation`]: agrees on a bytestream, from either side (`negotiation.rs`)
//! - [`Listener`], [`dial`]: SOCKS5, as the side that waits or dials (`listener.rs`, `dialling.rs`)
//! - [`InBand`]: bytes in stanzas (`inband.rs`)
//! - in a chat room, where it speaks to other occupants (`occupant.rs`)
//! - [`Joining`], [`Offering`]: with a tube between it and Alice (`encounter.rs`)

mod dialling;
mod encounter;
mod inband;
mod listener;
mod negotiation;
mod occupant;

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tubes::{BareJid, FullJid};
use tubes_protocol::ns;
use tubes_server::Server;
use tubes_session::{RoomSays, Session, SessionEvent, Subscribe};
use tubes_transport::{Answer, Ask, Inbound, Patience, Question};
use xmpp_parsers::minidom::Element;

pub(crate) use self::dialling::{dial, dial_in_turn};
pub(crate) use self::encounter::{BOTH, BURST, Joining, LENGTH, Offering, TUBE, echoes_in_band};
pub(crate) use self::inband::InBand;
pub(crate) use self::listener::{Listener, Manner};
pub(crate) use self::negotiation::{Host, Multiple, Negotiation, purpose, stream_hash};
pub(crate) use self::occupant::{dbus_tube, stream_tube, stream_tube_with};

use super::{credentials, patiently};

/// Speaks by hand, and is asked by hand.
pub(crate) struct Gabble {
    pub(crate) jid: BareJid,
    /// Where it speaks: the same, with its resource; or a room, with its name there.
    pub(crate) full: FullJid,
    session: Session,
    heard: mpsc::Receiver<Inbound>,
    seen: mpsc::Receiver<FullJid>,
    /// What is shown in rooms, and of that what was not asked for yet.
    shown: mpsc::Receiver<RoomSays>,
    passed: VecDeque<RoomSays>,
}

impl Gabble {
    /// Makes an account on the server and logs in with the features that a Gabble always has.
    pub(crate) async fn on(server: &Server, name: &str) -> Self {
        let account = server.fresh_account(name).await.unwrap();
        let features = [ns::SI, ns::IBB, ns::BYTESTREAMS, ns::TUBES].map(str::to_owned);
        let starting = Session::start(credentials(server, &account), features.into());
        let (session, mut events) = patiently("the login is done", starting).await.unwrap();
        let (hear, heard) = mpsc::channel(64);
        let (see, seen) = mpsc::channel(64);
        let (show, shown) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    SessionEvent::Unclaimed { inbound, .. } => drop(hear.send(inbound).await),
                    SessionEvent::Online { jid, .. } => drop(see.send(jid).await),
                    SessionEvent::Room(says) => drop(show.send(says).await),
                    _ => {}
                }
            }
        });
        let jid = account.jid;
        let full = session.jid().clone();
        Self {
            jid,
            full,
            session,
            heard,
            seen,
            shown,
            passed: VecDeque::new(),
        }
    }

    /// Sees the contact's presence, and shows its own.
    pub(crate) async fn befriend(&self, contact: &BareJid) {
        self.session.consent(contact.clone(), Subscribe::Yes).await;
    }

    /// The next resource of a contact that comes online.
    pub(crate) async fn sees(&mut self) -> FullJid {
        patiently("somebody comes online", self.seen.recv())
            .await
            .unwrap()
    }

    /// The next thing that it is asked, which must be this.
    pub(crate) async fn asked(&mut self, name: &str) -> Ask {
        loop {
            match patiently("it is asked something", self.heard.recv()).await {
                Some(Inbound::Ask(ask)) => {
                    assert_eq!(ask.payload().name(), name, "{:?}", ask.payload());
                    return ask;
                }
                Some(_) => {}
                None => panic!("the session is over"),
            }
        }
    }

    /// The next thing of this name that it is told.
    pub(crate) async fn told(&mut self, name: &str) -> Element {
        loop {
            match patiently("it is told something", self.heard.recv()).await {
                Some(Inbound::Tell(tell)) if tell.payload.name() == name => return tell.payload,
                Some(_) => {}
                None => panic!("the session is over"),
            }
        }
    }

    /// Where a proxy listens, as it says itself.
    pub(crate) async fn finds(&self, proxy: &str) -> Host {
        let question: Element = format!("<query xmlns='{}'/>", ns::BYTESTREAMS)
            .parse()
            .unwrap();
        let to = Some(proxy.parse().unwrap());
        let asked = self
            .session
            .stanzas()
            .ask(to, Question::Get, question, Patience::default());
        let answer = patiently("the proxy answers", asked.await.unwrap()).await;
        Host::first(&answer.unwrap().unwrap())
    }

    /// Asks a proxy to relay between both of a stream's sides.
    pub(crate) async fn activates(&self, negotiation: &Negotiation, proxy: &str) {
        let Negotiation { sid, peer, .. } = negotiation;
        let activate = format!(
            "<query xmlns='{}' sid='{sid}'><activate>{peer}</activate></query>",
            ns::BYTESTREAMS
        );
        let to = Some(proxy.parse().unwrap());
        let activate = activate.parse().unwrap();
        let asked = self
            .session
            .stanzas()
            .ask(to, Question::Set, activate, Patience::default());
        let answer = patiently("the proxy activates", asked.await.unwrap()).await;
        answer.unwrap();
    }

    /// Asks; the answer is for later.
    pub(crate) async fn ask(&self, peer: &FullJid, what: &str) -> Answer {
        let (to, what) = (Some(peer.clone().into()), what.parse().unwrap());
        let stanzas = self.session.stanzas();
        stanzas
            .ask(to, Question::Set, what, Patience::default())
            .await
            .unwrap()
    }

    /// Tells a full JID, or a bare one.
    pub(crate) async fn tell(&self, peer: impl Into<tubes::Jid>, what: &str) {
        let what = vec![what.parse().unwrap()];
        self.session
            .stanzas()
            .tell(peer.into(), what)
            .await
            .unwrap();
    }
}
