//! What a hub does for each of its ends: takes what it says and brings it where it belongs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tubes_transport::{
    Answered, AskError, Inbound, Outbound, Outbox, Patience, Question, Switchboard, Tell,
};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::Fate;
use crate::fate::{HeldBack, replaced};
use crate::hub::{Pending, Shared};

/// Takes what one end says and brings it where it belongs.
pub(crate) async fn carry(shared: Arc<Shared>, from: FullJid, mut outbox: Outbox) {
    let mut carrier = Carrier {
        shared,
        from,
        held_back: HeldBack::new(),
    };
    while let Some(outbound) = outbox.next().await {
        for parcel in carrier.parcels(outbound) {
            if carrier.pass(parcel).await == Course::Lost {
                return;
            }
        }
    }
}

struct Carrier {
    shared: Arc<Shared>,
    from: FullJid,
    held_back: HeldBack<Parcel>,
}

/// A stanza on its way, and what it is.
#[derive(Clone)]
struct Parcel {
    stanza: Element,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Answer(Verdict),
    Ask,
    Tell,
}

#[derive(Clone, Copy)]
enum Verdict {
    Granted,
    Refused,
}

/// Whether the end is still there.
#[derive(PartialEq)]
enum Course {
    On,
    Lost,
}

impl Carrier {
    fn parcels(&self, outbound: Outbound) -> Vec<Parcel> {
        match outbound {
            Outbound::Answer(answered) => vec![self.answer(answered)],
            Outbound::Ask {
                to,
                question,
                payload,
                patience,
                reply,
            } => {
                let to = to.unwrap_or_else(|| self.from.to_bare().into());
                let pending = Pending { to, reply };
                let asked = self.ask(question, payload, patience, pending);
                asked.into_iter().collect()
            }
            // Applications say them, transports do not.
            Outbound::Message(_) | Outbound::Presence(_) => Vec::new(),
            Outbound::Tell { to, payloads } => {
                let tell = |payload| Parcel {
                    stanza: message(&self.from, &to, payload),
                    content: Content::Tell,
                };
                payloads.into_iter().map(tell).collect()
            }
        }
    }

    fn answer(&self, Answered { to, id, outcome }: Answered) -> Parcel {
        let (type_, payload, verdict) = match outcome {
            Ok(payload) => ("result", payload, Verdict::Granted),
            Err(error) => ("error", Some(Element::from(error)), Verdict::Refused),
        };
        Parcel {
            stanza: iq(&self.from, &to, &id, type_, payload),
            content: Content::Answer(verdict),
        }
    }

    /// Notes the question; `None` if there is nobody any more who could be answered.
    fn ask(
        &self,
        question: Question,
        payload: Element,
        patience: Patience,
        pending: Pending,
    ) -> Option<Parcel> {
        let asker = Jid::from(self.from.clone());
        let to = pending.to.clone();
        let key = {
            let mut state = self.shared.lock();
            // An end that was cut while its task ran on must not wait for an answer.
            if !state.ends.contains_key(&asker) {
                return None;
            }
            state.drawn += 1;
            let key = (asker, format!("q{}", state.drawn));
            state.pending.insert(key.clone(), pending);
            key
        };
        if let Patience::Within(time) = patience {
            tokio::spawn(expire(Arc::downgrade(&self.shared), key.clone(), time));
        }
        let type_ = match question {
            Question::Get => "get",
            Question::Set => "set",
        };
        Some(Parcel {
            stanza: iq(&self.from, &to, &key.1, type_, Some(payload)),
            content: Content::Ask,
        })
    }

    /// Lets the filter decide.
    async fn pass(&mut self, mut parcel: Parcel) -> Course {
        let filter = self.shared.lock().filter.clone();
        let mut course = Course::On;
        match filter.map_or(Fate::Pass, |filter| filter(&parcel.stanza)) {
            Fate::Cut => return self.lost(),
            Fate::CutAfter => course = Course::Lost,
            Fate::Delay(time) => tokio::time::sleep(time).await,
            Fate::Drop => return Course::On,
            Fate::Duplicate => self.deliver(parcel.clone()).await,
            Fate::Garble => {
                if let Some(to) = address(&parcel.stanza, "to") {
                    self.shared.lose(&to);
                }
                return Course::On;
            }
            Fate::HoldBack => {
                self.held_back.hold(parcel);
                return Course::On;
            }
            Fate::Pass => {}
            Fate::Replace(payload) => parcel.stanza = replaced(parcel.stanza, payload),
        }
        self.deliver(parcel).await;
        for parcel in self.held_back.release() {
            self.deliver(parcel).await;
        }
        match course {
            Course::On => Course::On,
            Course::Lost => self.lost(),
        }
    }

    fn lost(&self) -> Course {
        self.shared.lose(&Jid::from(self.from.clone()));
        Course::Lost
    }

    /// Notes what arrives, and lets it.
    async fn deliver(&self, parcel: Parcel) {
        let Parcel {
            mut stanza,
            content,
        } = parcel;
        let noted = (self.from.clone(), stanza.clone());
        self.shared.lock().transcript.push(noted);
        let (from, to) = (Jid::from(self.from.clone()), address(&stanza, "to"));
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        let payload = stanza.unshift_child();
        let (Some(to), shared) = (to, &self.shared) else {
            return;
        };
        match (content, payload) {
            (Content::Answer(verdict), payload) => {
                settle(shared, &from, to, id, outcome(verdict, payload));
            }
            (Content::Ask, Some(payload)) => put(shared, from, to, id, payload).await,
            (Content::Tell, Some(payload)) => {
                let tell = Tell {
                    from: from.clone(),
                    payload,
                };
                deliver(shared, &to, &from, Inbound::Tell(tell)).await;
            }
            (Content::Ask | Content::Tell, None) => {}
        }
    }
}

/// Puts a question to whom it is for.
async fn put(shared: &Shared, asker: Jid, to: Jid, id: String, payload: Element) {
    let Some((switchboard, _)) = end(shared, &to) else {
        let condition = DefinedCondition::ServiceUnavailable;
        let error = StanzaError::new(ErrorType::Cancel, condition, "en", "");
        return settle(shared, &to, asker, id, Err(Box::new(error)));
    };
    match switchboard.ask(asker.clone(), id.clone(), payload) {
        Ok(ask) => deliver(shared, &to, &asker, Inbound::Ask(ask)).await,
        Err(_) => {
            let condition = DefinedCondition::ResourceConstraint;
            let error = StanzaError::new(ErrorType::Wait, condition, "en", "");
            settle(shared, &to, asker, id, Err(Box::new(error)));
        }
    }
}

/// What an answer says, whatever became of its payload on the way.
fn outcome(
    verdict: Verdict,
    payload: Option<Element>,
) -> Result<Option<Element>, Box<StanzaError>> {
    match verdict {
        Verdict::Granted => Ok(payload),
        Verdict::Refused => {
            let read = payload.and_then(|payload| StanzaError::try_from(payload).ok());
            Err(Box::new(read.unwrap_or_else(|| {
                let condition = DefinedCondition::UndefinedCondition;
                StanzaError::new(ErrorType::Cancel, condition, "en", "")
            })))
        }
    }
}

/// Brings an answer home, if it comes from whom the question went to.
fn settle(
    shared: &Shared,
    from: &Jid,
    to: Jid,
    id: String,
    outcome: Result<Option<Element>, Box<StanzaError>>,
) {
    let mut state = shared.lock();
    let key = (to, id);
    if state
        .pending
        .get(&key)
        .is_none_or(|pending| pending.to != *from)
    {
        return;
    }
    if let Some(pending) = state.pending.remove(&key) {
        let outcome = outcome.map_err(AskError::Refused);
        // An asker that lost interest is not told.
        let _ = pending.reply.send(outcome);
    }
}

async fn expire(shared: Weak<Shared>, key: (Jid, String), time: Duration) {
    tokio::time::sleep(time).await;
    let pending = shared
        .upgrade()
        .and_then(|shared| shared.lock().pending.remove(&key));
    if let Some(pending) = pending {
        let _ = pending.reply.send(Err(AskError::TimedOut));
    }
}

fn refuse(inbound: Inbound, condition: DefinedCondition) {
    if let Inbound::Ask(ask) = inbound {
        ask.refuse_with(ErrorType::Cancel, condition);
    }
}

async fn deliver(shared: &Shared, to: &Jid, from: &Jid, inbound: Inbound) {
    let Some((switchboard, unclaimed)) = end(shared, to) else {
        return refuse(inbound, DefinedCondition::ServiceUnavailable);
    };
    let Err(inbound) = switchboard.route(from, inbound) else {
        return;
    };
    match unclaimed {
        Some(unclaimed) => {
            if let Err(mpsc::error::SendError(inbound)) = unclaimed.send(*inbound).await {
                refuse(inbound, DefinedCondition::ItemNotFound);
            }
        }
        None => refuse(*inbound, DefinedCondition::ItemNotFound),
    }
}

fn end(shared: &Shared, jid: &Jid) -> Option<(Switchboard, Option<mpsc::Sender<Inbound>>)> {
    let state = shared.lock();
    let end = state.ends.get(jid)?;
    Some((end.switchboard.clone(), end.unclaimed.clone()))
}

fn address(stanza: &Element, whose: &str) -> Option<Jid> {
    stanza.attr(whose)?.parse().ok()
}

fn iq(from: &FullJid, to: &Jid, id: &str, type_: &str, payload: Option<Element>) -> Element {
    Element::builder("iq", ns::DEFAULT_NS)
        .attr(xml_ncname!("from").to_owned(), from.to_string())
        .attr(xml_ncname!("to").to_owned(), to.to_string())
        .attr(xml_ncname!("id").to_owned(), id)
        .attr(xml_ncname!("type").to_owned(), type_)
        .append_all(payload)
        .build()
}

fn message(from: &FullJid, to: &Jid, payload: Element) -> Element {
    Element::builder("message", ns::DEFAULT_NS)
        .attr(xml_ncname!("from").to_owned(), from.to_string())
        .attr(xml_ncname!("to").to_owned(), to.to_string())
        .append(payload)
        .build()
}
