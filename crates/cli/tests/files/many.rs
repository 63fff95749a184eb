//! Many files, and large ones. `./test --full` says how many, and how large.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::UNIX_EPOCH;

use super::*;

#[tokio::test]
async fn a_folder_arrives_as_it_is_and_again_without_being_sent_again() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let folder = here.path().join("trip");
    fs::create_dir_all(folder.join("day 1")).unwrap();
    for number in 0..small_files() {
        fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
    }
    fs::write(folder.join("day 1/map"), "here").unwrap();
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let map = File::open(folder.join("day 1/map")).unwrap();
    map.set_modified(long_ago).unwrap();
    let receiving = receive(&fernand, &alice, there.path(), &[]);
    for _ in 0..2 {
        let sending = send(&alice, &fernand.jid, &[&folder]);
        assert_eq!(sending.end_within(AGES).await, (Some(0), String::new()));
    }
    for number in 0..small_files() {
        let arrived = there.path().join("trip").join(number.to_string());
        assert_eq!(fs::read_to_string(arrived).unwrap(), number.to_string());
    }
    let map = there.path().join("trip/day 1/map");
    assert_eq!(fs::metadata(&map).unwrap().modified().unwrap(), long_ago);
    assert_eq!(fs::read_to_string(map).unwrap(), "here");
    drop(receiving);
}

/// More than fits into 32 bits, where everything is tried.
#[tokio::test]
async fn a_large_file_with_holes_arrives_whole() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let (path, length) = (here.path().join("disk"), large());
    File::create(&path).unwrap().set_len(length - 1).unwrap();
    let mut end = File::options().append(true).open(&path).unwrap();
    end.write_all(b"!").unwrap();
    let mut receiving = receive(&fernand, &alice, there.path(), &["--once"]);
    let sending = send(&alice, &fernand.jid, &[&path]);
    let done = receiving.event_within(AGES, "file_done").await;
    assert_eq!(done["verified"], true);
    assert_eq!(sending.end_within(AGES).await, (Some(0), String::new()));
    let mut arrived = File::open(there.path().join("disk")).unwrap();
    assert_eq!(arrived.metadata().unwrap().len(), length);
    arrived.seek(SeekFrom::End(-1)).unwrap();
    let mut last = Vec::new();
    arrived.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"!");
}

fn is_full() -> bool {
    std::env::var_os("TUBES_TEST_FULL").is_some()
}

/// Files in a folder.
fn small_files() -> u32 {
    if is_full() { 10_000 } else { 1000 }
}

/// Bytes of a large file.
fn large() -> u64 {
    if is_full() {
        (4 << 30) + 1
    } else {
        (64 << 20) + 1
    }
}

/// For what is large, on a slow disk.
const AGES: Duration = Duration::from_secs(600);
