//! A file, and every way in which the other side may behave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod busy;
mod others;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256 as Sum};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tubes_courier::{
    Certainty, Counter, Dialect, Errand, Existing, ReceiveError, Received, SendError, Sent,
    Settled, Wanted, compare, receive, send,
};
use tubes_files::{Algorithm, Destination, Offered, Partial, SafeName, Source, Stop, Version};
use tubes_protocol::file::{Range, Reason, Sha256};
use tubes_transport::Bytestream;

/// A folder with a file to send and room for one that comes.
struct Stage {
    folder: TempDir,
    content: Vec<u8>,
}

impl Stage {
    fn with(length: usize) -> Self {
        let content: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("here"), &content).unwrap();
        fs::create_dir(folder.path().join("there")).unwrap();
        Self { folder, content }
    }

    fn source(&self) -> Arc<Source> {
        let path = self.folder.path().join("here");
        Arc::new(Source::open(&path).unwrap())
    }

    fn offered(&self) -> Offered {
        Offered {
            sender: "alice@example.org".to_owned(),
            path: SafeName::of("a").into(),
            size: self.content.len() as u64,
            version: Some(Version::Modified(SystemTime::UNIX_EPOCH)),
            modified: None,
            algorithm: Some(Algorithm::Sha256),
        }
    }

    fn there(&self) -> Destination {
        Destination::open(&self.folder.path().join("there")).unwrap()
    }

    fn partial(&self) -> Partial {
        self.there().begin(&self.offered()).unwrap()
    }

    fn arrived(&self) -> PathBuf {
        self.folder.path().join("there/a")
    }

    fn sum(&self) -> [u8; 32] {
        Sum::digest(&self.content).into()
    }

    fn sum_line(&self) -> String {
        format!("sha-256 {}\n", Sha256(self.sum()))
    }
}

/// One side of a bytestream, and the other in hand.
fn errand(dialect: Dialect) -> (Errand, DuplexStream, Stop) {
    let (own, other) = duplex(4096);
    let stop = Stop::default();
    let errand = Errand {
        stream: Bytestream::new(own, "memory").with_receipt(),
        dialect,
        counter: Counter::default(),
        stop: stop.clone(),
    };
    (errand, other, stop)
}

async fn receives(
    stage: &Stage,
    said: &[u8],
    dialect: Dialect,
    wanted: Wanted,
) -> (Result<Received, ReceiveError>, String) {
    let (errand, mut other, _stop) = errand(dialect);
    let saying = async {
        // Who is refused hears so before it has said everything.
        let _ = other.write_all(said).await;
        let _ = other.shutdown().await;
        let mut heard = String::new();
        let _ = other.read_to_string(&mut heard).await;
        heard
    };
    let receiving = receive(errand, stage.partial(), wanted);
    tokio::join!(to_the_end(receiving), saying)
}

/// Does it, and says farewell.
async fn to_the_end<T, E>(errand: impl Future<Output = Result<Settled<T>, E>>) -> Result<T, E> {
    let Settled { outcome, farewell } = errand.await?;
    if let Some(farewell) = farewell {
        farewell.say().await;
    }
    Ok(outcome)
}

async fn sends(stage: &Stage, range: Range, answer: &str) -> (Result<Sent, SendError>, Vec<u8>) {
    let (errand, mut other, _stop) = errand(Dialect::Ours);
    let hearing = async {
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        other.write_all(answer.as_bytes()).await.unwrap();
        other.shutdown().await.unwrap();
        heard
    };
    let sending = send(errand, stage.source(), range);
    tokio::join!(to_the_end(sending), hearing)
}

#[tokio::test]
async fn a_file_goes_from_one_to_the_other() {
    for length in [0, 1, 300_000] {
        let stage = Stage::with(length);
        let (one, other) = duplex(4096);
        let errand = |stream| Errand {
            stream: Bytestream::new(stream, "memory"),
            dialect: Dialect::Ours,
            counter: Counter::default(),
            stop: Stop::default(),
        };
        let (sent, received) = tokio::join!(
            to_the_end(send(errand(one), stage.source(), Range::default())),
            to_the_end(receive(errand(other), stage.partial(), Wanted::default())),
        );
        let (sent, received) = (sent.unwrap(), received.unwrap());
        assert_eq!(sent.sum, Some(Sha256(stage.sum())));
        assert_eq!(sent.certainty, Certainty::Verified);
        assert_eq!(received.path, stage.arrived());
        assert_eq!(fs::read(stage.arrived()).unwrap(), stage.content);
    }
}

#[tokio::test]
async fn a_sender_is_done_when_the_receiver_says_so() {
    let stage = Stage::with(10_000);
    let (sent, heard) = sends(&stage, Range::default(), "received\n").await;
    assert_eq!(sent.unwrap().certainty, Certainty::Verified);
    let whole = [&stage.content[..], stage.sum_line().as_bytes()].concat();
    assert!(heard == whole);
}

#[tokio::test]
async fn a_part_is_sent_with_the_sum_of_the_whole() {
    let stage = Stage::with(10_000);
    for offset in [1, 9_999, 10_000] {
        let range = Range {
            offset,
            length: None,
        };
        let (sent, heard) = sends(&stage, range, "received\n").await;
        sent.unwrap();
        let rest = &stage.content[offset as usize..];
        assert!(heard == [rest, stage.sum_line().as_bytes()].concat());
    }
}

#[tokio::test]
async fn a_sender_does_not_take_silence_for_a_yes() {
    let stage = Stage::with(10_000);
    for said in ["", "received", "yes\n", "received\nreceived\n"] {
        let (sent, _) = sends(&stage, Range::default(), said).await;
        assert!(matches!(sent, Err(SendError::Unconfirmed)), "{said:?}");
    }
    let (sent, _) = sends(&stage, Range::default(), "failed full\n").await;
    assert!(matches!(sent, Err(SendError::Refused(Reason::Full))));
}

#[tokio::test]
async fn a_sender_hears_in_the_middle_that_it_is_in_vain() {
    let stage = Stage::with(1_000_000);
    let (errand, mut other, _stop) = errand(Dialect::Ours);
    let refusing = async {
        other.write_all(b"failed quota\n").await.unwrap();
        other.shutdown().await.unwrap();
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        heard.len()
    };
    let (sent, heard) = tokio::join!(send(errand, stage.source(), Range::default()), refusing);
    assert!(matches!(sent, Err(SendError::Refused(Reason::Quota))));
    assert!(heard < stage.content.len());
}

#[tokio::test]
async fn a_sender_that_is_stopped_ends_early() {
    let stage = Stage::with(1_000_000);
    let (errand, mut other, stop) = errand(Dialect::Ours);
    let stopping = async {
        let mut first = [0; 100];
        other.read_exact(&mut first).await.unwrap();
        assert!(stop.order());
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.unwrap();
        rest.len()
    };
    let (sent, rest) = tokio::join!(send(errand, stage.source(), Range::default()), stopping);
    assert!(matches!(sent, Err(SendError::Stopped)));
    assert!(rest < stage.content.len() - 100);
}

#[tokio::test]
async fn a_file_that_changes_is_not_sent_to_its_end() {
    let stage = Stage::with(1_000_000);
    let source = stage.source();
    fs::write(source.path(), b"less").unwrap();
    let (errand, mut other, _stop) = errand(Dialect::Ours);
    let hearing = async {
        let mut heard = Vec::new();
        other.read_to_end(&mut heard).await.unwrap();
        heard.len()
    };
    let (sent, heard) = tokio::join!(send(errand, source, Range::default()), hearing);
    assert!(matches!(sent, Err(SendError::Source(_))));
    assert!(heard < stage.content.len());
}

#[tokio::test]
async fn a_receiver_says_that_it_has_everything() {
    let stage = Stage::with(10_000);
    let said = [&stage.content[..], stage.sum_line().as_bytes()].concat();
    let wanted = Wanted {
        sha256: Some(Sha256(stage.sum())),
        md5: None,
    };
    let (received, heard) = receives(&stage, &said, Dialect::Ours, wanted).await;
    assert_eq!(received.unwrap().certainty, Certainty::Verified);
    assert_eq!(heard, "received\n");
}

#[tokio::test]
async fn a_file_is_received_before_the_sender_has_heard_of_it_and_whether_it_does_or_not() {
    let stage = Stage::with(10_000);
    let (errand, mut other, stop) = errand(Dialect::Ours);
    let said = [&stage.content[..], stage.sum_line().as_bytes()].concat();
    let saying = async {
        other.write_all(&said).await.unwrap();
        other.shutdown().await.unwrap();
    };
    let receiving = receive(errand, stage.partial(), Wanted::default());
    let (received, ()) = tokio::join!(receiving, saying);
    let Settled { outcome, farewell } = received.unwrap();
    assert_eq!(outcome.certainty, Certainty::Verified);
    assert_eq!(fs::read(outcome.path).unwrap(), stage.content);
    assert!(!stop.order(), "it is there");
    drop(farewell);
    assert_eq!(last_word(&mut other).await, "");
}

#[tokio::test]
async fn what_comes_with_another_sum_is_thrown_away() {
    let stage = Stage::with(10_000);
    let mut wrong = stage.content.clone();
    wrong[5_000] ^= 1;
    let said = [&wrong[..], stage.sum_line().as_bytes()].concat();
    let (received, heard) = receives(&stage, &said, Dialect::Ours, Wanted::default()).await;
    assert!(matches!(received, Err(ReceiveError::Finish(_))));
    assert_eq!(heard, "failed differs\n");
    assert_eq!(stage.partial().offset(), 0);
    assert!(!stage.arrived().exists());
}

#[tokio::test]
async fn a_sender_that_contradicts_itself_is_not_believed() {
    let stage = Stage::with(10_000);
    let said = [&stage.content[..], stage.sum_line().as_bytes()].concat();
    let wanted = Wanted {
        sha256: Some(Sha256([0; 32])),
        md5: None,
    };
    let (received, heard) = receives(&stage, &said, Dialect::Ours, wanted).await;
    assert!(matches!(received, Err(ReceiveError::Unlike)));
    assert_eq!(heard, "failed changed\n");
    assert!(!stage.arrived().exists());
}

#[tokio::test]
async fn what_ends_early_is_kept_and_no_file() {
    let stage = Stage::with(10_000);
    let whole = [&stage.content[..], stage.sum_line().as_bytes()].concat();
    let mut there = 0;
    for end in [1, 5_000, 9_999, 10_000, 10_001, whole.len() - 1] {
        let said = &whole[there..end];
        let (received, heard) = receives(&stage, said, Dialect::Ours, Wanted::default()).await;
        assert!(matches!(received, Err(ReceiveError::CutShort)), "{end}");
        assert_eq!(heard, "");
        assert!(!stage.arrived().exists());
        there = end.min(stage.content.len());
        assert_eq!(stage.partial().offset(), there as u64);
    }
    let said = &whole[there..];
    let (received, _) = receives(&stage, said, Dialect::Ours, Wanted::default()).await;
    assert_eq!(fs::read(received.unwrap().path).unwrap(), stage.content);
}

#[tokio::test]
async fn a_file_that_is_there_is_compared() {
    let stage = Stage::with(10_000);
    for (content, verdict) in [
        (&stage.content[..], "received\n"),
        (&[0; 10_000], "failed exists\n"),
    ] {
        fs::write(stage.arrived(), content).unwrap();
        let (errand, mut other, _stop) = errand(Dialect::Ours);
        let existing = Existing {
            there: Arc::new(stage.there()),
            path: SafeName::of("a").into(),
            whole: stage.arrived(),
            size: 10_000,
        };
        let asking = async {
            other.write_all(stage.sum_line().as_bytes()).await.unwrap();
            other.shutdown().await.unwrap();
            let mut heard = String::new();
            other.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let comparing = to_the_end(compare(errand, existing, Arc::default()));
        let (compared, heard) = tokio::join!(comparing, asking);
        assert_eq!(heard, verdict);
        assert_eq!(compared.is_ok(), verdict == "received\n");
        assert_eq!(fs::read(stage.arrived()).unwrap(), content);
    }
}

#[tokio::test]
async fn files_of_one_contact_are_compared_in_turn_and_that_can_be_given_up() {
    let stage = Stage::with(10_000);
    fs::write(stage.arrived(), &stage.content).unwrap();
    let turn = Arc::new(Mutex::new(()));
    let another = turn.lock().await;
    let compare = |errand| {
        let existing = Existing {
            there: Arc::new(stage.there()),
            path: SafeName::of("a").into(),
            whole: stage.arrived(),
            size: 10_000,
        };
        Box::pin(to_the_end(compare(errand, existing, Arc::clone(&turn))))
    };
    let (one, mut asking, stop) = errand(Dialect::Ours);
    let mut given_up = compare(one);
    let (two, mut patient, _stop) = errand(Dialect::Ours);
    let mut waiting = compare(two);
    for asking in [&mut asking, &mut patient] {
        let sum = stage.sum_line();
        asking.write_all(sum.as_bytes()).await.unwrap();
        asking.shutdown().await.unwrap();
    }
    for comparing in [&mut given_up, &mut waiting] {
        let moment = timeout(Duration::from_millis(50), comparing).await;
        assert!(moment.is_err(), "it was not its turn");
    }
    assert!(stop.order());
    let (given_up, heard) = tokio::join!(given_up, last_word(&mut asking));
    assert!(matches!(given_up, Err(ReceiveError::Stopped)));
    assert_eq!(heard, "failed cancelled\n");
    drop(another);
    let (compared, heard) = tokio::join!(waiting, last_word(&mut patient));
    assert_eq!(compared.unwrap().certainty, Certainty::Verified);
    assert_eq!(heard, "received\n");
}

async fn last_word(from: &mut DuplexStream) -> String {
    let mut heard = String::new();
    from.read_to_string(&mut heard).await.unwrap();
    heard
}
