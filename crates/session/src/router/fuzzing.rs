//! A server, and everybody behind it, that sends anything.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tubes_transport::{Outbox, Stanzas, StreamId, Wire};
use xmpp_parsers::ns;
use xmpp_parsers::presence::Presence;

use super::*;

/// Routes the lines: stanzas, or orders as `Bench::order` knows them.
///
/// Every question is answered exactly once and to whoever asked; an answer reaches only those
/// who asked its sender; only of contacts is anything reported; what is sent is XML; and nothing
/// that was said is kept beyond its bound.
pub fn router(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut bench = Bench::new();
    for line in text.lines() {
        match line.strip_prefix('!') {
            Some(order) => bench.order(order),
            None => {
                if let Some(stanza) = stanza(line) {
                    bench.receive(stanza);
                }
            }
        }
        bench.settle();
    }
    bench.end();
}

struct Bench {
    router: Router,
    stanzas: Stanzas,
    outbox: Outbox,
    now: Instant,
    wires: Vec<Wire>,
    /// What Fernand's laptop was asked, by id.
    asked: HashMap<String, oneshot::Receiver<Result<Option<Element>, AskError>>>,
    /// Questions that have no answer yet: who asked, and under which id.
    owed: Vec<(Jid, String)>,
}

impl Bench {
    fn new() -> Self {
        let (stanzas, outbox, switchboard) = Stanzas::pair();
        let identity = Identity::new(["urn:example".to_owned()]);
        let mut router = Router::new(own(), identity, 7, switchboard);
        let now = Instant::now();
        router.handle_reset(own(), now);
        Self {
            router,
            stanzas,
            outbox,
            now,
            wires: Vec::new(),
            asked: HashMap::new(),
            owed: Vec::new(),
        }
    }

    /// `lost`, `reset`, `resumed`; `ask`: asks Fernand's laptop; `claim SID`: claims a stream of
    /// its; `consent JID`, `attend JID`, `forsake JID`; a number: so many seconds pass.
    fn order(&mut self, order: &str) {
        let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
        match word {
            "lost" => {
                self.router.handle_lost();
                // Whoever has a wire lets go of it, and the pump throws away what waits: nobody
                // is there to be answered.
                self.wires.clear();
                self.outbox.clear();
                self.owed.clear();
            }
            "reset" => self.router.handle_reset(own(), self.now),
            "resumed" => self.router.handle_resumed(self.now),
            "ask" => self.ask(),
            "claim" => {
                let wire = self.stanzas.claim(laptop(), StreamId::from(rest));
                self.wires.extend(wire);
            }
            "consent" => {
                if let Ok(jid) = rest.parse::<Jid>() {
                    let jid = jid.to_bare();
                    self.router.handle_consent(jid, Subscribe::Yes, self.now);
                }
            }
            "attend" | "forsake" => {
                if let Ok(room) = rest.parse::<Jid>() {
                    let room = room.to_bare();
                    match word {
                        "attend" => self.router.handle_attend(room),
                        _ => self.router.handle_forsake(&room),
                    }
                }
            }
            seconds => {
                let seconds = seconds.parse::<u16>().unwrap_or(0);
                self.now += Duration::from_secs(seconds.into());
                self.router.handle_timeout(self.now);
                let due = self.router.next_deadline();
                assert!(due.is_none_or(|due| due > self.now), "it stays due");
            }
        }
    }

    fn ask(&mut self) {
        let (reply, answer) = oneshot::channel();
        let ask = Outbound::Ask {
            to: Some(laptop()),
            question: Question::Get,
            payload: Element::bare("q", "urn:example"),
            patience: Patience::WhileAlive,
            reply,
        };
        let sent = self.router.handle_outbound(ask, self.now);
        if let Stanza::Iq(iq) = &sent {
            self.asked.insert(iq.id().to_owned(), answer);
        }
        self.sent(sent);
    }

    fn receive(&mut self, stanza: Stanza) {
        let mut answered = None;
        if let Stanza::Iq(iq) = &stanza {
            let from = iq.from().cloned();
            match iq {
                Iq::Get { id, .. } | Iq::Set { id, .. } => {
                    let from = from.unwrap_or_else(|| own().to_bare().into());
                    self.owed.push((from, id.clone()));
                }
                Iq::Result { id, .. } | Iq::Error { id, .. } => {
                    answered = from.map(|from| (from, id.clone()));
                }
            }
        }
        let kind = matches!(&stanza, Stanza::Iq(_));
        self.router.handle_stanza(stanza, self.now);
        let answered = answered.filter(|(from, _)| *from == laptop());
        self.asked.retain(|id, answer| match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => true,
            Ok(Ok(_) | Err(AskError::Refused(_))) => {
                let by = answered.as_ref().map(|(_, id)| id);
                assert!(kind && by == Some(id), "answered by somebody else");
                false
            }
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => false,
        });
    }

    /// Takes what is reported and what is to be sent.
    fn settle(&mut self) {
        while let Some(event) = self.router.take_event() {
            match event {
                SessionEvent::Online { jid, .. } => {
                    assert!(self.router.contacts.knows(&jid.to_bare()), "a stranger");
                }
                // Dropped unread, as by somebody who does not know what to do with it: a
                // question is answered by that.
                SessionEvent::Room(says) => {
                    let room = says.room();
                    assert!(self.router.rooms.attends(&room), "nobody attends {room}");
                }
                SessionEvent::Message(_) | SessionEvent::Presence(_) => panic!("nobody shares it"),
                SessionEvent::Exceeded { .. }
                | SessionEvent::Ignored { .. }
                | SessionEvent::Unclaimed { .. }
                | SessionEvent::Offline { .. } => {}
                SessionEvent::Link(_) => panic!("that is the pump's to say"),
            }
        }
        while let Some(stanza) = self.router.take_out() {
            self.sent(stanza);
        }
        while let Some(outbound) = self.outbox.try_next() {
            let stanza = self.router.handle_outbound(outbound, self.now);
            self.sent(stanza);
        }
        assert!(self.router.is_idle());
    }

    fn sent(&mut self, stanza: Stanza) {
        if let Stanza::Iq(iq @ (Iq::Result { .. } | Iq::Error { .. })) = &stanza {
            let to = iq.to().cloned().unwrap_or_else(|| own().to_bare().into());
            let place = self
                .owed
                .iter()
                .position(|(from, id)| *from == to && id == iq.id());
            match place {
                Some(place) => drop(self.owed.swap_remove(place)),
                None => panic!("nobody asked, or it is answered: {iq:?}"),
            }
        }
        let text = String::from(&element(stanza));
        let read = text.parse::<Element>();
        assert!(read.is_ok(), "{read:?}: {text}");
    }

    /// Wires answer what they hold when they are dropped.
    fn end(mut self) {
        self.wires.clear();
        self.settle();
        assert!(self.owed.is_empty(), "unanswered: {:?}", self.owed);
    }
}

/// What a session makes of a stanza; what is none is answered by tokio-xmpp.
fn stanza(line: &str) -> Option<Stanza> {
    let namespace = ns::JABBER_CLIENT.to_owned();
    let element = Element::from_reader_with_prefixes(line.as_bytes(), namespace).ok()?;
    match element.name() {
        "iq" => Iq::try_from(element).ok().map(Stanza::Iq),
        "message" => Message::try_from(element).ok().map(Stanza::Message),
        "presence" => Presence::try_from(element).ok().map(Stanza::Presence),
        _ => None,
    }
}

fn element(stanza: Stanza) -> Element {
    match stanza {
        Stanza::Iq(iq) => iq.into(),
        Stanza::Message(message) => message.into(),
        Stanza::Presence(presence) => presence.into(),
    }
}

fn own() -> FullJid {
    let jid = "alice@example.org/r".parse();
    jid.unwrap_or_else(|why| panic!("{why}"))
}

fn laptop() -> Jid {
    let jid = "fernand@example.org/l".parse();
    jid.unwrap_or_else(|why| panic!("{why}"))
}
