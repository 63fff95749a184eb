//! Receivers whose disk is busy: whoever gives up says so all the same, and lets go of the part.

use tokio::task::yield_now;
use tubes_files::BeginError;
use tubes_protocol::file::Md5;

use super::*;

#[tokio::test]
async fn who_gives_up_says_so_before_the_disk_is_done() {
    let busy = Busy::with(Algorithm::Sha256);
    let (errand, mut other, stop) = errand(Dialect::Ours);
    let receiving = receive(errand, busy.partial(), Wanted::default());
    let stopping = async {
        other.write_all(&[7; 4096]).await.unwrap();
        assert!(stop.order());
        assert_eq!(last_word(&mut other).await, "failed cancelled\n");
        assert!(busy.is_busy());
        other.shutdown().await.unwrap();
    };
    let ending = async { tokio::join!(receiving, stopping) };
    let (received, ()) = timeout(PATIENCE, ending).await.unwrap();
    assert!(matches!(received, Err(ReceiveError::Stopped)));
    // Whoever sends it again finds it free.
    assert!(!busy.is_busy());
}

/// Everything was said, and the file is not in its place yet.
#[tokio::test]
async fn a_file_that_is_given_up_before_it_is_in_its_place_will_not_be() {
    let busy = Busy::with(Algorithm::Sha256);
    let (errand, mut other, stop) = errand(Dialect::Ours);
    let counter = errand.counter.clone();
    let receiving = receive(errand, busy.partial(), Wanted::default());
    let stopping = async {
        let rest = usize::try_from(busy.offered.size - LARGE).unwrap();
        other.write_all(&vec![7; rest]).await.unwrap();
        other
            .write_all(busy.stage.sum_line().as_bytes())
            .await
            .unwrap();
        other.shutdown().await.unwrap();
        while counter.bytes() < busy.offered.size {
            yield_now().await;
        }
        assert!(stop.order() && busy.is_busy());
        assert_eq!(last_word(&mut other).await, "failed cancelled\n");
    };
    let ending = async { tokio::join!(receiving, stopping) };
    let (received, ()) = timeout(PATIENCE, ending).await.unwrap();
    assert!(matches!(received, Err(ReceiveError::Stopped)));
    assert!(!busy.stage.arrived().exists());
    assert_eq!(busy.partial().offset(), busy.offered.size);
}

#[tokio::test]
async fn others_are_left_before_the_disk_is_done() {
    let busy = Busy::with(Algorithm::Md5);
    let (errand, mut other, stop) = errand(Dialect::Plain);
    let wanted = Wanted {
        sha256: None,
        md5: Some(Md5([0; 16])),
    };
    let receiving = receive(errand, busy.partial(), wanted);
    let stopping = async {
        assert!(stop.order());
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
        assert!(busy.is_busy());
    };
    let ending = async { tokio::join!(receiving, stopping) };
    let (received, ()) = timeout(PATIENCE, ending).await.unwrap();
    assert!(matches!(received, Err(ReceiveError::Stopped)));
    assert!(!busy.is_busy());
}

/// A part of which there is so much that it takes a while to be read.
struct Busy {
    stage: Stage,
    offered: Offered,
}

impl Busy {
    fn with(algorithm: Algorithm) -> Self {
        let stage = Stage::with(0);
        let offered = Offered {
            size: LARGE + 10_000,
            algorithm: Some(algorithm),
            ..stage.offered()
        };
        let busy = Self { stage, offered };
        busy.partial().append(b"a").unwrap();
        let mut parts = fs::read_dir(busy.stage.folder.path().join("there")).unwrap();
        let part = parts.next().unwrap().unwrap().path();
        let part = fs::File::options().write(true).open(part).unwrap();
        part.set_len(LARGE).unwrap();
        busy
    }

    fn partial(&self) -> Partial {
        self.stage.there().begin(&self.offered).unwrap()
    }

    /// Whether somebody has it.
    fn is_busy(&self) -> bool {
        let begun = self.stage.there().begin(&self.offered);
        matches!(begun, Err(BeginError::Busy { .. }))
    }
}

/// Bytes that are read for about a second, though they take no room.
const LARGE: u64 = 2 << 30;

const PATIENCE: Duration = Duration::from_secs(60);
