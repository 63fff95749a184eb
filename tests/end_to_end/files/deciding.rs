//! Who may send what to whom.

use tubes::{Event, FailureKind, FileTransfer, FullJid, Limit, Limits, SendFile, Tubes};
use tubes_server::Server;

use super::{Parties, delivered, ended, failed, is_given_up};
use crate::stage::{Person, befriended, credentials, patiently, transport};

crate::on_each_server!(
    a_file_that_nobody_wants_is_declined,
    a_file_that_is_given_up_before_it_was_accepted_is_gone,
    a_file_of_somebody_who_left_is_gone,
    a_strangers_file_is_declined,
    who_takes_no_files_is_sent_none,
    too_many_files_of_one_contact_are_refused,
    a_file_waits_for_somebody_who_takes_it,
    a_file_for_which_there_is_no_room_is_refused,
);

async fn a_file_that_nobody_wants_is_declined(server: &Server) {
    let mut parties = Parties::on(server).await;
    let path = parties.write("a", b"a");
    let mut sending = parties.send(&path).await;
    let mut receiving = parties.offered().await;
    patiently("it is declined", receiving.give_up()).await;
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Declined);
    assert!(is_given_up(&mut receiving).await);
    parties.leave().await;
}

async fn a_file_that_is_given_up_before_it_was_accepted_is_gone(server: &Server) {
    let mut parties = Parties::on(server).await;
    let path = parties.write("a", b"a");
    let mut sending = parties.send(&path).await;
    let mut receiving = parties.offered().await;
    patiently("it is given up", sending.give_up()).await;
    assert!(is_given_up(&mut sending).await);
    let failure = failed(&mut receiving).await;
    assert_eq!(failure.kind, FailureKind::Closed);
    let accepting = receiving.accept(parties.destination()).await;
    assert_eq!(accepting, Err(tubes::AcceptFileError::Gone));
    parties.leave().await;
}

async fn a_file_of_somebody_who_left_is_gone(server: &Server) {
    let mut parties = Parties::on(server).await;
    let path = parties.write("a", b"a");
    let sending = parties.send(&path).await;
    let mut receiving = parties.offered().await;
    drop(sending);
    let Parties { alice, fernand, .. } = parties;
    alice.leave().await;
    let failure = failed(&mut receiving).await;
    // Told by her, or by her server.
    assert!(matches!(
        failure.kind,
        FailureKind::Closed | FailureKind::Gone
    ));
    fernand.leave().await;
}

async fn a_strangers_file_is_declined(server: &Server) {
    let (alice, mut fernand) = tokio::join!(
        Person::on(server, "alice"),
        Person::taking_files(server, "fernand"),
    );
    let there = fernand.online().await;
    let mut sending = send(&alice, there).await;
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Declined);
    assert!(fernand.tubes.state().files.is_empty());
    fernand.leave().await;
    alice.leave().await;
}

async fn who_takes_no_files_is_sent_none(server: &Server) {
    let (alice, fernand) = tokio::join!(Person::on(server, "alice"), Person::on(server, "fernand"));
    let (alice, mut fernand) = befriended(alice, fernand).await;
    let there = fernand.online().await;
    let mut sending = send(&alice, there).await;
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("takes no files"), "{failure}");
    fernand.leave().await;
    alice.leave().await;
}

async fn too_many_files_of_one_contact_are_refused(server: &Server) {
    let account = server.fresh_account("fernand").await.unwrap();
    let builder = Tubes::builder(credentials(server, &account))
        .transports([transport()])
        .limits(Limits::new().with_files_per_contact(1))
        .receive_files();
    let fernand = Person::built(account.jid, builder).await.unwrap();
    let alice = Person::on(server, "alice").await;
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut parties = Parties::of(alice, fernand);
    let path = parties.write("a", b"a");
    let first = parties.send(&path).await;
    let receiving = parties.offered().await;
    let mut second = parties.send(&path).await;
    let failure = failed(&mut second).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("too many files"), "{failure}");
    let limit = parties.fernand.event(|event| match event {
        Event::LimitReached { limit, .. } => Some(*limit),
        _ => None,
    });
    assert_eq!(limit.await, Limit::FilesPerContact);
    receiving.accept(parties.destination()).await.unwrap();
    drop(ended(first, receiving).await.map(delivered));
    // And then there is room again.
    let third = parties.send(&path).await;
    let receiving = parties.offered().await;
    receiving.accept(parties.destination()).await.unwrap();
    drop(ended(third, receiving).await.map(delivered));
    parties.leave().await;
}

async fn a_file_waits_for_somebody_who_takes_it(server: &Server) {
    let (alice, fernand) = tokio::join!(Person::on(server, "alice"), Person::on(server, "fernand"));
    let (mut alice, fernand) = befriended(alice, fernand).await;
    // A program of his that takes none is there.
    let there = fernand.jid.clone();
    let seen = alice.event(|event| match event {
        Event::PeerOnline { peer } if peer.to_bare() == there => Some(()),
        _ => None,
    });
    seen.await;
    let parties = Parties::of(alice, fernand);
    let path = parties.write("a", b"a");
    let mut sending = parties.send(&path).await;
    assert!(parties.fernand.tubes.state().files.is_empty());
    patiently("it is given up", sending.give_up()).await;
    assert!(is_given_up(&mut sending).await);
    parties.leave().await;
}

async fn a_file_for_which_there_is_no_room_is_refused(server: &Server) {
    let mut parties = Parties::on(server).await;
    let path = parties.here.path().join("film");
    let free = parties.destination().free().unwrap().unwrap();
    let film = std::fs::File::create(&path).unwrap();
    // Far more than anything else here makes free meanwhile.
    film.set_len(free + (1 << 42)).unwrap();
    let mut sending = parties.send(&path).await;
    let mut receiving = parties.offered().await;
    receiving.accept(parties.destination()).await.unwrap();
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("has no room"), "{failure}");
    let failure = failed(&mut receiving).await;
    assert!(failure.message.contains("no room for"), "{failure}");
    parties.leave().await;
}

/// Sends a file to one resource, which needs nobody's presence.
async fn send(alice: &Person, there: FullJid) -> FileTransfer {
    let sending = alice.tubes.send_file(SendFile::new(there, file!()));
    sending.await.unwrap()
}
