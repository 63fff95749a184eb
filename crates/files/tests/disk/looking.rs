//! What is there already.

use std::fs;
use std::sync::atomic::AtomicBool;

use tubes_files::{BeginError, Offered, SourceError};

use crate::{Place, offered, sha256};

#[test]
fn a_look_finds_what_is_there_and_changes_nothing() {
    let place = Place::new();
    let there = place.destination();
    let look = |path, bytes: &[u8]| there.look(&offered(path, bytes));
    assert_eq!(look("a", b"hello").unwrap(), 0);
    assert_eq!(look("b/c/a", b"hello").unwrap(), 0);
    assert!(place.names().is_empty());
    let mut partial = there.begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hel").unwrap();
    // Also while somebody else writes.
    assert_eq!(look("a", b"hello").unwrap(), 3);
    drop(partial);
    assert_eq!(look("a", b"hello").unwrap(), 3);
    assert_eq!(look("a", b"other").unwrap(), 0);
    assert_eq!(there.begin(&offered("a", b"hello")).unwrap().offset(), 3);
    fs::write(place.at("b"), "mine").unwrap();
    assert!(matches!(look("b", b"x"), Err(BeginError::Exists { .. })));
    let refused = look("b/a", b"x");
    assert!(matches!(refused, Err(BeginError::NotAFolder { .. })));
    let endless = Offered {
        size: u64::MAX,
        ..offered("n/a", b"x")
    };
    let refused = there.look(&endless);
    assert!(matches!(refused, Err(BeginError::NoRoom { .. })));
}

#[test]
fn what_is_there_already_is_known() {
    let place = Place::new();
    fs::create_dir(place.at("b")).unwrap();
    fs::write(place.at("b/a"), "hello").unwrap();
    let has = |path: &str, bytes: &[u8]| {
        let size = bytes.len().try_into().unwrap();
        place
            .destination()
            .has(&path.parse().unwrap(), size, sha256(bytes), &GO_ON)
            .unwrap()
    };
    assert!(has("b/a", b"hello"));
    assert!(!has("b/a", b"hallo"));
    assert!(!has("b/a", b"hello!"));
    assert!(!has("a", b"hello"));
    assert!(!has("b", b"hello"));
}

#[test]
fn reading_what_is_there_can_be_stopped() {
    let place = Place::new();
    fs::write(place.at("a"), "hello").unwrap();
    let path = "a".parse().unwrap();
    let stop = AtomicBool::new(true);
    let stopped = place.destination().has(&path, 5, sha256(b"hello"), &stop);
    assert!(matches!(stopped, Err(SourceError::Stopped { .. })));
}

#[test]
fn a_sender_that_goes_on_before_the_end_is_let() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hexx").unwrap();
    partial.cut(2).unwrap();
    assert_eq!(partial.offset(), 2);
    partial.append(b"llo").unwrap();
    partial.finish(Some(sha256(b"hello"))).unwrap();
    assert_eq!(fs::read(place.at("a")).unwrap(), b"hello");
}

/// Nobody stops it.
static GO_ON: AtomicBool = AtomicBool::new(false);
