//! Disks that are full or read-only, and folders of others.
//!
//! A test that needs another disk or another user runs itself once more, with that.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tubes_files::{BeginError, Destination, FinishError, Trouble, WriteError};

use crate::{Place, offered, sha256, some_bytes};

#[test]
fn a_full_disk_is_told_and_gone_on_with_when_there_is_room() {
    let Some(disk) = tiny_disk(
        "full::a_full_disk_is_told_and_gone_on_with_when_there_is_room",
        "size=1m",
    ) else {
        return;
    };
    let destination = Destination::open(&disk).unwrap();
    let bytes = some_bytes(700_000);
    let mut partial = destination.begin(&offered("a", &bytes)).unwrap();
    // There was room when it began.
    fs::write(disk.join("filler"), some_bytes(600_000)).unwrap();
    let full = append_all(&mut partial, &bytes).unwrap_err();
    let WriteError::Disk { why, .. } = &full else {
        panic!("{full}");
    };
    assert!(matches!(why, Trouble::Full), "{why}");
    assert!(
        full.to_string()
            .ends_with("make room, then repeat the command to go on")
    );
    let short = partial.finish(Some(sha256(&bytes))).unwrap_err();
    assert!(matches!(short, FinishError::Short { .. }), "{short}");
    let no_room = destination.begin(&offered("a", &bytes)).unwrap_err();
    let BeginError::NoRoom { missing, .. } = no_room else {
        panic!("{no_room}");
    };
    assert!((1..600_000).contains(&missing), "{missing}");

    fs::remove_file(disk.join("filler")).unwrap();
    let mut partial = destination.begin(&offered("a", &bytes)).unwrap();
    let from = usize::try_from(partial.offset()).unwrap();
    assert!(from > 300_000, "{from}");
    append_all(&mut partial, &bytes[from..]).unwrap();
    partial.finish(Some(sha256(&bytes))).unwrap();
    assert_eq!(fs::read(disk.join("a")).unwrap(), bytes);
}

#[test]
fn free_space_is_looked_at_before_anything_is_received() {
    let place = Place::new();
    let free = place.destination().free().unwrap().unwrap();
    let said = tubes_files::Offered {
        size: free + (1 << 40),
        ..offered("a", b"")
    };
    let refused = place.destination().begin(&said).unwrap_err();
    assert!(matches!(refused, BeginError::NoRoom { .. }), "{refused}");
    assert!(place.names().is_empty());
}

#[test]
fn a_read_only_disk_is_told() {
    let Some(disk) = tiny_disk("full::a_read_only_disk_is_told", "size=1m,ro") else {
        return;
    };
    let refused = Destination::open(&disk)
        .unwrap()
        .begin(&offered("a", b"x"))
        .unwrap_err();
    let BeginError::Disk { why, .. } = refused else {
        panic!("{refused}");
    };
    assert!(matches!(why, Trouble::ReadOnly), "{why}");
}

#[test]
fn a_folder_that_one_may_not_write_to_is_told() {
    let place = Place::new();
    let locked = place.at("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o555)).unwrap();
    let name = "full::a_folder_that_one_may_not_write_to_is_told";
    let Some(locked) = as_somebody_else(name, &place, locked) else {
        return;
    };
    let destination = Destination::open(&locked).unwrap();
    for path in ["a", "b/a"] {
        let refused = destination.begin(&offered(path, b"x")).unwrap_err();
        let BeginError::Disk { why, .. } = refused else {
            panic!("{refused}");
        };
        assert!(matches!(why, Trouble::Denied), "{why}");
    }
}

fn append_all(partial: &mut tubes_files::Partial, bytes: &[u8]) -> Result<(), WriteError> {
    bytes
        .chunks(10_000)
        .try_for_each(|piece| partial.append(piece))
}

/// A small disk, for the test of that name alone: nothing in the process that is to arrange
/// for it, where the test ends when it is done there.
fn tiny_disk(test: &str, options: &str) -> Option<PathBuf> {
    if let Some(disk) = env::var_os(ELSEWHERE) {
        return Some(disk.into());
    }
    let place = Place::new();
    let mounted = |command: &mut Command| {
        let script = "mount -t tmpfs -o \"$1\" tmpfs \"$0\" && shift && exec \"$@\"";
        command
            .args(["sh", "-c", script])
            .arg(place.path())
            .arg(options);
        command.env(ELSEWHERE, place.path());
    };
    let mut unshare = vec!["--mount"];
    if !rustix::process::geteuid().is_root() {
        unshare.push("--map-root-user");
    }
    let mut probe = Command::new("unshare");
    mounted(probe.args(&unshare));
    let probed = probe.arg("true").output();
    if !probed.as_ref().is_ok_and(|output| output.status.success()) {
        skip(&format!(
            "unshare and mount (Debian package `util-linux`) cannot make a disk here: {probed:?}"
        ));
        return None;
    }
    let mut command = Command::new("unshare");
    mounted(command.args(&unshare));
    check(
        command
            .arg(env::current_exe().unwrap())
            .args([test, "--exact"])
            .output()
            .unwrap(),
    );
    None
}

/// A folder, for the test of that name as a user without privileges.
fn as_somebody_else(test: &str, place: &Place, folder: PathBuf) -> Option<PathBuf> {
    if let Some(folder) = env::var_os(ELSEWHERE) {
        return Some(folder.into());
    }
    if !rustix::process::geteuid().is_root() {
        return Some(folder);
    }
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let program = place.at("program");
    // Copied here, it would be open for writing in whatever another test starts at the same moment,
    // and nothing that is open for writing can be run.
    let mut copy = Command::new("cp");
    let copied = copy.arg(env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(program);
    command.args([test, "--exact"]).env(ELSEWHERE, folder);
    check(
        command
            .current_dir(Path::new("/"))
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap(),
    );
    None
}

fn check(output: Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn skip(missing: &str) {
    assert!(env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
}

/// Where the test finds what was arranged for it.
const ELSEWHERE: &str = "TUBES_TEST_ELSEWHERE";

/// A user who owns nothing.
const NOBODY: u32 = 65_534;
