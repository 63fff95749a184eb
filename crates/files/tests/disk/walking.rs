//! Folders to be sent.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use tubes_files::{Listing, PathError, SourceError, WalkError, WhySkipped, walk};

use crate::Place;

fn paths(listing: &Listing) -> Vec<String> {
    let files = listing.files.iter();
    files.map(|file| file.path().to_string()).collect()
}

#[test]
fn each_file_comes_once_and_in_order() {
    let place = Place::new();
    let top = place.at("photos");
    fs::create_dir_all(top.join("b/inner")).unwrap();
    fs::create_dir_all(top.join("empty")).unwrap();
    for file in ["c.txt", "b/z", "b/inner/y", "a.txt"] {
        fs::write(top.join(file), file).unwrap();
    }
    let listing = walk(&top).unwrap();
    let expected = [
        "photos/a.txt",
        "photos/b/inner/y",
        "photos/b/z",
        "photos/c.txt",
    ];
    assert_eq!(paths(&listing), expected);
    assert_eq!(listing.skipped, []);
    let inner = &listing.files[1];
    assert_eq!(inner.size(), 9);
    let mut text = [0; 9];
    assert_eq!(inner.open().unwrap().read(0, &mut text).unwrap(), 9);
    assert_eq!(&text, b"b/inner/y");
}

#[test]
fn a_file_is_a_listing_of_one() {
    let place = Place::new();
    fs::write(place.at("a.txt"), "hello").unwrap();
    let listing = walk(&place.at("a.txt")).unwrap();
    assert_eq!(paths(&listing), ["a.txt"]);
    assert_eq!(listing.files[0].open().unwrap().size(), 5);
    let missing = walk(&place.at("b")).unwrap_err();
    assert!(matches!(
        missing,
        WalkError::Source(SourceError::Missing { .. })
    ));
}

#[test]
fn links_are_followed_only_if_they_are_named() {
    let place = Place::new();
    fs::create_dir(place.at("real")).unwrap();
    fs::write(place.at("real/a"), "a").unwrap();
    fs::write(place.at("secret"), "secret").unwrap();
    symlink("../secret", place.at("real/to-secret")).unwrap();
    symlink("..", place.at("real/up")).unwrap();
    symlink("real", place.at("named")).unwrap();
    let _socket = UnixListener::bind(place.at("real/socket")).unwrap();
    let listing = walk(&place.at("named")).unwrap();
    assert_eq!(paths(&listing), ["named/a"]);
    let skipped: Vec<_> = listing
        .skipped
        .iter()
        .map(|one| (one.path.clone(), one.why))
        .collect();
    let expected = [
        (place.at("named/socket"), WhySkipped::NotAFile),
        (place.at("named/to-secret"), WhySkipped::Link),
        (place.at("named/up"), WhySkipped::Link),
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn a_link_that_comes_into_the_place_of_a_file_or_a_folder_is_not_followed() {
    let place = Place::new();
    fs::create_dir_all(place.at("top/inner")).unwrap();
    fs::create_dir(place.at("secrets")).unwrap();
    for file in ["top/inner/a", "top/b", "secrets/a", "secrets/b"] {
        fs::write(place.at(file), file).unwrap();
    }
    let listing = walk(&place.at("top")).unwrap();
    fs::remove_dir_all(place.at("top/inner")).unwrap();
    symlink("../secrets", place.at("top/inner")).unwrap();
    fs::remove_file(place.at("top/b")).unwrap();
    symlink("../secrets/b", place.at("top/b")).unwrap();
    assert_eq!(paths(&listing), ["top/b", "top/inner/a"]);
    for file in &listing.files {
        let refused = file.open().unwrap_err();
        assert!(!matches!(refused, SourceError::Missing { .. }), "{refused}");
    }
}

#[test]
fn names_that_would_become_the_same_are_told_apart() {
    let place = Place::new();
    fs::create_dir(place.at("top")).unwrap();
    for name in ["a:b", "a?b", "a_b", "a_b (2)"] {
        fs::write(place.at("top").join(name), name).unwrap();
    }
    let broken = OsStr::from_bytes(b"broken\xff.txt");
    fs::write(place.at("top").join(broken), "x").unwrap();
    let listing = walk(&place.at("top")).unwrap();
    let mut told = paths(&listing);
    let first = told.clone();
    assert_eq!(told.len(), 5);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 5);
    assert!(
        told.contains(&"top/broken\u{fffd}.txt".to_owned()),
        "{told:?}"
    );
    for file in &listing.files {
        file.open().unwrap();
    }
    assert_eq!(paths(&walk(&place.at("top")).unwrap()), first);
}

#[test]
fn a_tree_that_is_too_deep_is_refused_by_name() {
    let place = Place::new();
    let deepest = place.at(&["d"; 31].join("/"));
    fs::create_dir_all(&deepest).unwrap();
    fs::write(deepest.join("file"), "x").unwrap();
    assert_eq!(walk(&place.at("d")).unwrap().files.len(), 1);
    fs::create_dir(deepest.join("d")).unwrap();
    let refused = walk(&place.at("d")).unwrap_err();
    let WalkError::Path { path, why } = refused else {
        panic!("{refused}");
    };
    assert_eq!((path, why), (deepest.join("d"), PathError::TooDeep));
}

#[test]
fn a_thousand_small_files_need_no_descriptor_each() {
    let place = Place::new();
    fs::create_dir(place.at("top")).unwrap();
    for number in 0..1_500 {
        fs::write(place.at(&format!("top/{number}")), [7]).unwrap();
    }
    let listing = walk(&place.at("top")).unwrap();
    assert_eq!(listing.files.len(), 1_500);
    assert!(listing.files.iter().all(|file| file.open().is_ok()));
}
