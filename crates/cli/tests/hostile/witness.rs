//! Somebody well-behaved, by hand, so that it is known to everybody how its streams are called.

use serde_json::Value;

use crate::attacker::Attacker;
use crate::scene::Scene;
use crate::withstanding::Said;
use crate::words::{Through, attribute, data, result, set};

/// An occupant of the room, who uses Alice's tube.
pub(crate) struct Witness {
    pub(crate) client: Attacker,
    pub(crate) alice: String,
    seq: u64,
}

impl Witness {
    /// It is in the room.
    pub(crate) async fn of(scene: &Scene) -> Self {
        let made = scene.server.fresh_account("fernand").await.unwrap();
        let (jid, password) = (made.jid.to_string(), made.password);
        let mut client = Attacker::log_in(scene.server, &jid, &password, NAME).await;
        client.come_online().await;
        client.enter(scene.room.as_ref().unwrap(), NAME).await;
        let alice = scene.alice.clone();
        Self {
            client,
            alice,
            seq: 0,
        }
    }

    /// The same, and has a stream.
    pub(crate) async fn with_stream(scene: &Scene) -> Self {
        let mut witness = Self::of(scene).await;
        let (alice, tube) = (&witness.alice, scene.number);
        witness.client.open(alice, Through::Room, tube, SID).await;
        witness
    }

    /// Says a word, and hears it back.
    pub(crate) async fn is_served(&mut self) {
        let word = format!("{:04}", self.seq);
        let seq = self.says(&word).await;
        let (client, alice) = (&mut self.client, &self.alice);
        let back = client
            .hears(&["<data", &format!("seq='{seq}'"), &format!(">{word}<")])
            .await;
        client.say(result(alice, attribute(&back, "id"))).await;
    }

    /// Says a block, which has a number.
    pub(crate) async fn says(&mut self, block: &str) -> u64 {
        let seq = self.seq;
        self.seq += 1;
        let said = set(&self.alice, &format!("said{seq}"), &data(SID, seq, block));
        self.client.say(said).await;
        seq
    }
}

/// Of the connections of the witness, by what Alice tells of it: how each ended.
pub(crate) fn ends(said: &Said) -> Vec<Value> {
    let lines = said.events[0].iter();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_of_witness = |event: &&Value| {
        let peer = event["peer"].as_str();
        let is_its = peer.is_some_and(|peer| peer.ends_with(&format!("/{NAME}")));
        event["event"] == "connection_opened" && is_its
    };
    let opened = events.iter().filter(is_of_witness);
    let ended = opened.flat_map(|opened| {
        let of = &opened["connection"];
        let is_end = move |event: &&Value| {
            event["event"] == "connection_closed" && event["connection"] == *of
        };
        events.iter().filter(is_end)
    });
    ended.cloned().collect()
}

/// By which it is in the room.
pub(crate) const NAME: &str = "witness";

/// The name of its stream.
pub(crate) const SID: &str = "known-to-everybody";
