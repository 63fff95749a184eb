//! Whose keys are trusted, and what becomes of connections with others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::tempdir;
use tokio::time::sleep;
use tubes::secure::{Judgement, PublicKey, Standing, TrustStore};
use tubes::{
    Access, BareJid, Decision, Encryption, Event, Failure, FailureKind, Protection, Tubes,
};
use tubes_server::{Account, Server};

use crate::stage::{
    Family, KEYS, Person, Service, Serving, credentials, echo, exchange, patiently, transport,
};

crate::on_each_server_and_transport!(
    a_device_is_trusted_from_the_first_meeting_on,
    a_new_key_is_refused_until_it_is_accepted,
    a_device_that_was_revoked_stays_out,
    what_once_was_encrypted_is_not_silently_plain,
    who_does_not_encrypt_is_refused_where_that_is_required,
);

/// The embedded server publishes nothing.
mod published {
    use super::{
        all_devices_of_an_account_are_published, keys_are_compared_before_the_first_meeting,
    };

    crate::on_server!(prosody, Prosody:
        all_devices_of_an_account_are_published, keys_are_compared_before_the_first_meeting);
    crate::on_server!(ejabberd, Ejabberd:
        all_devices_of_an_account_are_published, keys_are_compared_before_the_first_meeting);
}

async fn keys_are_compared_before_the_first_meeting(server: &Server) {
    let mut scene = Scene::set(server, Encryption::Required).await;
    let (store, jid) = (scene.alices_keys(), scene.of_fernand.jid.clone());
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Required).await;
    until_published(&store, &jid, &[Path::new(KEYS)]).await;
    let devices = store.contacts().unwrap();
    assert_eq!(devices.devices(&jid)[0].standing, Standing::Published);
    store.verify(&jid, "").unwrap();
    scene.works(&mut fernand).await;
    let Protection::Encrypted { judgement, .. } = protection(&mut scene.alice).await else {
        panic!("it is plain");
    };
    assert_eq!(judgement, Judgement::Known(Standing::Verified));
    fernand.leave().await;
    scene.leave().await;
}

/// Also if they come at the same time, and overwrite each other's lists.
async fn all_devices_of_an_account_are_published(server: &Server) {
    let scene = Scene::set(server, Encryption::Required).await;
    let folders = [tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap()];
    let [one, two, three] = folders.each_ref().map(tempfile::TempDir::path);
    let devices = tokio::join!(
        scene.fernand(one, Encryption::Required),
        scene.fernand(two, Encryption::Required),
        scene.fernand(three, Encryption::Required),
    );
    let jid = scene.of_fernand.jid.clone();
    until_published(&scene.alices_keys(), &jid, &[one, two, three]).await;
    tokio::join!(devices.0.leave(), devices.1.leave(), devices.2.leave());
    scene.leave().await;
}

/// Waits until a store has heard of the devices that have their keys in these folders.
async fn until_published(store: &TrustStore, contact: &BareJid, folders: &[&Path]) {
    let expected: BTreeSet<_> = folders
        .iter()
        .map(|folder| TrustStore::open(folder, contact).unwrap())
        .map(|store| store.identity().public())
        .collect();
    let publishing = async {
        loop {
            let contacts = store.contacts().unwrap();
            let devices = contacts.devices(contact).iter();
            if devices.map(|device| device.key).collect::<BTreeSet<_>>() == expected {
                return;
            }
            sleep(GLANCE).await;
        }
    };
    patiently("the devices are published", publishing).await;
}

async fn a_device_is_trusted_from_the_first_meeting_on(server: &Server) {
    let mut scene = Scene::set(server, Encryption::Required).await;
    for judgement in [Judgement::First, Judgement::Known(Standing::Pinned)] {
        let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Required).await;
        scene.works(&mut fernand).await;
        for person in [&mut scene.alice, &mut fernand] {
            let Protection::Encrypted { judgement: of, .. } = protection(person).await else {
                panic!("it is plain");
            };
            assert_eq!(of, judgement);
        }
        fernand.leave().await;
    }
    scene.leave().await;
}

async fn a_new_key_is_refused_until_it_is_accepted(server: &Server) {
    let mut scene = Scene::set(server, Encryption::Required).await;
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Required).await;
    scene.works(&mut fernand).await;
    fernand.leave().await;

    let elsewhere = tempdir().unwrap();
    let mut fernand = scene.fernand(elsewhere.path(), Encryption::Required).await;
    let failure = scene.fails(&mut fernand).await;
    assert_eq!(failure.kind, FailureKind::Untrusted);
    let (key, decision) = decided(&mut scene.alice).await;
    assert!(matches!(decision, Decision::Refused(_)), "{decision:?}");
    let store = scene.alices_keys();
    let key = PublicKey::of_fingerprint(&key.unwrap()).unwrap();
    let accepted = store.accept(&scene.of_fernand.jid, key).unwrap();
    assert_eq!(accepted.standing, Standing::Pinned);
    scene.works(&mut fernand).await;
    fernand.leave().await;
    scene.leave().await;
}

async fn a_device_that_was_revoked_stays_out(server: &Server) {
    let mut scene = Scene::set(server, Encryption::Required).await;
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Required).await;
    scene.works(&mut fernand).await;
    let store = scene.alices_keys();
    store.revoke(&scene.of_fernand.jid, "").unwrap();
    let failure = scene.fails(&mut fernand).await;
    assert_eq!(failure.kind, FailureKind::Untrusted);
    fernand.leave().await;
    scene.leave().await;
}

async fn what_once_was_encrypted_is_not_silently_plain(server: &Server) {
    let mut scene = Scene::set(server, Encryption::Preferred).await;
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Required).await;
    scene.works(&mut fernand).await;
    fernand.leave().await;
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Off).await;
    let failure = scene.fails(&mut fernand).await;
    assert_eq!(failure.kind, FailureKind::Untrusted);
    fernand.leave().await;
    scene.leave().await;

    // With somebody who never could it is allowed, and said.
    let mut scene = Scene::set(server, Encryption::Preferred).await;
    let mut fernand = scene.fernand(Path::new(KEYS), Encryption::Off).await;
    scene.works(&mut fernand).await;
    assert_eq!(decided(&mut scene.alice).await, (None, Decision::Plain));
    assert_eq!(protection(&mut scene.alice).await, Protection::Plain);
    fernand.leave().await;
    scene.leave().await;
}

async fn who_does_not_encrypt_is_refused_where_that_is_required(server: &Server) {
    for (hers, his) in [
        (Encryption::Required, Encryption::Off),
        (Encryption::Off, Encryption::Required),
    ] {
        let mut scene = Scene::set(server, hers).await;
        let mut fernand = scene.fernand(Path::new(KEYS), his).await;
        let failure = scene.fails(&mut fernand).await;
        assert_eq!(failure.kind, FailureKind::Untrusted, "{failure}");
        fernand.leave().await;
        scene.leave().await;
    }
}

/// Alice, who shares an echo with Fernand, whoever that is at the moment.
struct Scene<'a> {
    server: &'a Server,
    alice: Person,
    of_fernand: Account,
    service: Serving,
}

impl<'a> Scene<'a> {
    async fn set(server: &'a Server, encryption: Encryption) -> Self {
        let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
        let of_alice = server.fresh_account("alice").await.unwrap();
        let of_fernand = server.fresh_account("fernand").await.unwrap();
        let builder = Tubes::builder(credentials(server, &of_alice))
            .transports([transport()])
            .encryption(encryption);
        let alice = Person::built(of_alice.jid, builder).await.unwrap();
        alice.tubes.befriend(&of_fernand.jid).await;
        Self {
            server,
            alice,
            of_fernand,
            service,
        }
    }

    /// Fernand logs in with the keys of this folder, and is offered the service.
    async fn fernand(&self, keys: &Path, encryption: Encryption) -> Person {
        let builder = Tubes::builder(credentials(self.server, &self.of_fernand))
            .transports([transport()])
            .encryption(encryption);
        let jid = self.of_fernand.jid.clone();
        let fernand = Person::with_keys(jid, builder, keys).await.unwrap();
        fernand.tubes.befriend(&self.alice.jid).await;
        let jid = self.of_fernand.jid.clone();
        let offer = tubes::Offer::new(jid, "x-test", self.service.address.clone());
        self.alice.tubes.offer(offer).await.unwrap();
        fernand
    }

    /// A connection of a program of Fernand's does what it has to.
    async fn works(&self, fernand: &mut Person) {
        let address = accepted(fernand).await;
        let exchanging = exchange(&address);
        patiently("the exchange is done", exchanging).await.unwrap();
        assert_eq!(fernand.connection_closed().await.2, None);
    }

    /// It does not; why, in the words of his side.
    async fn fails(&mut self, fernand: &mut Person) -> Failure {
        let address = accepted(fernand).await;
        let exchanging = exchange(&address);
        let failed = patiently("the program is told", exchanging).await;
        failed.unwrap_err();
        let (.., error) = fernand.connection_closed().await;
        error.unwrap()
    }

    fn alices_keys(&self) -> TrustStore {
        TrustStore::open(&PathBuf::from(KEYS), &self.alice.jid).unwrap()
    }

    async fn leave(self) {
        self.alice.leave().await;
    }
}

/// Fernand's address for the tube, which he may have accepted before.
async fn accepted(fernand: &mut Person) -> tubes::Address {
    let state = fernand.tubes.watch().0;
    let known = state.tubes.values().find_map(|tube| tube.address.clone());
    if let Some(address) = known {
        return address;
    }
    let tube = fernand.offered().await;
    let any = "tcp:127.0.0.1:0".parse().unwrap();
    let accepting = fernand.tubes.accept(tube, any, Access::Localhost);
    patiently("the tube is accepted", accepting).await.unwrap()
}

async fn protection(person: &mut Person) -> Protection {
    let opened = person.event(|event| match event {
        Event::ConnectionOpened { protection, .. } => Some(protection.clone()),
        _ => None,
    });
    opened.await
}

/// What was decided last, and on which key.
async fn decided(person: &mut Person) -> (Option<String>, Decision) {
    let decided = person.event(|event| match event {
        Event::TrustDecided {
            decision: Decision::Pinned,
            ..
        } => None,
        Event::TrustDecided { key, decision, .. } => {
            Some((key.as_ref().map(ToString::to_string), decision.clone()))
        }
        _ => None,
    });
    decided.await
}

/// How often a file is looked at that another task writes.
const GLANCE: Duration = Duration::from_millis(50);
