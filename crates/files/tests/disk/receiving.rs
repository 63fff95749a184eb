//! Files that are received.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;
use tubes_files::{
    Algorithm, BeginError, DestinationError, FinishError, Offered, Overwrite, Version, WriteError,
};

use crate::{Place, names_in, offered, sha256, some_bytes};

#[test]
fn a_file_gets_its_name_when_it_is_complete() {
    let place = Place::new();
    let bytes = some_bytes(100_000);
    let mut partial = place
        .destination()
        .begin(&offered("a.txt", &bytes))
        .unwrap();
    partial.append(&bytes[..60_000]).unwrap();
    let names = place.names();
    assert_eq!(names.len(), 1);
    assert!(
        names[0].starts_with(".a.txt.") && names[0].ends_with(".part"),
        "{names:?}"
    );
    let mode = fs::metadata(place.at(&names[0]))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    partial.append(&bytes[60_000..]).unwrap();
    assert_eq!(
        partial.finish(Some(sha256(&bytes))).unwrap(),
        place.at("a.txt")
    );
    assert_eq!(place.names(), ["a.txt"]);
    assert_eq!(fs::read(place.at("a.txt")).unwrap(), bytes);
}

#[test]
fn an_empty_file_is_received_and_one_that_never_began_leaves_nothing() {
    let place = Place::new();
    let partial = place.destination().begin(&offered("empty", b"")).unwrap();
    partial.finish(Some(sha256(b""))).unwrap();
    drop(place.destination().begin(&offered("never", b"x")).unwrap());
    assert_eq!(place.names(), ["empty"]);
    assert_eq!(fs::read(place.at("empty")).unwrap(), b"");
}

#[test]
fn folders_are_made_on_the_way() {
    let place = Place::new();
    for path in ["a/b/c.txt", "a/b/d.txt"] {
        let mut partial = place.destination().begin(&offered(path, b"x")).unwrap();
        partial.append(b"x").unwrap();
        assert_eq!(partial.finish(None).unwrap(), place.at(path));
    }
    assert_eq!(names_in(&place.at("a/b")), ["c.txt", "d.txt"]);
}

#[test]
fn what_is_missing_or_too_much_is_refused() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hel").unwrap();
    let too_much = partial.append(b"lo!").unwrap_err();
    assert!(
        matches!(too_much, WriteError::TooMuch { size: 5, .. }),
        "{too_much}"
    );
    assert_eq!(partial.offset(), 3);
    let short = partial.finish(None).unwrap_err();
    assert!(
        matches!(short, FinishError::Short { missing: 2, .. }),
        "{short}"
    );
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    assert_eq!(partial.offset(), 3);
    partial.append(b"lo").unwrap();
    partial.finish(Some(sha256(b"hello"))).unwrap();
}

#[test]
fn wrong_bytes_are_thrown_away() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hellO").unwrap();
    let differs = partial.finish(Some(sha256(b"hello"))).unwrap_err();
    assert!(matches!(differs, FinishError::Differs { .. }), "{differs}");
    assert!(place.names().is_empty());
}

#[test]
fn a_checksum_of_another_kind_than_was_expected_is_made_in_the_end() {
    let place = Place::new();
    let md5 = "5d41402abc4b2a76b9719d911017c592".parse().unwrap();
    for (name, algorithm) in [
        ("a", None),
        ("b", Some(Algorithm::Sha256)),
        ("c", Some(Algorithm::Md5)),
    ] {
        let said = Offered {
            algorithm,
            ..offered(name, b"hello")
        };
        let mut partial = place.destination().begin(&said).unwrap();
        partial.append(b"hello").unwrap();
        partial.finish(Some(md5)).unwrap();
        let mut partial = place
            .destination()
            .begin(&Offered {
                path: "d".parse().unwrap(),
                ..said
            })
            .unwrap();
        partial.append(b"hellO").unwrap();
        assert!(partial.finish(Some(md5)).is_err());
    }
    assert_eq!(place.names(), ["a", "b", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_part_is_gone_on_with_wherever_it_was_cut(
        cuts in proptest::collection::vec(0..600_000_usize, 0..4)
    ) {
        let place = Place::new();
        let bytes = some_bytes(600_000);
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut at = 0;
        for cut in cuts {
            let mut partial = place.destination().begin(&offered("a", &bytes)).unwrap();
            prop_assert_eq!(partial.offset(), at as u64);
            for piece in bytes[at..cut].chunks(70_001) {
                partial.append(piece).unwrap();
            }
            prop_assert_eq!(partial.checksum().unwrap(), Some(sha256(&bytes[..cut])));
            at = cut;
            if cut == bytes.len() {
                partial.finish(Some(sha256(&bytes))).unwrap();
                break;
            }
        }
        prop_assert_eq!(place.names(), ["a"]);
        prop_assert_eq!(fs::read(place.at("a")).unwrap(), bytes);
    }
}

#[test]
fn only_the_same_file_of_the_same_sender_is_gone_on_with() {
    let place = Place::new();
    let hello = offered("a", b"hello");
    let begun = |said: &Offered| place.destination().begin(said).unwrap().offset();
    let mut partial = place.destination().begin(&hello).unwrap();
    partial.append(b"hel").unwrap();
    drop(partial);
    let others = [
        Offered {
            sender: "fernand@example.org".to_owned(),
            ..hello.clone()
        },
        Offered {
            path: "b".parse().unwrap(),
            ..hello.clone()
        },
        Offered {
            size: 6,
            ..hello.clone()
        },
        offered("a", b"hallo"),
        Offered {
            version: Some(Version::Modified(std::time::SystemTime::UNIX_EPOCH)),
            ..hello.clone()
        },
        Offered {
            version: None,
            ..hello.clone()
        },
    ];
    for other in others {
        assert_eq!(begun(&other), 0, "{other:?}");
    }
    assert_eq!(begun(&hello), 3);
    place.destination().begin(&hello).unwrap().discard();
    assert_eq!(begun(&hello), 0);
    assert!(place.names().is_empty());
}

#[test]
fn what_cannot_be_verified_is_never_gone_on_with() {
    let place = Place::new();
    let hello = offered("a", b"hello");
    for said in [
        Offered {
            version: None,
            ..hello.clone()
        },
        Offered {
            algorithm: None,
            ..hello
        },
    ] {
        let mut partial = place.destination().begin(&said).unwrap();
        assert_eq!(partial.offset(), 0);
        partial.append(b"hel").unwrap();
        drop(partial);
        assert!(place.names().is_empty());
    }
}

#[test]
fn a_sender_that_begins_again_is_let() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.append(b"hexx").unwrap();
    drop(partial);
    let mut partial = place.destination().begin(&offered("a", b"hello")).unwrap();
    partial.cut(0).unwrap();
    assert_eq!(partial.offset(), 0);
    partial.append(b"hello").unwrap();
    partial.finish(Some(sha256(b"hello"))).unwrap();
    assert_eq!(fs::read(place.at("a")).unwrap(), b"hello");
}

#[test]
fn nothing_is_overwritten_without_being_told() {
    let place = Place::new();
    fs::write(place.at("a.txt"), "mine").unwrap();
    let refused = place
        .destination()
        .begin(&offered("a.txt", b"new"))
        .unwrap_err();
    assert!(matches!(refused, BeginError::Exists { .. }), "{refused}");
    let receive = |overwrite| {
        let destination = place.destination().with_overwrite(overwrite);
        let mut partial = destination.begin(&offered("a.txt", b"new")).unwrap();
        partial.append(b"new").unwrap();
        partial.finish(Some(sha256(b"new")))
    };
    assert_eq!(receive(Overwrite::Rename).unwrap(), place.at("a (2).txt"));
    assert_eq!(receive(Overwrite::Rename).unwrap(), place.at("a (3).txt"));
    assert_eq!(fs::read(place.at("a.txt")).unwrap(), b"mine");
    assert_eq!(receive(Overwrite::Replace).unwrap(), place.at("a.txt"));
    assert_eq!(fs::read(place.at("a.txt")).unwrap(), b"new");
    fs::remove_file(place.at("a.txt")).unwrap();
    fs::create_dir(place.at("a.txt")).unwrap();
    let destination = place.destination().with_overwrite(Overwrite::Replace);
    let refused = destination.begin(&offered("a.txt", b"new")).unwrap_err();
    assert!(matches!(refused, BeginError::Exists { .. }), "{refused}");
}

#[test]
fn a_file_that_comes_into_the_place_meanwhile_stays() {
    let place = Place::new();
    let mut partial = place.destination().begin(&offered("a", b"new")).unwrap();
    partial.append(b"new").unwrap();
    fs::write(place.at("a"), "mine").unwrap();
    let refused = partial.finish(None).unwrap_err();
    assert!(matches!(refused, FinishError::Exists { .. }), "{refused}");
    assert_eq!(fs::read(place.at("a")).unwrap(), b"mine");
    // What was received is not lost for that.
    fs::remove_file(place.at("a")).unwrap();
    let partial = place.destination().begin(&offered("a", b"new")).unwrap();
    assert_eq!(partial.offset(), 3);
    partial.finish(Some(sha256(b"new"))).unwrap();
    assert_eq!(fs::read(place.at("a")).unwrap(), b"new");
}

#[test]
fn two_receivers_of_one_file_do_not_mix_it() {
    let place = Place::new();
    let one = place.destination().begin(&offered("a", b"hello")).unwrap();
    let busy = place
        .destination()
        .begin(&offered("a", b"hello"))
        .unwrap_err();
    assert!(matches!(busy, BeginError::Busy { .. }), "{busy}");
    drop(one);
    place.destination().begin(&offered("a", b"hello")).unwrap();
}

#[test]
fn of_many_files_of_one_name_at_once_each_is_whole_and_none_is_lost() {
    for overwrite in [Overwrite::Refuse, Overwrite::Rename, Overwrite::Replace] {
        let place = Place::new();
        let start = Barrier::new(8);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let receive = |number: u8| {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let bytes = vec![number; 50_000];
                    let destination = place.destination().with_overwrite(overwrite);
                    let mut partial = destination.begin(&offered("a", &bytes)).unwrap();
                    partial.append(&bytes).unwrap();
                    start.wait();
                    partial
                        .finish(Some(sha256(&bytes)))
                        .map(|path| (path, bytes))
                })
            };
            let receivers: Vec<_> = (0..8).map(receive).collect();
            receivers
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect()
        });
        let done: Vec<_> = outcomes.into_iter().flatten().collect();
        let (expected, on_disk) = match overwrite {
            Overwrite::Refuse => (1, 1),
            Overwrite::Rename => (8, 8),
            _ => (8, 1),
        };
        assert_eq!(done.len(), expected, "{overwrite:?}");
        let names = place.names();
        let complete: Vec<_> = names.iter().filter(|name| !name.starts_with('.')).collect();
        assert_eq!(complete.len(), on_disk, "{names:?}");
        for name in complete {
            let bytes = fs::read(place.at(name)).unwrap();
            assert!(bytes.len() == 50_000 && bytes.iter().all(|byte| *byte == bytes[0]));
        }
        if overwrite != Overwrite::Replace {
            assert!(
                done.iter()
                    .all(|(path, bytes)| fs::read(path).unwrap() == *bytes)
            );
        }
    }
}

#[test]
fn of_many_that_go_on_with_one_part_only_one_does() {
    let place = Place::new();
    let bytes = some_bytes(200_000);
    let start = Barrier::new(8);
    let done: usize = thread::scope(|scope| {
        let receive = || {
            start.wait();
            let mut won = 0;
            // Who comes late finds it complete.
            while let Ok(mut partial) = place.destination().begin(&offered("a", &bytes)) {
                let from = usize::try_from(partial.offset()).unwrap();
                let to = bytes.len().min(from + 10_000);
                partial.append(&bytes[from..to]).unwrap();
                if to == bytes.len() {
                    partial.finish(Some(sha256(&bytes))).unwrap();
                    won += 1;
                }
            }
            won
        };
        let receivers: Vec<_> = (0..8).map(|_| scope.spawn(receive)).collect();
        receivers.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // Whoever finds it busy leaves it to another one, of whom the last completes it.
    assert_eq!(done, 1);
    assert_eq!(place.names(), ["a"]);
    assert_eq!(fs::read(place.at("a")).unwrap(), bytes);
}

#[test]
fn a_destination_is_a_folder_that_is_there() {
    let place = Place::new();
    fs::write(place.at("a"), "").unwrap();
    let open = |name: &str| tubes_files::Destination::open(&place.at(name)).unwrap_err();
    assert!(matches!(open("a"), DestinationError::NotAFolder { .. }));
    assert!(matches!(open("b"), DestinationError::Missing { .. }));
    assert!(place.destination().free().unwrap().unwrap() > 0);
}
