//! When a file that is received was changed last.

use std::time::{Duration, SystemTime};

use super::*;

/// The date of a file that is received after this was said of it.
fn dated(said: SystemTime) -> SystemTime {
    let place = Place::new();
    let said = Offered {
        modified: Some(said),
        ..offered("a", b"hello")
    };
    let mut partial = place.destination().begin(&said).unwrap();
    partial.append(b"hello").unwrap();
    let path = partial.finish(Some(sha256(b"hello"))).unwrap();
    fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn a_file_is_as_old_as_it_is_at_the_sender() {
    for seconds in [1, 1_700_000_000] {
        let said = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(dated(said), said);
    }
}

#[test]
fn no_file_comes_from_the_future() {
    let now = SystemTime::now();
    for years in [1, 7000] {
        let said = now + Duration::from_secs(years * 31_556_952);
        let date = dated(said);
        let told = date.duration_since(now).unwrap_or_default();
        assert!(told < Duration::from_secs(3600), "{told:?} ahead");
    }
}
