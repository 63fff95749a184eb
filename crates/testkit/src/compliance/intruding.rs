//! Nobody but the peer can speak into a stream.

use std::collections::HashMap;

use tubes_transport::{Gone, Patience, Question, Role, Stanzas};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::{Namespace, xml_ncname};

use crate::compliance::Breach;
use crate::compliance::attempts::mark;
use crate::compliance::bench::{Bench, address, jid};
use crate::compliance::carrying::exchange;
use crate::compliance::speech::{hear, pattern, read, write_out};

/// Everything that the two sides ever say is repeated by others, and other things of the same
/// stream: before it opens, and in the middle of it.
pub(crate) async fn third_parties(bench: &Bench, role: Role) -> Result<(), Breach> {
    let vocabulary = rehearse(bench, role).await?;
    let intruders = [
        stranger(),
        other_resource(Role::Requester),
        other_resource(Role::Responder),
    ]
    .map(|who| bench.hub.join(who));

    let mut wires = bench.wires(STREAM)?;
    intrude(bench, &intruders, &vocabulary).await?;
    let (mut near, mut far) = bench.open_over(&mut wires).await?.seen_by(role);
    drop(wires);
    for round in 0..2 {
        let bytes = pattern(10_000, 13 + round);
        let (written, heard, intruded) = tokio::join!(
            write_out(bench, &mut near, &bytes),
            read(bench, &mut far, &bytes),
            intrude(bench, &intruders, &vocabulary),
        );
        heard.and(written).and(intruded)?;
    }
    exchange(bench, near, far, 50_000).await
}

/// Somebody whom neither side knows.
pub fn stranger() -> FullJid {
    jid("stranger@tubes.example/cellar")
}

/// Another resource of this side's account.
pub fn other_resource(role: Role) -> FullJid {
    match role {
        Role::Requester => jid("alice@tubes.example/phone"),
        Role::Responder => jid("fernand@tubes.example/phone"),
    }
}

/// Carries a stream to its end, and breaks one, and returns all that was said meanwhile.
async fn rehearse(bench: &Bench, role: Role) -> Result<Vec<Element>, Breach> {
    let (near, far) = bench.open("rehearsed").await?.seen_by(role);
    exchange(bench, near, far, 3000).await?;
    let (near, mut far) = bench.open("rehearsed-to-break").await?.seen_by(role);
    drop(near);
    hear(bench, &mut far, &[]).await?;
    drop(far);

    let mut vocabulary = Vec::new();
    for role in [Role::Requester, Role::Responder] {
        let garbage = GARBAGE.map(|name| Element::bare(name, bench.namespace(role)));
        vocabulary.extend(garbage);
    }
    for (_, stanza) in bench.hub.transcript() {
        vocabulary.extend(stanza.children().cloned());
    }
    let mut spoken: HashMap<String, usize> = HashMap::new();
    vocabulary.retain(|payload| {
        let times = spoken.entry(payload.name().to_owned()).or_default();
        *times += 1;
        *times <= TIMES
    });
    for payload in &mut vocabulary {
        payload.set_attr(Namespace::NONE, xml_ncname!("sid").to_owned(), STREAM);
    }
    Ok(vocabulary)
}

/// Each of them tells and asks both sides everything; returns when the last was delivered.
async fn intrude(
    bench: &Bench,
    intruders: &[Stanzas],
    vocabulary: &[Element],
) -> Result<(), Breach> {
    for intruder in intruders {
        for role in [Role::Requester, Role::Responder] {
            let speaking = speak(intruder, role, vocabulary);
            let spoken = bench.within("others speak", speaking).await?;
            spoken.map_err(|gone| Breach::Stopped(gone.into()))?;
        }
    }
    Ok(())
}

async fn speak(intruder: &Stanzas, to: Role, vocabulary: &[Element]) -> Result<(), Gone> {
    let to = Jid::from(address(to));
    let ask = async |payload| {
        let patience = Patience::WhileAlive;
        intruder
            .ask(Some(to.clone()), Question::Set, payload, patience)
            .await
    };
    let mut answers = Vec::new();
    for payload in vocabulary {
        intruder.tell(to.clone(), vec![payload.clone()]).await?;
        answers.push(ask(payload.clone()).await?);
    }
    // Nobody has claimed this one, so it is refused at once, and all the others were delivered
    // before. Whether and how those are answered is not asked here.
    let _refused = ask(mark("of-nobody")).await?.await;
    Ok(())
}

const STREAM: &str = "intruded";

/// Names under the transport's namespace that mean something to many transports.
const GARBAGE: [&str; 5] = ["open", "close", "data", "query", "garbage"];

/// Elements of one name that are repeated, of those that were said in the rehearsal.
const TIMES: usize = 6;
