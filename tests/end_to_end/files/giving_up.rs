//! Files that are given up in the middle, and sent again.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;
use tubes::{FailureKind, FileTransfer, Step};
use tubes_server::Server;
use tubes_testkit::{Flow, Heading, Link};

use super::{Content, Parties, delivered, ended, failed, is_given_up};
use crate::stage::{Meddling, Person, Tap, befriended, digest, patiently, transport};

crate::on_each_server_and_transport!(
    a_file_that_is_there_is_received_though_it_is_given_up_then,
    a_sender_that_gives_up_is_heard,
    a_receiver_that_gives_up_is_heard,
);

mod in_band {
    use super::{
        a_file_is_gone_on_with, a_part_of_something_else_is_thrown_away,
        a_receiver_that_leaves_is_noticed,
    };

    crate::on_each_server!(
        a_file_is_gone_on_with,
        a_part_of_something_else_is_thrown_away,
        a_receiver_that_leaves_is_noticed,
    );
}

/// Fernand has it, and does not get to say so.
async fn a_file_that_is_there_is_received_though_it_is_given_up_then(server: &Server) {
    let tap = Tap::default();
    tap.meddle(Meddling::Silence(FILM / 2));
    let (alice, fernand) = tokio::join!(
        Person::on(server, "alice"),
        Person::taking_files_by(server, "fernand", tap.on(transport())),
    );
    let (alice, fernand) = befriended(alice, fernand).await;
    let mut parties = Parties::of(alice, fernand);
    let film = Content::of(8, FILM);
    let path = parties.write("film", &film);
    let (mut sending, mut receiving) = again(&mut parties, &path).await;
    let place = parties.there.path().join("film");
    let arriving = async {
        while !place.exists() {
            sleep(GLANCE).await;
        }
    };
    patiently("it is in its place", arriving).await;
    patiently("it is given up", receiving.give_up()).await;
    let outcome = patiently("it has ended", receiving.outcome()).await;
    assert_eq!(delivered(outcome).path, Some(place));
    // Of Alice nobody can say so.
    failed(&mut sending).await;
    arrived(parties, &film).await;
}

async fn a_sender_that_gives_up_is_heard(server: &Server) {
    let (parties, sending, mut receiving) = flowing(server).await;
    patiently("it is given up", sending.give_up()).await;
    let failure = failed(&mut receiving).await;
    assert_eq!(failure.kind, FailureKind::Closed, "{failure}");
    assert!(
        failure.message.contains("has given the file up"),
        "{failure}"
    );
    parties.leave().await;
}

async fn a_receiver_that_gives_up_is_heard(server: &Server) {
    let (parties, mut sending, receiving) = flowing(server).await;
    patiently("it is given up", receiving.give_up()).await;
    let failure = failed(&mut sending).await;
    assert_eq!(failure.kind, FailureKind::Closed, "{failure}");
    assert!(
        failure.message.contains("has stopped receiving"),
        "{failure}"
    );
    parties.leave().await;
}

async fn a_receiver_that_leaves_is_noticed(server: &Server) {
    let (parties, mut sending, _) = flowing(server).await;
    let Parties { alice, fernand, .. } = parties;
    fernand.leave().await;
    let failure = failed(&mut sending).await;
    assert!(
        matches!(failure.kind, FailureKind::Closed | FailureKind::Gone),
        "{failure}"
    );
    alice.leave().await;
}

async fn a_file_is_gone_on_with(server: &Server) {
    let (mut parties, _link, path, film) = cut(server).await;
    let (sending, receiving) = again(&mut parties, &path).await;
    let outcome = goes_on(sending, receiving).await;
    assert!(outcome > 0);
    arrived(parties, &film).await;
}

async fn a_part_of_something_else_is_thrown_away(server: &Server) {
    let (mut parties, _link, path, film) = cut(server).await;
    let part = only_entry(&parties);
    let part = OpenOptions::new().write(true).open(part).unwrap();
    part.write_all_at(b"something else", 100).unwrap();
    let (mut sending, mut first) = again(&mut parties, &path).await;
    // It is found out in the end, and begun again.
    let failure = failed(&mut first).await;
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure}");
    let second = parties.offered().await;
    second.accept(parties.destination()).await.unwrap();
    assert!(started(&mut sending).await > 0);
    assert_eq!(goes_on(sending, second).await, 0);
    arrived(parties, &film).await;
}

/// A file of which a part came before it was given up, and the link that Alice is online by.
async fn cut(server: &Server) -> (Parties, Link, PathBuf, Vec<u8>) {
    let (mut parties, link) = Parties::linked(server).await;
    // Or it might all be there before it is given up.
    link.set_flow(Heading::ToServer, Flow::Throttled(SLOW));
    let film = Content::of(7, FILM);
    let path = parties.write("film", &film);
    let (mut sending, mut receiving) = again(&mut parties, &path).await;
    // What is gathered is written before it is given up.
    while receiving.progress().bytes() == 0 {
        patiently("something comes", receiving.next())
            .await
            .unwrap();
    }
    patiently("it is given up", sending.give_up()).await;
    link.set_flow(Heading::ToServer, Flow::Free);
    assert!(is_given_up(&mut sending).await);
    failed(&mut receiving).await;
    assert!(fs::metadata(only_entry(&parties)).unwrap().len() < FILM as u64);
    (parties, link, path, film)
}

/// Alice sends the file, and Fernand takes it.
async fn again(parties: &mut Parties, path: &std::path::Path) -> (FileTransfer, FileTransfer) {
    let sending = parties.send(path).await;
    let receiving = parties.offered().await;
    receiving.accept(parties.destination()).await.unwrap();
    (sending, receiving)
}

/// It goes on to the end; how much was there.
async fn goes_on(mut sending: FileTransfer, receiving: FileTransfer) -> u64 {
    let offset = started(&mut sending).await;
    for outcome in ended(sending, receiving).await {
        delivered(outcome);
    }
    offset
}

async fn started(transfer: &mut FileTransfer) -> u64 {
    loop {
        let step = patiently("it begins to flow", transfer.next()).await;
        if let Step::Started { offset, .. } = step.unwrap() {
            return offset;
        }
    }
}

async fn arrived(parties: Parties, film: &[u8]) {
    let arrived = fs::read(only_entry(&parties)).unwrap();
    assert_eq!(digest(&arrived), digest(film));
    parties.leave().await;
}

fn only_entry(parties: &Parties) -> PathBuf {
    let entries: Vec<_> = fs::read_dir(parties.there.path()).unwrap().collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.into_iter().next().unwrap().unwrap().path()
}

/// A file that is on its way, and long from its end.
async fn flowing(server: &Server) -> (Parties, FileTransfer, FileTransfer) {
    let mut parties = Parties::on(server).await;
    let path = parties.here.path().join("film");
    let film = fs::File::create(&path).unwrap();
    film.set_len(LONG).unwrap();
    let (sending, mut receiving) = again(&mut parties, &path).await;
    started(&mut receiving).await;
    (parties, sending, receiving)
}

/// In-band that takes a moment, and no more.
const FILM: usize = 6 * 1024 * 1024;

/// Bytes a second of Alice's, which leaves seconds.
const SLOW: usize = 512 << 10;

/// How often it is looked whether a file is there.
const GLANCE: Duration = Duration::from_millis(20);

/// Longer than anybody waits here.
const LONG: u64 = 1 << 30;
