//! Files that are stopped: in time, or too late.

use std::fs;

use tokio::runtime::Runtime;
use tubes_files::{FinishError, Intake, Stop, WriteError};

use crate::{Place, offered, sha256};

#[test]
fn a_file_that_is_stopped_before_the_last_step_does_not_get_into_its_place() {
    let place = Place::new();
    let begin = || place.destination().begin(&offered("a", b"hello")).unwrap();
    let stop = Stop::default();
    let mut partial = begin().with_stop(stop.clone());
    partial.append(b"hello").unwrap();
    assert!(stop.order());
    let stopped = partial.finish(Some(sha256(b"hello"))).unwrap_err();
    let FinishError::Write(WriteError::Stopped { path }) = stopped else {
        panic!("{stopped}");
    };
    assert_eq!(path, place.at("a"));
    assert!(!path.exists());
    // What came is kept, and whoever goes on with it need not be stopped.
    let partial = begin();
    assert_eq!(partial.offset(), 5);
    partial.finish(Some(sha256(b"hello"))).unwrap();
    assert_eq!(place.names(), ["a"]);
}

#[test]
fn a_file_that_is_in_its_place_cannot_be_stopped_any_more() {
    let place = Place::new();
    let stop = Stop::default();
    let partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    let mut partial = partial.with_stop(stop.clone());
    partial.append(b"hello").unwrap();
    partial.finish(Some(sha256(b"hello"))).unwrap();
    assert!(!stop.order());
}

#[test]
fn a_file_that_finds_its_place_taken_can_still_be_stopped() {
    let place = Place::new();
    let stop = Stop::default();
    let partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    let mut partial = partial.with_stop(stop.clone());
    partial.append(b"hello").unwrap();
    fs::write(place.at("a"), "mine").unwrap();
    let refused = partial.finish(Some(sha256(b"hello")));
    assert!(matches!(refused, Err(FinishError::Exists { .. })));
    assert!(stop.order());
}

/// Whoever stops it at any moment knows by the answer alone whether a file is there.
#[test]
fn who_stops_it_while_it_gets_into_its_place_knows_whether_it_does() {
    let runtime = Runtime::new().unwrap();
    let mut counts = [0, 0];
    for round in 0..ROUNDS {
        let place = Place::new();
        let stop = Stop::default();
        let partial = place.destination().begin(&offered("a", b"hello")).unwrap();
        let is_there = runtime.block_on(async {
            let mut intake = Intake::new(partial.with_stop(stop.clone()));
            intake.take(&mut &b"hello"[..], 5).await.unwrap();
            let stopping = tokio::task::spawn_blocking(move || {
                (0..round * STEP).for_each(|_| std::hint::spin_loop());
                stop.order()
            });
            let finished = intake.finish(Some(sha256(b"hello"))).await;
            let is_in_time = stopping.await.unwrap();
            assert_eq!(finished.is_err(), is_in_time, "{finished:?}");
            !is_in_time
        });
        assert_eq!(place.at("a").exists(), is_there);
        counts[usize::from(is_there)] += 1;
    }
    eprintln!("{counts:?} were stopped, and not");
}

/// From a stop that comes first to one that comes last, on most machines.
const ROUNDS: u32 = 50;

/// Turns for a processor, between the moments of two rounds.
const STEP: u32 = 1000;
