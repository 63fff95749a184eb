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
use crate::hub::{Pending, Shared};

/// Takes what one end says and brings it where it belongs.
pub(crate) async fn carry(shared: Arc<Shared>, from: FullJid, mut outbox: Outbox) {
    while let Some(outbound) = outbox.next().await {
        match outbound {
            Outbound::Answer(answered) => answer(&shared, &from, answered).await,
            Outbound::Ask {
                to,
                question,
                payload,
                patience,
                reply,
            } => {
                let to = to.unwrap_or_else(|| from.to_bare().into());
                let pending = Pending { to, reply };
                ask(&shared, &from, question, payload, patience, pending).await;
            }
            Outbound::Tell { to, payloads } => {
                for payload in payloads {
                    tell(&shared, &from, &to, payload).await;
                }
            }
        }
    }
}

async fn ask(
    shared: &Arc<Shared>,
    from: &FullJid,
    question: Question,
    payload: Element,
    patience: Patience,
    pending: Pending,
) {
    let asker = Jid::from(from.clone());
    let to = pending.to.clone();
    let key = {
        let mut state = shared.lock();
        // An end that was cut while its task ran on must not wait for an answer.
        if !state.ends.contains_key(&asker) {
            return;
        }
        state.drawn += 1;
        let key = (asker.clone(), format!("q{}", state.drawn));
        state.pending.insert(key.clone(), pending);
        key
    };
    if let Patience::Within(time) = patience {
        tokio::spawn(expire(Arc::downgrade(shared), key.clone(), time));
    }
    let type_ = match question {
        Question::Get => "get",
        Question::Set => "set",
    };
    let id = key.1;
    let stanza = iq(from, &to, &id, type_, Some(payload));
    let passed = pass(shared, from, stanza).await;
    let Some(payload) = passed.and_then(|mut stanza| stanza.unshift_child()) else {
        return;
    };
    let Some((switchboard, _)) = end(shared, &to) else {
        let error = StanzaError::new(
            ErrorType::Cancel,
            DefinedCondition::ServiceUnavailable,
            "en",
            "",
        );
        return settle(shared, &to, asker, id, Err(error));
    };
    match switchboard.ask(asker.clone(), id.clone(), payload) {
        Ok(ask) => deliver(shared, &to, &asker, Inbound::Ask(ask)).await,
        Err(_) => {
            let condition = DefinedCondition::ResourceConstraint;
            let error = StanzaError::new(ErrorType::Wait, condition, "en", "");
            settle(shared, &to, asker, id, Err(error));
        }
    }
}

async fn answer(shared: &Arc<Shared>, from: &FullJid, answered: Answered) {
    let Answered { to, id, outcome } = answered;
    let (type_, payload) = match &outcome {
        Ok(payload) => ("result", payload.clone()),
        Err(error) => ("error", Some(Element::from(error.clone()))),
    };
    let stanza = iq(from, &to, &id, type_, payload);
    let Some(mut stanza) = pass(shared, from, stanza).await else {
        return;
    };
    let payload = stanza.unshift_child();
    let outcome = match outcome {
        Ok(_) => Ok(payload),
        Err(error) => Err(payload
            .and_then(|payload| StanzaError::try_from(payload).ok())
            .unwrap_or(error)),
    };
    settle(shared, &Jid::from(from.clone()), to, id, outcome);
}

async fn tell(shared: &Arc<Shared>, from: &FullJid, to: &Jid, payload: Element) {
    let stanza = message(from, to, payload);
    let passed = pass(shared, from, stanza).await;
    if let Some(payload) = passed.and_then(|mut stanza| stanza.unshift_child()) {
        let from = Jid::from(from.clone());
        let tell = Tell {
            from: from.clone(),
            payload,
        };
        deliver(shared, to, &from, Inbound::Tell(tell)).await;
    }
}

/// Brings an answer home, if it comes from whom the question went to.
fn settle(
    shared: &Shared,
    from: &Jid,
    to: Jid,
    id: String,
    outcome: Result<Option<Element>, StanzaError>,
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
        let outcome = outcome.map_err(|error| AskError::Refused(Box::new(error)));
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

/// Lets the filter decide, and notes what arrives; `None` if nothing does.
async fn pass(shared: &Shared, from: &FullJid, mut stanza: Element) -> Option<Element> {
    let filter = shared.lock().filter.clone();
    match filter.map_or(Fate::Pass, |filter| filter(&stanza)) {
        Fate::Delay(time) => tokio::time::sleep(time).await,
        Fate::Drop => return None,
        Fate::Pass => {}
        Fate::Replace(payload) => {
            stanza.take_nodes();
            stanza.append_child(payload);
        }
    }
    let noted = (from.clone(), stanza.clone());
    shared.lock().transcript.push(noted);
    Some(stanza)
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
