//! What is said of a file before anybody has it, and to whom.

use tubes::{Encryption, FailureKind, FileTransfer, SendFile, Tubes};
use tubes_protocol::ns;
use tubes_server::Server;

use super::failed;
use crate::stage::{Outsider, Person, credentials, transport};

crate::on_each_server!(
    our_own_kind_is_offered_no_sum,
    others_are_offered_a_sum_where_that_is_allowed,
    who_does_not_encrypt_is_not_even_offered_a_file,
);

async fn our_own_kind_is_offered_no_sum(server: &Server) {
    for encryption in [Encryption::Required, Encryption::Off] {
        let (alice, mut fernand, _sending) = sending(server, encryption, &OURS).await;
        let offer = fernand.asked_for("si").await;
        let said = String::from(&offer);
        assert!(said.contains(NAME), "{said}");
        assert!(!said.contains("hash"), "{said}");
        fernand.leave().await;
        alice.leave().await;
    }
}

async fn others_are_offered_a_sum_where_that_is_allowed(server: &Server) {
    let (alice, mut fernand, _sending) = sending(server, Encryption::Preferred, &OTHERS).await;
    let offer = fernand.asked_for("si").await;
    let file = offer.get_child("file", ns::FILE_TRANSFER).unwrap();
    assert!(file.attr("hash").is_some(), "{file:?}");
    fernand.leave().await;
    alice.leave().await;
}

async fn who_does_not_encrypt_is_not_even_offered_a_file(server: &Server) {
    let (alice, mut fernand, mut sending) = sending(server, Encryption::Required, &OTHERS).await;
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Untrusted, "{failure}");
    let asked = fernand.asked_so_far();
    assert!(!asked.contains(&"si".to_owned()), "{asked:?}");
    fernand.leave().await;
    alice.leave().await;
}

/// Alice sends a file to somebody who does this.
async fn sending(
    server: &Server,
    encryption: Encryption,
    features: &[&str],
) -> (Person, Outsider, FileTransfer) {
    let account = server.fresh_account("alice").await.unwrap();
    let builder = Tubes::builder(credentials(server, &account))
        .transports([transport()])
        .encryption(encryption);
    let alice = Person::built(account.jid, builder).await.unwrap();
    let fernand = Outsider::that_does(server, "fernand", features).await;
    alice.tubes.befriend(&fernand.jid).await;
    fernand.befriend(&alice.jid).await;
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join(NAME);
    std::fs::write(&path, "a").unwrap();
    let file = SendFile::new(fernand.jid.clone(), path);
    let sending = alice.tubes.send_file(file).await.unwrap();
    (alice, fernand, sending)
}

const NAME: &str = "photo.jpg";

/// What another Tubes says that it does.
const OURS: [&str; 4] = [ns::SI, ns::IBB, ns::KIND, ns::FILE_TRANSFER];

/// What others say that they do.
const OTHERS: [&str; 3] = [ns::SI, ns::IBB, ns::FILE_TRANSFER];
