//! What becomes of a part in the end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::{Destination, Version};

#[test]
fn what_the_disk_refuses_in_the_end_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let offered = Offered {
        sender: "alice@example.org".to_owned(),
        path: SafeName::of("a").into(),
        size: 5,
        version: Some(Version::Modified(SystemTime::UNIX_EPOCH)),
        modified: None,
        algorithm: Some(Algorithm::Sha256),
    };
    let destination = Destination::open(folder.path()).unwrap();
    let mut partial = destination.begin(&offered).unwrap();
    partial.append(b"hello").unwrap();
    unsyncable(&mut partial, folder.path());
    let refused = partial.finish(None);
    assert!(
        matches!(refused, Err(FinishError::Write(WriteError::Disk { .. }))),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Puts a pipe in the place of the part, which no disk takes.
fn unsyncable(partial: &mut Partial, folder: &Path) {
    let place = folder.join(&partial.part);
    fs::remove_file(&place).unwrap();
    mknodat(CWD, &place, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let file = File::options().read(true).write(true).open(&place);
    partial.file = file.unwrap();
}
