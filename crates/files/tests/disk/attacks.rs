//! Links and files that others put in the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags};
use tubes_files::{BeginError, FinishError, Overwrite};

use crate::{Place, names_in, offered, sha256};

#[test]
fn a_folder_that_is_a_link_is_not_entered() {
    let (place, outside) = (Place::new(), Place::new());
    symlink(outside.path(), place.at("photos")).unwrap();
    fs::create_dir(place.at("real")).unwrap();
    symlink(outside.path(), place.at("real/inner")).unwrap();
    fs::write(place.at("file"), "").unwrap();
    for path in ["photos/a", "real/inner/a", "photos/b/c", "file/a"] {
        let refused = place.destination().begin(&offered(path, b"x")).unwrap_err();
        assert!(
            matches!(refused, BeginError::NotAFolder { .. }),
            "{path}: {refused}"
        );
    }
    assert!(outside.names().is_empty());
    fs::write(outside.at("a"), "x").unwrap();
    let (path, go_on) = ("photos/a".parse().unwrap(), AtomicBool::new(false));
    let has = place.destination().has(&path, 1, sha256(b"x"), &go_on);
    assert!(!has.unwrap());
}

#[test]
fn a_part_that_somebody_else_made_and_locked_is_in_nobodys_way() {
    let place = Place::new();
    let offered = offered("a", b"hello");
    let mut partial = place.destination().begin(&offered).unwrap();
    partial.append(b"hel").unwrap();
    drop(partial);
    let part = place.at(&place.names()[0]);
    fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
    let locked = fs::File::open(&part).unwrap();
    locked.lock().unwrap();
    let mut partial = place.destination().begin(&offered).unwrap();
    assert_eq!(partial.offset(), 0);
    partial.append(b"hello").unwrap();
    partial.finish(Some(sha256(b"hello"))).unwrap();
    assert_eq!(fs::read(&part).unwrap(), b"hel");
}

#[test]
fn a_link_with_the_name_of_the_file_is_not_followed() {
    let (place, outside) = (Place::new(), Place::new());
    fs::write(outside.at("victim"), "precious").unwrap();
    for target in [outside.at("victim"), outside.at("dangling")] {
        let _ = fs::remove_file(place.at("a"));
        symlink(&target, place.at("a")).unwrap();
        let refused = place
            .destination()
            .begin(&offered("a", b"new"))
            .unwrap_err();
        assert!(matches!(refused, BeginError::Exists { .. }), "{refused}");
        let destination = place.destination().with_overwrite(Overwrite::Replace);
        let mut partial = destination.begin(&offered("a", b"new")).unwrap();
        partial.append(b"new").unwrap();
        partial.finish(Some(sha256(b"new"))).unwrap();
        assert!(fs::symlink_metadata(place.at("a")).unwrap().is_file());
    }
    assert_eq!(fs::read(outside.at("victim")).unwrap(), b"precious");
    assert_eq!(outside.names(), ["victim"]);
}

/// The name that the part of a file has.
fn name_of_part(path: &str, bytes: &[u8]) -> String {
    let place = Place::new();
    let partial = place.destination().begin(&offered(path, bytes)).unwrap();
    let name = place.names().remove(0);
    drop(partial);
    name
}

#[test]
fn what_somebody_else_put_where_a_part_would_be_is_neither_used_nor_touched() {
    let part = name_of_part("a", b"new");
    type Trap = fn(&Place, &str);
    let traps: [Trap; 5] = [
        |place, part| symlink("victim", place.at(part)).unwrap(),
        |place, part| {
            fs::set_permissions(place.at("victim"), Permissions::from_mode(0o600)).unwrap();
            fs::hard_link(place.at("victim"), place.at(part)).unwrap();
        },
        |place, part| fs::create_dir(place.at(part)).unwrap(),
        |place, part| {
            rustix::fs::mknodat(
                CWD,
                place.at(part),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap();
        },
        // One that others may write to: they could have it open.
        |place, part| {
            fs::write(place.at(part), "ne").unwrap();
            fs::set_permissions(place.at(part), Permissions::from_mode(0o666)).unwrap();
        },
    ];
    for trap in traps {
        let place = Place::new();
        fs::write(place.at("victim"), "precious").unwrap();
        trap(&place, &part);
        let mut partial = place.destination().begin(&offered("a", b"new")).unwrap();
        assert_eq!(partial.offset(), 0);
        partial.append(b"new").unwrap();
        partial.finish(Some(sha256(b"new"))).unwrap();
        assert_eq!(fs::read(place.at("a")).unwrap(), b"new");
        assert_eq!(fs::read(place.at("victim")).unwrap(), b"precious");
        assert_eq!(place.names(), [&*part, "a", "victim"]);
    }
}

#[test]
fn a_part_that_was_tampered_with_is_thrown_away() {
    let part = name_of_part("a", b"hello");
    let place = Place::new();
    for wrong in ["hex", "hello, and more"] {
        fs::write(place.at(&part), wrong).unwrap();
        fs::set_permissions(place.at(&part), Permissions::from_mode(0o600)).unwrap();
        let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
        let rest = &b"hello"[usize::try_from(partial.offset()).unwrap()..];
        partial.append(rest).unwrap();
        let outcome = partial.finish(Some(sha256(b"hello")));
        if wrong == "hex" {
            assert!(
                matches!(outcome, Err(FinishError::Differs { .. })),
                "{outcome:?}"
            );
            assert!(place.names().is_empty());
        } else {
            // It cannot be part of it, and was begun anew.
            assert_eq!(outcome.unwrap(), place.at("a"));
        }
    }
}

#[test]
fn a_part_that_is_taken_away_or_exchanged_is_noticed() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hello").unwrap();
    fs::remove_file(place.at(&place.names()[0])).unwrap();
    let lost = partial.finish(None).unwrap_err();
    assert!(matches!(lost, FinishError::Lost { .. }), "{lost}");

    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hello").unwrap();
    let part = place.at(&place.names()[0]);
    fs::remove_file(&part).unwrap();
    fs::write(&part, "HELLO").unwrap();
    let lost = partial.finish(None).unwrap_err();
    assert!(matches!(lost, FinishError::Lost { .. }), "{lost}");
    assert!(!place.at("a").exists());
    // Nor is what is there now removed: it is somebody else's.
    assert_eq!(fs::read(&part).unwrap(), b"HELLO");
}

#[test]
fn a_destination_that_is_moved_is_still_the_one_that_was_named() {
    let (place, outside) = (Place::new(), Place::new());
    fs::create_dir(place.at("in")).unwrap();
    let destination = tubes_files::Destination::open(&place.at("in")).unwrap();
    fs::rename(place.at("in"), place.at("moved")).unwrap();
    symlink(outside.path(), place.at("in")).unwrap();
    let mut partial = destination.begin(&offered("b/a", b"x")).unwrap();
    partial.append(b"x").unwrap();
    partial.finish(None).unwrap();
    assert!(outside.names().is_empty());
    assert_eq!(names_in(&place.at("moved/b")), ["a"]);
}

#[test]
fn nothing_escapes_while_somebody_exchanges_folders_for_links() {
    let (place, outside) = (Place::new(), Place::new());
    fs::create_dir(place.at("real")).unwrap();
    fs::create_dir(outside.at("inner")).unwrap();
    symlink(outside.path(), place.at("link")).unwrap();
    let done = AtomicBool::new(false);
    let received = thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let mut times = 0;
            while !done.load(Ordering::Relaxed) {
                let (from, to) = (place.at("real"), place.at("link"));
                rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::EXCHANGE).unwrap();
                times += 1;
            }
            times
        });
        let mut received = 0;
        for number in 0..3_000 {
            let path = format!("real/inner/{number}");
            let Ok(mut partial) = place.destination().begin(&offered(&path, b"x")) else {
                continue;
            };
            partial.append(b"x").unwrap();
            received += usize::from(partial.finish(None).is_ok());
        }
        done.store(true, Ordering::Relaxed);
        assert!(attacker.join().unwrap() > 0);
        received
    });
    assert!(received > 0);
    assert_eq!(outside.names(), ["inner"]);
    assert!(names_in(&outside.at("inner")).is_empty());
}
