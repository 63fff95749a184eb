//! Somebody in between says in Alice's name that she has given a file up.

use std::sync::{Arc, OnceLock};

use tubes::{Account, Certainty, FullJid, Tls};
use tubes_protocol::file::{Reason, Withdrawal};
use tubes_protocol::ns;
use tubes_server::{Server, Setup};
use tubes_testkit::{Fate, Link};

use super::{Content, Parties, delivered, ended, failed};
use crate::stage::{Meddling, Person, Tap, befriended, patiently, transport};

crate::on_each_server!(
    a_file_that_flows_encrypted_is_not_ended_by_what_is_said_beside_it,
    a_file_that_does_not_flow_yet_is_taken_back_by_a_word,
);

async fn a_file_that_flows_encrypted_is_not_ended_by_what_is_said_beside_it(shared: &Server) {
    let mut scene = Scene::on(shared).await;
    // Or all of it might come before the word does.
    scene.tap.meddle(Meddling::Hold(FILM / 2));
    let film = Content::of(7, FILM);
    let path = scene.parties.write("film", &film);
    let sending = scene.parties.send(&path).await;
    let mut receiving = scene.parties.offered().await;
    receiving.accept(scene.parties.destination()).await.unwrap();
    while receiving.progress().bytes() == 0 {
        let step = patiently("something comes", receiving.next()).await;
        step.unwrap();
    }
    scene.withdraw().await;
    scene.is_heard().await;
    assert!(receiving.progress().bytes() < FILM as u64);
    scene.tap.meddle(Meddling::Nothing);
    for outcome in ended(sending, receiving).await {
        assert_eq!(delivered(outcome).certainty, Certainty::Verified);
    }
    scene.leave().await;
}

async fn a_file_that_does_not_flow_yet_is_taken_back_by_a_word(shared: &Server) {
    let mut scene = Scene::on(shared).await;
    let path = scene.parties.write("photo", b"a");
    let _sending = scene.parties.send(&path).await;
    let mut receiving = scene.parties.offered().await;
    scene.withdraw().await;
    let failure = failed(&mut receiving).await;
    assert!(
        failure.message.contains("has given the file up"),
        "{failure}"
    );
    scene.leave().await;
}

/// Alice, Fernand, and what somebody between Alice and her server knows.
struct Scene {
    server: Server,
    parties: Parties,
    fernand: FullJid,
    /// On what Fernand reads of files.
    tap: Tap,
    /// The identifier of the bytestream of the file.
    stream: Arc<OnceLock<String>>,
    _link: Link,
}

impl Scene {
    async fn on(shared: &Server) -> Self {
        let starting = Server::start(shared.kind(), Setup::new().without_required_encryption());
        let server = patiently("a server starts", starting).await.unwrap();
        let in_clear = |account: Account| account.with_tls(Tls::None).unwrap();
        let (alice, link) = Person::linked(&server, "alice", in_clear).await;
        let tap = Tap::default();
        let by = tap.on(transport());
        let mut fernand = Person::taking_files_by(&server, "fernand", by).await;
        let there = fernand.online().await;
        let stream = Arc::new(OnceLock::new());
        let heard = Arc::clone(&stream);
        link.set_filter(move |_, stanza| {
            let asked = stanza.get_child("si", ns::SI).and_then(|si| si.attr("id"));
            asked.map(|id| heard.set(id.to_owned()));
            Fate::Pass
        });
        let (alice, fernand) = befriended(alice, fernand).await;
        Self {
            server,
            parties: Parties::of(alice, fernand),
            fernand: there,
            tap,
            stream,
            _link: link,
        }
    }

    /// Takes the file back, as Alice would.
    async fn withdraw(&self) {
        let withdrawal = Withdrawal {
            stream: self.stream.get().unwrap().clone(),
            reason: Reason::Cancelled,
        };
        let stanzas = self.parties.alice.tubes.stanzas();
        let telling = stanzas.tell(self.fernand.clone().into(), withdrawal.payloads());
        patiently("it is said", telling).await.unwrap();
    }

    /// Waits until Fernand has taken notice of what was said before. What comes from Alice is taken notice of in
    /// its order, and another file comes then.
    async fn is_heard(&mut self) {
        let path = self.parties.write("note", b"a");
        let note = self.parties.send(&path).await;
        self.parties.offered().await;
        patiently("it is given up", note.give_up()).await;
    }

    async fn leave(self) {
        self.parties.leave().await;
        self.server.stop().await;
    }
}

/// In-band that takes a moment, and no more.
const FILM: usize = 6 * 1024 * 1024;
