//! Files that are sent and received.

use std::fs;

use tubes::{BareJid, Tubes};
use tubes_server::Server;

use crate::stage::{Person, befriended, patiently};

// The example as it is, so that it cannot promise what does not work.
#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../../../examples/files.rs"]
mod example;

crate::on_each_server!(
    a_folder_that_one_sends_is_there_when_the_other_receives,
    what_somebody_else_sends_is_declined,
);

async fn a_folder_that_one_sends_is_there_when_the_other_receives(server: &Server) {
    let arrived = arrived(server, |alice| alice.clone()).await;
    assert_eq!(arrived, ["photo.jpg"]);
}

async fn what_somebody_else_sends_is_declined(server: &Server) {
    let arrived = arrived(server, |_| "carol@example.org".parse().unwrap()).await;
    assert!(arrived.is_empty(), "{arrived:?}");
}

/// What Fernand has of a folder that Alice sent, if he receives the files of whom he likes.
async fn arrived(server: &Server, liked: impl Fn(&BareJid) -> BareJid) -> Vec<String> {
    let (alice, fernand) = befriended(
        Person::on(server, "alice").await,
        Person::taking_files(server, "fernand").await,
    )
    .await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = here.path().join("trip");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("photo.jpg"), "cheese").unwrap();
    let liked = liked(&alice.jid);
    let mut events = fernand.tubes.events();
    let receiving = example::receive(&fernand.tubes, &mut events, &liked, there.path());
    let sending = example::send(&alice.tubes, &fernand.jid, &folder);
    let sent = async {
        tokio::select! {
            ended = receiving => panic!("{ended:?}"),
            sent = sending => sent.unwrap(),
        }
    };
    patiently("it is sent", sent).await;
    gone(&fernand.tubes).await;
    let names = fs::read_dir(there.path().join("trip"));
    let names = names.into_iter().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let names = names.map(|entry| name(entry.unwrap())).collect();
    fernand.leave().await;
    alice.leave().await;
    names
}

/// Waits until no file is on its way.
async fn gone(tubes: &Tubes) {
    let (mut state, mut events) = tubes.watch();
    let emptied = async {
        while !state.files.is_empty() {
            state.handle(&events.next().await.unwrap());
        }
    };
    patiently("it is gone", emptied).await;
}
