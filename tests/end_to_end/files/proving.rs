//! Somebody offers a file in the name of a contact, and cannot prove to have its key.

use std::fs::{self, File};
use std::path::Path;

use tubes::secure::TrustStore;
use tubes::transport::Bytestream;
use tubes::{FileTransfer, FullJid, Step};
use tubes_protocol::file::{Contents, FileOffer};
use tubes_protocol::ns;
use tubes_server::Server;
use xmpp_parsers::minidom::Element;

use super::{Parties, failed};
use crate::stage::{KEYS, Outsider, Person, befriended, credentials, patiently};

crate::on_each_server!(
    nothing_is_made_before_a_key_is_proven,
    nobody_hears_what_is_there_before_a_key_is_proven,
    a_file_goes_on_until_a_key_is_proven,
);

async fn nothing_is_made_before_a_key_is_proven(server: &Server) {
    let mut scene = Scene::on(server).await;
    let (stream, _) = scene.impose("photo.jpg", 3).await;
    assert_eq!(scene.names(), [""; 0]);
    drop(stream);
    scene.leave().await;
}

async fn nobody_hears_what_is_there_before_a_key_is_proven(server: &Server) {
    let mut scene = Scene::on(server).await;
    let trip = scene.parties.there.path().join(FOLDER);
    fs::create_dir(&trip).unwrap();
    fs::write(trip.join("photo.jpg"), "mine").unwrap();
    // It is not refused.
    let (stream, mut receiving) = scene.impose("photo.jpg", 3).await;
    drop(stream);
    failed(&mut receiving).await;
    scene.leave().await;
}

async fn a_file_goes_on_until_a_key_is_proven(server: &Server) {
    let mut scene = Scene::on(server).await;
    let path = scene.parties.here.path().join("film");
    File::create(&path).unwrap().set_len(LONG).unwrap();
    let sending = scene.parties.send(&path).await;
    let mut receiving = scene.parties.offered().await;
    receiving.accept(scene.parties.destination()).await.unwrap();
    while !matches!(next(&mut receiving).await, Step::Started { .. }) {}
    // The same by another name of the same account.
    let (stream, _) = scene.impose_in(Vec::new(), "film", LONG).await;
    let came = receiving.progress().bytes();
    while receiving.progress().bytes() == came {
        next(&mut receiving).await;
    }
    drop(stream);
    patiently("it is given up", sending.give_up()).await;
    scene.leave().await;
}

async fn next(transfer: &mut FileTransfer) -> Step {
    let step = patiently("it goes on", transfer.next()).await;
    let step = step.unwrap();
    assert!(!matches!(step, Step::Ended(_)), "{step:?}");
    step
}

/// Alice, Fernand, and somebody with Alice's password and without her key.
struct Scene {
    parties: Parties,
    impostor: Outsider,
    fernand: FullJid,
}

impl Scene {
    async fn on(server: &Server) -> Self {
        let account = server.fresh_account("alice").await.unwrap();
        let alice = Person::with(credentials(server, &account)).await.unwrap();
        let mut fernand = Person::taking_files(server, "fernand").await;
        let there = fernand.online().await;
        let (alice, fernand) = befriended(alice, fernand).await;
        let features = [ns::SI, ns::IBB, ns::KIND, ns::FILE_TRANSFER];
        Self {
            impostor: Outsider::logged_in(server, &account, &features).await,
            fernand: there,
            parties: Parties::of(alice, fernand),
        }
    }

    /// Offers a file in a folder of its own as Alice would, up to the point where the key has to be proven.
    async fn impose(&mut self, name: &str, size: u64) -> (Bytestream, FileTransfer) {
        self.impose_in(vec![FOLDER.to_owned()], name, size).await
    }

    async fn impose_in(
        &mut self,
        folder: Vec<String>,
        name: &str,
        size: u64,
    ) -> (Bytestream, FileTransfer) {
        let alice = TrustStore::open(Path::new(KEYS), &self.parties.alice.jid).unwrap();
        let key = alice.identity().public();
        let secure = format!("<secure xmlns='{}' key='{key}'/>", ns::KIND);
        let extensions: Vec<Element> = vec![
            Contents::within(folder).unwrap().into(),
            secure.parse().unwrap(),
        ];
        let offer = FileOffer::new(name, size).unwrap();
        let offering = self
            .impostor
            .open_for(&self.fernand, offer.into(), extensions, "imposed");
        let accepting = async {
            let received = self.parties.offered().await;
            received.accept(self.parties.destination()).await.unwrap();
            received
        };
        let (stream, received) = tokio::join!(offering, accepting);
        (stream.unwrap(), received)
    }

    /// What there is in Fernand's folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.parties.there.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    async fn leave(self) {
        self.impostor.leave().await;
        self.parties.leave().await;
    }
}

const FOLDER: &str = "trip";

/// Longer than anybody waits here.
const LONG: u64 = 1 << 30;
