//! Questions to the server that any server answers: how far away it is, and who is in the roster.

use std::time::Duration;

use tokio::time::Instant;
use tubes::transport::{Answer, AskError, Gone, Patience, Question};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::roster::Roster;

use super::{Client, Finding};

/// How long the server takes to answer.
pub(super) async fn round_trip(client: &Client) -> Finding {
    let server = Jid::from(BareJid::from_parts(None, client.account.domain()));
    let mut times = Vec::new();
    for _ in 0..PINGS {
        let begun = Instant::now();
        match ask(client, Some(server.clone()), Ping.into()).await {
            // That it does not know pings is an answer, too.
            Ok(_) | Err(AskError::Refused(_)) => times.push(begun.elapsed()),
            Err(why) => return Finding::Bad(format!("the server does not answer: {why}")),
        }
    }
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Finding::Fine(format!("the server answers in {}", milliseconds(median)))
}

/// Whether the server tells who the contacts are.
pub(super) async fn roster(client: &Client) -> Finding {
    let question = Roster {
        ver: None,
        items: Vec::new(),
    };
    match ask(client, None, question.into()).await {
        Ok(Some(answer)) => match Roster::try_from(answer) {
            Ok(roster) => Finding::Fine(contacts(roster.items.len())),
            Err(why) => Finding::Bad(format!("the server's answer makes no sense: {why}")),
        },
        Ok(None) => Finding::Bad("the server's answer is empty".to_owned()),
        Err(why) => Finding::Bad(format!("the server does not give it: {why}")),
    }
}

async fn ask(
    client: &Client,
    to: Option<Jid>,
    payload: Element,
) -> Result<Option<Element>, AskError> {
    let stanzas = client.tubes.stanzas();
    let asked = stanzas.ask(to, Question::Get, payload, Patience::Within(ANSWER));
    let answer: Result<Answer, Gone> = asked.await;
    answer?.await
}

fn contacts(count: usize) -> String {
    match count {
        0 => "nobody in the contact list yet".to_owned(),
        1 => "one contact".to_owned(),
        count => format!("{count} contacts"),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// An odd number has a middle.
const PINGS: usize = 5;

/// A server that takes longer is not fit for tubes.
const ANSWER: Duration = Duration::from_secs(10);
