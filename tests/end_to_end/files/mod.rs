//! Files between two of our own kind.

mod carrying;
mod deciding;
mod forging;
mod giving_up;
mod offering;
mod proving;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tubes::{Delivered, Destination, Direction, Event, Failure, FileTransfer, Outcome, SendFile};
use tubes_server::Server;
use tubes_testkit::Link;

use crate::stage::{Content, Person, befriended, patiently};

/// Alice, who has files, and Fernand, who has a folder for them.
struct Parties {
    alice: Person,
    fernand: Person,
    /// Where Alice's files are.
    here: TempDir,
    /// Where Fernand's are to be.
    there: TempDir,
}

impl Parties {
    async fn on(server: &Server) -> Self {
        let (alice, fernand) = tokio::join!(
            Person::on(server, "alice"),
            Person::taking_files(server, "fernand"),
        );
        let (alice, fernand) = befriended(alice, fernand).await;
        Self::of(alice, fernand)
    }

    /// With a link before Alice.
    async fn linked(server: &Server) -> (Self, Link) {
        let ((alice, link), fernand) = tokio::join!(
            Person::linked(server, "alice", |account| account),
            Person::taking_files(server, "fernand"),
        );
        let (alice, fernand) = befriended(alice, fernand).await;
        (Self::of(alice, fernand), link)
    }

    fn of(alice: Person, fernand: Person) -> Self {
        Self {
            alice,
            fernand,
            here: tempfile::tempdir().unwrap(),
            there: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file of Alice's.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.here.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Alice sends a file of hers.
    async fn send(&self, path: &Path) -> FileTransfer {
        let file = SendFile::new(self.fernand.jid.clone(), path);
        self.alice.tubes.send_file(file).await.unwrap()
    }

    /// A file is offered to Fernand.
    async fn offered(&mut self) -> FileTransfer {
        let offered = self.fernand.event(|event| match event {
            Event::FileOffered {
                file,
                direction: Direction::In,
                ..
            } => Some(*file),
            _ => None,
        });
        let file = offered.await;
        self.fernand.tubes.file(file).unwrap()
    }

    fn destination(&self) -> Destination {
        Destination::open(self.there.path()).unwrap()
    }

    async fn leave(self) {
        self.fernand.leave().await;
        self.alice.leave().await;
    }
}

/// How a file ended for both.
async fn ended(mut sent: FileTransfer, mut received: FileTransfer) -> [Outcome; 2] {
    let both = async { tokio::join!(sent.outcome(), received.outcome()) };
    patiently("both have ended", both).await.into()
}

/// What came of a file that was sent.
fn delivered(outcome: Outcome) -> Delivered {
    match outcome {
        Outcome::Done(delivered) => delivered,
        other => panic!("{other:?}"),
    }
}

/// Why a file is not sent.
async fn failed(transfer: &mut FileTransfer) -> Failure {
    match patiently("it has failed", transfer.outcome()).await {
        Outcome::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// This side has given it up.
async fn is_given_up(transfer: &mut FileTransfer) -> bool {
    patiently("it has ended", transfer.outcome()).await == Outcome::GivenUp
}
