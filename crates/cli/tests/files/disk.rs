//! A disk that does not take a file.

use rustix::process::Pid;

use super::*;

/// Whether a test can have a disk of its own. Where everything is to be tried, it has to.
fn has_own_disk() -> bool {
    let unshared = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status();
    if unshared.is_ok_and(|status| status.success()) {
        return true;
    }
    let missing = "no disk of their own for a test: unshare --mount, which root may (util-linux)";
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

/// Receives into a folder that is a disk of its own, after this was done to it.
fn receive_on_disk(account: &Account, from: &Account, into: &Path, prepare: &str) -> Program {
    let script = format!("mount -t tmpfs -o size=16m tmpfs \"$0\" && {prepare} && exec \"$@\"");
    let launcher = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        &script,
        text(into),
        BINARY,
    ];
    let command = ["receive", "--from", &from.jid, "--into", text(into)];
    Program::start_by(&launcher, &words(&account.with(&command)))
}

/// A folder as that process sees it.
fn as_seen_by(pid: Pid, folder: &Path) -> PathBuf {
    let root = format!("/proc/{}/root", pid.as_raw_nonzero());
    Path::new(&root).join(folder.strip_prefix("/").unwrap())
}

#[tokio::test]
async fn a_disk_that_becomes_full_in_the_middle_is_told_to_both_sides_and_gone_on_with() {
    if !has_own_disk() {
        return;
    }
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    let film = content(4, FILM);
    fs::write(&path, &film).unwrap();
    let (alice, link) = slowed(alice).await;
    let mut receiving = receive_on_disk(&fernand, &alice, there.path(), "true");
    receiving.event("online").await;
    let seen = as_seen_by(receiving.pid(), there.path());
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    part_of(&seen, PART).await;
    // As much as there is room for.
    let filler = seen.join("filler");
    assert!(fs::write(&filler, vec![0; 32 << 20]).is_err());
    let_go(&link);
    for side in [&mut sending, &mut receiving] {
        let failed = side.event("file_failed").await;
        let why = failed["error"]["message"].as_str().unwrap();
        assert!(why.contains("full") || why.contains("no room"), "{why}");
    }
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77));
    assert!(said.contains("has no room on its disk"), "{said}");

    fs::remove_file(filler).unwrap();
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    let started = sending.event("file_started").await;
    assert!(started["offset"].as_u64().unwrap() > 0, "{started}");
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert!(fs::read(seen.join("film")).unwrap() == film);
}

#[tokio::test]
async fn a_disk_without_room_for_a_file_is_told_before_it_is_sent() {
    if !has_own_disk() {
        return;
    }
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("film");
    fs::write(&path, content(5, 20 << 20)).unwrap();
    let mut receiving = receive_on_disk(&fernand, &alice, there.path(), "true");
    let sending = send(&alice, &fernand.jid, &[&path]);
    let failed = receiving.event("file_failed").await;
    assert_eq!(failed["bytes"], 0);
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77));
    assert!(said.contains("has no room on its disk"), "{said}");
}

#[tokio::test]
async fn a_disk_that_may_not_be_written_is_told_to_both_sides() {
    if !has_own_disk() {
        return;
    }
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let path = here.path().join("a");
    fs::write(&path, "a").unwrap();
    let read_only = "mount -o remount,ro \"$0\"";
    let mut receiving = receive_on_disk(&fernand, &alice, there.path(), read_only);
    let mut sending = send(&alice, &fernand.jid, &[&path]);
    for side in [&mut sending, &mut receiving] {
        let failed = side.event("file_failed").await;
        assert_ne!(failed["error"]["message"], Value::Null);
    }
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77), "{said}");
}
