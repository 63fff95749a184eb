//! Keys and decisions in files, which others may use at the same time, or spoil.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::thread;

use super::super::Standing;
use super::*;

fn alice() -> BareJid {
    "alice@example.org".parse().unwrap()
}

fn fernand() -> BareJid {
    "fernand@example.org".parse().unwrap()
}

fn open(home: &Path) -> TrustStore {
    TrustStore::open(home, &alice()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_device_stays_the_same_and_accounts_have_their_own() {
    let home = tempfile::tempdir().unwrap();
    let first = open(home.path()).identity().public();
    assert_eq!(open(home.path()).identity().public(), first);
    let other = TrustStore::open(home.path(), &fernand()).unwrap();
    assert_ne!(other.identity().public(), first);
}

#[test]
fn decisions_are_kept_and_nobody_else_reads_them() {
    let home = tempfile::tempdir().unwrap();
    let key = PublicKey::from([1; 32]);
    assert_eq!(
        open(home.path()).meet(&fernand(), key).unwrap(),
        Judgement::First
    );
    open(home.path()).verify(&fernand(), "01").unwrap();
    let known = open(home.path()).meet(&fernand(), key).unwrap();
    assert_eq!(known, Judgement::Known(Standing::Verified));
    let folder = home.path().join("alice@example.org");
    assert_eq!(mode(&folder), 0o700);
    for file in [IDENTITY, CONTACTS, LOCK] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    let home = tempfile::tempdir().unwrap();
    open(home.path());
    let path = home.path().join("alice@example.org").join(IDENTITY);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = TrustStore::open(home.path(), &alice()).unwrap_err();
    assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");
}

#[test]
fn what_others_may_write_is_not_believed() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    store.meet(&fernand(), PublicKey::from([1; 32])).unwrap();
    let folder = home.path().join("alice@example.org");
    let path = folder.join(CONTACTS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    let refused = store.contacts().unwrap_err();
    assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = TrustStore::open(home.path(), &alice()).unwrap_err();
    assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");
}

#[test]
fn what_cannot_be_read_is_neither_guessed_nor_replaced() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let folder = home.path().join("alice@example.org");
    fs::write(folder.join(CONTACTS), "[[device]]\n").unwrap();
    let key = PublicKey::from([1; 32]);
    let refused = store.meet(&fernand(), key).unwrap_err();
    assert!(matches!(refused, StoreError::Contacts { .. }), "{refused}");
    assert_eq!(fs::read(folder.join(CONTACTS)).unwrap(), b"[[device]]\n");
    fs::write(folder.join(IDENTITY), "c2VjcmV0").unwrap();
    let refused = TrustStore::open(home.path(), &alice()).unwrap_err();
    assert!(matches!(refused, StoreError::Identity { .. }), "{refused}");
    assert_eq!(fs::read(folder.join(IDENTITY)).unwrap(), b"c2VjcmV0");
}

#[test]
fn those_who_begin_and_decide_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let decide = |contact: u8| {
        let store = open(home.path());
        let who = format!("c{contact}@example.org").parse().unwrap();
        for byte in 0..4 {
            store.meet(&who, PublicKey::from([byte; 32])).unwrap();
        }
        store.identity().public()
    };
    let keys: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|who| scope.spawn(move || decide(who))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    let contacts = open(home.path()).contacts().unwrap();
    assert_eq!(contacts.iter().count(), 8);
    assert!(contacts.iter().all(|(_, devices)| devices.len() == 4));
}

#[test]
fn no_account_has_a_folder_outside_of_its_own() {
    let names = ["a@example.org", "e%x@example.org", "übung@example.org"];
    let folders: Vec<_> = names.map(|name| folder_name(&name.parse().unwrap())).into();
    assert_eq!(
        folders,
        [
            "a@example.org",
            "e%25x@example.org",
            "%c3%bcbung@example.org"
        ]
    );
}
