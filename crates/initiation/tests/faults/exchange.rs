//! Alice asks for a bytestream, and both say something over it, to the end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_protocol::tube::{Setting, StreamFor, TubeNumber};
use tubes_testkit::{Fate, Hub};
use tubes_transport::{
    Bytestream, Inbound, Patience, Reading, Request, Signalling, Stanzas, StreamId,
};
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;

/// How it ended for one side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// All was read, and all was said.
    Complete,
    /// It broke, and this side knows.
    Broken(String),
    /// It seemed to end well after so many bytes, and had not.
    Truncated(usize),
}

/// A bytestream from beginning to end.
pub(crate) struct Exchange {
    pub(crate) hub: Hub,
    pub(crate) ends: Ends,
}

/// The two sessions.
#[derive(Clone)]
pub(crate) struct Ends {
    alice: Stanzas,
    fernand: Stanzas,
}

impl Ends {
    /// Both learn that the other one went away.
    pub(crate) fn go_away(&self, hub: &Hub) {
        hub.hang_up(&alice());
        hub.hang_up(&fernand());
    }

    /// Nobody claims the stream any more.
    pub(crate) fn assert_released(&self, cell: &str) {
        let claimed = [
            self.alice.claim(fernand().into(), stream()),
            self.fernand.claim(alice().into(), stream()),
        ];
        assert!(claimed.iter().all(Option::is_some), "{cell}: still claimed");
    }
}

impl Exchange {
    pub(crate) fn begin(filter: impl Fn(&Element) -> Fate + Send + Sync + 'static) -> Self {
        let (alice, fernand, hub) = Hub::pair(alice(), fernand());
        hub.set_filter(filter);
        Self {
            hub,
            ends: Ends { alice, fernand },
        }
    }

    /// How it ends for Alice and for Fernand, who speak in this manner.
    pub(crate) async fn end(self, manner: Manner) -> (Outcome, Outcome) {
        let mut unclaimed = self.hub.unclaimed(&fernand());
        let ours = async {
            let request = request(&self.ends.alice, alice(), fernand());
            match si().open(request).await {
                Ok(opened) => talk(opened.stream, Side::Alice, manner).await,
                Err(why) => Outcome::Broken(why.to_string()),
            }
        };
        let theirs = async { accept(&self.ends.fernand, &mut unclaimed, manner).await };
        tokio::pin!(ours, theirs);
        tokio::select! {
            alices = &mut ours => {
                let rest = tokio::time::timeout(crate::DEADLINE / 2, &mut theirs).await;
                // A request that never came is none that anybody waits for.
                let never = Outcome::Broken("never asked".to_owned());
                (alices, rest.unwrap_or(never))
            }
            fernands = &mut theirs => (ours.await, fernands),
        }
    }
}

/// Takes the first proposal; what else comes unclaimed is refused, as a session would.
async fn accept(
    stanzas: &Stanzas,
    unclaimed: &mut mpsc::Receiver<Inbound>,
    manner: Manner,
) -> Outcome {
    loop {
        let Some(Inbound::Ask(ask)) = unclaimed.recv().await else {
            return Outcome::Broken("the session is lost".to_owned());
        };
        let Reading::Proposal(proposal) = si().read(ask) else {
            continue;
        };
        let terms = request(stanzas, fernand(), alice());
        let signalling = si();
        let accepted = signalling.accept(*proposal, terms);
        let refusing = async {
            while let Some(inbound) = unclaimed.recv().await {
                drop(inbound);
            }
            std::future::pending::<()>().await;
        };
        let working = async {
            match accepted.await {
                Ok(opened) => talk(opened.stream, Side::Fernand, manner).await,
                Err(why) => Outcome::Broken(why.to_string()),
            }
        };
        return tokio::select! {
            outcome = working => outcome,
            () = refusing => Outcome::Broken("the session is lost".to_owned()),
        };
    }
}

/// Says something and hears something, both to the end.
async fn talk(stream: Bytestream, side: Side, manner: Manner) -> Outcome {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (own, others) = match side {
        Side::Alice => (1, 2),
        Side::Fernand => (2, 1),
    };
    let writing = async {
        writer.write_all(&content(own)).await?;
        writer.shutdown().await
    };
    let mut heard = Vec::new();
    let reading = reader.read_to_end(&mut heard);
    let both = match (manner, side) {
        (Manner::InTurn, Side::Fernand) => match reading.await {
            Ok(_) => writing.await,
            Err(why) => Err(why),
        },
        _ => tokio::try_join!(writing, reading).map(drop),
    };
    match both {
        Ok(()) if heard == content(others) => Outcome::Complete,
        Ok(()) => Outcome::Truncated(heard.len()),
        Err(why) => Outcome::Broken(why.to_string()),
    }
}

#[derive(Clone, Copy)]
enum Side {
    Alice,
    Fernand,
}

/// Who speaks when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Both at once.
    AtOnce,
    /// Fernand, when Alice has said all.
    InTurn,
}

/// All that was said, in a form that can be read.
pub(crate) fn spoken(hub: &Hub) -> Vec<String> {
    let passed = hub.transcript();
    let line = |(_, stanza): &(FullJid, Element)| String::from(stanza);
    passed.iter().map(line).collect()
}

fn request(stanzas: &Stanzas, local: FullJid, peer: FullJid) -> Request {
    let number = TubeNumber::new(7).unwrap();
    Request {
        stream: stream(),
        account: local.clone(),
        local,
        peer,
        purpose: StreamFor {
            number,
            setting: Setting::Private,
        }
        .into(),
        extensions: Vec::new(),
        patience: Patience::NEGOTIATION,
        stanzas: stanzas.clone(),
    }
}

fn si() -> Si {
    Si::new(vec![Arc::new(Ibb::new().with_block_size(LENGTH))])
}

/// Bytes in which a block that is lost, doubled or moved shows.
fn content(seed: usize) -> Vec<u8> {
    let length = BLOCKS * usize::from(LENGTH);
    (0..length)
        .map(|at| (seed * 101 + at * 7 + at / 251) as u8)
        .collect()
}

pub(crate) fn alice() -> FullJid {
    "alice@tubes.example/desk".parse().unwrap()
}

fn fernand() -> FullJid {
    "fernand@tubes.example/lab".parse().unwrap()
}

fn stream() -> StreamId {
    StreamId::from("s1")
}

/// What each side says.
pub(crate) const BLOCKS: usize = 4;

/// Bytes in each of them.
const LENGTH: u16 = 500;
