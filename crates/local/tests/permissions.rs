//! Whom a socket's file lets in, tried by other users.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tubes_local::{Access, Address, Group, Listener, Permissions};

/// Whether a program of another user, in this group, gets anything from there.
async fn is_served(path: &Path, group: u32) -> bool {
    let script = "my $s = IO::Socket::UNIX->new($ARGV[0]) or exit 1; exit(<$s> ? 0 : 1)";
    let group = format!("--regid={group}");
    let program = Command::new("setpriv")
        .args(["--reuid=65534", &group, "--clear-groups", "perl"])
        .args(["-MIO::Socket::UNIX", "-e", script])
        .arg(path)
        .status();
    program.await.unwrap().success()
}

/// Who of the others gets in: one of the group, one of another.
async fn others_let_in(access: Access, permissions: Permissions) -> (bool, bool) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("s");
    let address = Address::Unix(path.clone());
    let bound = Listener::bind_with_permissions(&address, access, permissions).await;
    let listener = bound.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().mode() & 0o777,
        permissions.mode().bits()
    );
    let serving = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"welcome\n").await.unwrap();
        }
    };
    tokio::select! {
        () = serving => unreachable!(),
        tried = async { (is_served(&path, GROUP).await, is_served(&path, GROUP + 1).await) } => tried,
    }
}

#[tokio::test]
async fn a_socket_lets_in_whom_its_mode_lets_in_and_its_access() {
    if !rustix::process::geteuid().is_root() {
        let missing = "only root can try what other users can";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let private = Permissions::default();
    let group = private.with_group(Group::from(GROUP));
    let public = private.with_mode("0666".parse().unwrap());
    for (access, permissions, expected) in [
        (Access::Localhost, private, (false, false)),
        (Access::Localhost, group, (true, false)),
        (Access::Localhost, public, (true, true)),
        // The user who connects is asked of the kernel, whatever the mode.
        (Access::Credentials, group, (false, false)),
        (Access::Credentials, public, (false, false)),
    ] {
        let let_in = others_let_in(access, permissions).await;
        assert_eq!(let_in, expected, "{access}, {permissions:?}");
    }
}

/// A group that need not have a name.
const GROUP: u32 = 54321;
