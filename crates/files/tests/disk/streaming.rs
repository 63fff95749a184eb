//! Reading and writing beside a task.

use std::fs;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Runtime;
use tubes_files::{
    Algorithm, Blocks, FinishError, Intake, Source, SourceError, TakeError, WriteError,
};

use crate::{Place, offered, sha256, some_bytes};

fn run<T>(task: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(task)
}

fn source(place: &Place, bytes: &[u8]) -> Arc<Source> {
    fs::write(place.at("source"), bytes).unwrap();
    Arc::new(Source::open(&place.at("source")).unwrap())
}

/// All of the bytes, as often as it takes.
async fn add(intake: &mut Intake, mut bytes: &[u8]) -> Result<(), TakeError> {
    while !bytes.is_empty() {
        let left = bytes.len() as u64;
        intake.take(&mut bytes, left).await?;
    }
    Ok(())
}

#[test]
fn a_file_goes_from_one_side_to_the_other() {
    run(async {
        for size in [0, 1, 262_144, 262_145, 3_000_000] {
            let place = Place::new();
            let bytes = some_bytes(size);
            let mut blocks = Blocks::new(source(&place, &bytes), 0, Some(Algorithm::Sha256));
            let partial = place.destination().begin(&offered("a", &bytes)).unwrap();
            let mut intake = Intake::new(partial);
            while let Some(block) = blocks.next().await.unwrap() {
                for piece in block.chunks(16_384) {
                    add(&mut intake, piece).await.unwrap();
                }
            }
            assert_eq!(intake.received(), size as u64);
            assert_eq!(blocks.next().await.unwrap(), None);
            let checksum = blocks.checksum();
            assert_eq!(checksum, Some(sha256(&bytes)));
            assert_eq!(intake.finish(checksum).await.unwrap(), place.at("a"));
            assert_eq!(fs::read(place.at("a")).unwrap(), bytes);
        }
    });
}

#[test]
fn both_go_on_where_they_were_cut() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(2_000_000);
        let source = source(&place, &bytes);
        let mut intake = Intake::new(place.destination().begin(&offered("a", &bytes)).unwrap());
        add(&mut intake, &bytes[..700_001]).await.unwrap();
        assert_eq!(intake.pause().await.unwrap(), 700_001);

        let partial = place.destination().begin(&offered("a", &bytes)).unwrap();
        assert_eq!(partial.offset(), 700_001);
        let mut blocks = Blocks::new(source, partial.offset(), Some(Algorithm::Sha256));
        let mut intake = Intake::new(partial);
        while let Some(block) = blocks.next().await.unwrap() {
            add(&mut intake, block).await.unwrap();
        }
        assert_eq!(blocks.checksum(), Some(sha256(&bytes)));
        intake.finish(blocks.checksum()).await.unwrap();
        assert_eq!(fs::read(place.at("a")).unwrap(), bytes);
    });
}

#[test]
fn a_file_that_the_disk_takes_meanwhile_is_gone_on_with_and_whole() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(80_000_000);
        let source = source(&place, &bytes);
        let begin = || place.destination().begin(&offered("a", &bytes)).unwrap();
        let mut intake = Intake::new(begin());
        for piece in bytes[..50_000_000].chunks(65_536) {
            add(&mut intake, piece).await.unwrap();
        }
        // The lock is let go by then, whatever the disk was still asked for.
        assert_eq!(intake.pause().await.unwrap(), 50_000_000);
        let partial = begin();
        let mut blocks = Blocks::new(source, partial.offset(), Some(Algorithm::Sha256));
        let mut intake = Intake::new(partial);
        while let Some(block) = blocks.next().await.unwrap() {
            add(&mut intake, block).await.unwrap();
        }
        intake.finish(blocks.checksum()).await.unwrap();
        assert!(fs::read(place.at("a")).unwrap() == bytes);
    });
}

#[test]
fn what_was_dropped_in_the_middle_can_be_gone_on_with() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(6_000_000);
        let mut intake = Intake::new(place.destination().begin(&offered("a", &bytes)).unwrap());
        for piece in bytes[..5_500_000].chunks(10_000) {
            add(&mut intake, piece).await.unwrap();
        }
        drop(intake);
        // What is being written is completed, and the lock let go, in a moment.
        let partial = loop {
            match place.destination().begin(&offered("a", &bytes)) {
                Ok(partial) => break partial,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let from = usize::try_from(partial.offset()).unwrap();
        // The block that was not full is lost.
        assert!((5_200_000..=5_500_000).contains(&from), "{from}");
        let mut intake = Intake::new(partial);
        add(&mut intake, &bytes[from..]).await.unwrap();
        intake.finish(Some(sha256(&bytes))).await.unwrap();
    });
}

#[test]
fn a_pause_does_not_wait_until_what_was_there_is_read_and_keeps_what_came() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(20_000_000);
        let begin = || place.destination().begin(&offered("a", &bytes)).unwrap();
        let mut there = 0;
        for end in [12_000_000, 12_000_001, 12_500_000] {
            let mut intake = Intake::new(begin());
            assert_eq!(intake.received(), there);
            let from = usize::try_from(there).unwrap();
            add(&mut intake, &bytes[from..end]).await.unwrap();
            there = intake.pause().await.unwrap();
            assert_eq!(there, end as u64);
        }
        let mut intake = Intake::new(begin());
        add(&mut intake, &bytes[12_500_000..]).await.unwrap();
        intake.finish(Some(sha256(&bytes))).await.unwrap();
        assert!(fs::read(place.at("a")).unwrap() == bytes);
    });
}

#[test]
fn more_than_was_said_is_told_before_the_end() {
    run(async {
        let place = Place::new();
        let mut intake = Intake::new(place.destination().begin(&offered("a", b"hello")).unwrap());
        add(&mut intake, b"hello!").await.unwrap();
        let told = intake.finish(None).await.unwrap_err();
        assert!(
            matches!(told, FinishError::Write(WriteError::TooMuch { .. })),
            "{told}"
        );

        let mut intake = Intake::new(place.destination().begin(&offered("b", b"hello")).unwrap());
        let endless = some_bytes(100_000);
        let mut times = 0;
        let told = loop {
            match add(&mut intake, &endless).await {
                Ok(()) => times += 1,
                Err(told) => break told,
            }
        };
        assert!(
            matches!(told, TakeError::Write(WriteError::TooMuch { .. })) && times < 10,
            "{times}: {told}"
        );
        drop(intake);
    });
}

#[test]
fn discarding_leaves_nothing() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(1_000_000);
        let mut intake = Intake::new(place.destination().begin(&offered("a", &bytes)).unwrap());
        for piece in bytes.chunks(100_000) {
            add(&mut intake, piece).await.unwrap();
        }
        intake.discard().await;
        assert!(place.names().is_empty());
    });
}

#[test]
fn a_take_that_was_given_up_took_nothing() {
    run(async {
        let place = Place::new();
        let bytes = some_bytes(20_000_000);
        let mut intake = Intake::new(place.destination().begin(&offered("a", &bytes)).unwrap());
        let mut given_up = 0;
        let mut left = &bytes[..];
        while !left.is_empty() {
            let before = (intake.received(), left.len());
            // Polled once, and dropped unless it is done by then.
            let taken = {
                let mut take = pin!(intake.take(&mut left, 50_000));
                poll_fn(|context| Poll::Ready(take.as_mut().poll(context))).await
            };
            match taken {
                Poll::Ready(taken) => drop(taken.unwrap()),
                Poll::Pending => {
                    given_up += 1;
                    assert_eq!((intake.received(), left.len()), before);
                    tokio::task::yield_now().await;
                }
            }
        }
        intake.finish(Some(sha256(&bytes))).await.unwrap();
        assert!(given_up > 0, "nothing was tried");
    });
}

#[test]
fn a_file_that_changes_is_told_to_who_reads_it() {
    run(async {
        let place = Place::new();
        let source = source(&place, &some_bytes(3_000_000));
        let mut blocks = Blocks::new(Arc::clone(&source), 0, None);
        blocks.next().await.unwrap();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(source.path())
            .unwrap();
        file.set_len(1_000_000).unwrap();
        let told = loop {
            match blocks.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a file that changed came to its end"),
                Err(told) => break told,
            }
        };
        assert!(matches!(told, SourceError::Changed { .. }), "{told}");
        assert_eq!(blocks.next().await.unwrap(), None);
        assert_eq!(blocks.checksum(), None);
    });
}
