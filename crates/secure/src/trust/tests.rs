//! What is decided on keys, in any order of things.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn fernand() -> BareJid {
    "fernand@example.org".parse().unwrap()
}

fn key(byte: u8) -> PublicKey {
    PublicKey::from([byte; 32])
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_286_400)
}

#[test]
fn the_first_device_is_trusted_and_any_other_waits_for_people() {
    let mut contacts = Contacts::default();
    assert!(!contacts.encrypts(&fernand()));
    assert_eq!(contacts.meet(&fernand(), key(1), now()), Judgement::First);
    let known = Judgement::Known(Standing::Pinned);
    assert_eq!(contacts.meet(&fernand(), key(1), now()), known);
    assert_eq!(contacts.meet(&fernand(), key(2), now()), Judgement::Other);
    assert_eq!(contacts.meet(&fernand(), key(2), now()), Judgement::Other);
    assert!(contacts.encrypts(&fernand()));
    let accepted = contacts.accept(&fernand(), key(2), now());
    assert_eq!(
        (accepted.key, accepted.standing),
        (key(2), Standing::Pinned)
    );
    assert_eq!(contacts.meet(&fernand(), key(2), now()), known);
    assert_eq!(contacts.meet(&fernand(), key(1), now()), known);
}

#[test]
fn what_was_revoked_stays_revoked_and_nothing_takes_its_place() {
    let mut contacts = Contacts::default();
    contacts.meet(&fernand(), key(1), now());
    contacts.revoke(&fernand(), "").unwrap();
    assert_eq!(contacts.meet(&fernand(), key(1), now()), Judgement::Revoked);
    let refused = contacts.verify(&fernand(), "");
    assert!(
        matches!(refused, Err(UnknownDevice::Revoked(..))),
        "{refused:?}"
    );
    assert!(contacts.encrypts(&fernand()));
    // He may have a new device by now, or it is the one who had the old one.
    assert_eq!(contacts.meet(&fernand(), key(2), now()), Judgement::Other);
}

#[test]
fn what_is_only_claimed_takes_little_room_and_no_place_of_anothers() {
    let mut contacts = Contacts::default();
    contacts.meet(&fernand(), key(0), now());
    for byte in 1..100 {
        assert_eq!(
            contacts.meet(&fernand(), key(byte), now()),
            Judgement::Other
        );
    }
    let keys: Vec<_> = contacts
        .devices(&fernand())
        .iter()
        .map(|device| device.key)
        .collect();
    let expected: Vec<_> = (0..9).map(key).collect();
    assert_eq!(keys, expected);
    // One that was not kept can be accepted all the same: people have its whole name.
    contacts.accept(&fernand(), key(99), now());
    assert!(contacts.judge(&fernand(), key(99)).is_trusted());
}

#[test]
fn what_is_published_is_neither_trusted_nor_refused() {
    let mut contacts = Contacts::default();
    contacts.publish(&fernand(), &[key(1), key(2)], now());
    assert!(contacts.encrypts(&fernand()));
    // Not even the first meeting has to be with one of them.
    assert_eq!(contacts.judge(&fernand(), key(3)), Judgement::First);
    assert_eq!(contacts.meet(&fernand(), key(1), now()), Judgement::First);
    assert_eq!(contacts.judge(&fernand(), key(2)), Judgement::Other);
    // What was met stays, whatever is published.
    contacts.publish(&fernand(), &[key(4)], now());
    let standings: Vec<_> = contacts
        .devices(&fernand())
        .iter()
        .map(|device| (device.key, device.standing))
        .collect();
    let expected = [(key(1), Standing::Pinned), (key(4), Standing::Published)];
    assert_eq!(standings, expected);
    // It needs no further name for that.
    assert_eq!(contacts.find(&fernand(), "").unwrap().key, key(1));
}

#[test]
fn a_key_can_be_compared_before_it_is_met() {
    let mut contacts = Contacts::default();
    contacts.publish(&fernand(), &[key(1)], now());
    contacts.verify(&fernand(), "").unwrap();
    assert_eq!(contacts.meet(&fernand(), key(2), now()), Judgement::Other);
    let known = Judgement::Known(Standing::Verified);
    assert_eq!(contacts.meet(&fernand(), key(1), now()), known);
}

#[test]
fn what_is_published_takes_little_room() {
    let mut contacts = Contacts::default();
    let many: Vec<_> = (0..100).map(key).collect();
    for number in 0..2000 {
        let contact = format!("c{number}@example.org").parse().unwrap();
        contacts.publish(&contact, &many, now());
    }
    assert_eq!(contacts.iter().count(), 512);
    assert!(contacts.iter().all(|(_, devices)| devices.len() == 16));
    contacts.publish(&contact(0), &[key(1)], now());
    assert_eq!(contacts.devices(&contact(0)).len(), 1);
    contacts.publish(&contact(0), &[], now());
    assert!(!contacts.encrypts(&contact(0)));
    // Nobody is turned away for that.
    assert_eq!(contacts.meet(&fernand(), key(1), now()), Judgement::First);
}

#[test]
fn what_was_compared_stays_so() {
    let mut contacts = Contacts::default();
    contacts.meet(&fernand(), key(1), now());
    contacts.verify(&fernand(), "").unwrap();
    assert_eq!(
        contacts.accept(&fernand(), key(1), now()).standing,
        Standing::Verified
    );
}

#[test]
fn a_device_is_found_by_as_much_of_its_name_as_is_needed() {
    let mut contacts = Contacts::default();
    assert_eq!(
        contacts.find(&fernand(), ""),
        Err(UnknownDevice::NoneOf(fernand()))
    );
    contacts.meet(&fernand(), key(1), now());
    assert_eq!(contacts.find(&fernand(), "").unwrap().key, key(1));
    contacts.meet(&fernand(), key(2), now());
    let several = UnknownDevice::Several(fernand(), String::new());
    assert_eq!(contacts.find(&fernand(), ""), Err(several));
    let name = key(2).fingerprint();
    assert_eq!(
        contacts.find(&fernand(), name.as_str()).unwrap().key,
        key(2)
    );
    let none = UnknownDevice::NoSuch(fernand(), "!".to_owned());
    assert_eq!(contacts.find(&fernand(), "!"), Err(none));
}

#[test]
fn a_file_that_says_more_than_is_understood_is_refused() {
    let entry = |more: &str| {
        format!(
            "[[device]]\ncontact = 'fernand@example.org'\nkey = '{}'\nfirst_seen = 1\n{more}\n",
            key(1)
        )
    };
    assert!(Contacts::parse(&entry("standing = 'pinned'")).is_ok());
    for more in [
        "standing = 'trusted'",
        "",
        "standing = 'pinned'\nexpires = 3",
    ] {
        let refused = Contacts::parse(&entry(more)).unwrap_err();
        assert!(matches!(refused, FileError::Malformed(_)), "{more}");
    }
    let twice = entry("standing = 'revoked'") + &entry("standing = 'pinned'");
    assert_eq!(Contacts::parse(&twice), Err(FileError::Twice(fernand())));
    assert!(Contacts::parse("device = 3").is_err());
    assert!(Contacts::parse("[other]").is_err());
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Happening {
    Meets(u8, u8),
    Publishes(u8, Vec<u8>),
    Accepts(u8, u8),
    Revokes(u8, u8),
    Verifies(u8, u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    let pair = || (0..4_u8, 0..16_u8);
    prop_oneof![
        6 => pair().prop_map(|(who, key)| Happening::Meets(who, key)),
        2 => (0..4_u8, proptest::collection::vec(0..16_u8, 0..4))
            .prop_map(|(who, keys)| Happening::Publishes(who, keys)),
        1 => pair().prop_map(|(who, key)| Happening::Accepts(who, key)),
        1 => pair().prop_map(|(who, key)| Happening::Revokes(who, key)),
        1 => pair().prop_map(|(who, key)| Happening::Verifies(who, key)),
    ]
}

fn contact(who: u8) -> BareJid {
    format!("c{who}@example.org").parse().unwrap()
}

proptest! {
    #[test]
    fn only_the_first_or_what_people_accepted_is_ever_trusted(
        happenings in proptest::collection::vec(happening(), 0..60)
    ) {
        let mut contacts = Contacts::default();
        // Whom people, or the first use, have trusted, as of now.
        let mut trusted = BTreeSet::new();
        let mut met = BTreeSet::new();
        for happening in happenings {
            match happening {
                Happening::Meets(who, byte) => {
                    let judgement = contacts.meet(&contact(who), key(byte), now());
                    let first = met.insert(who);
                    prop_assert_eq!(judgement == Judgement::First, first);
                    if first {
                        trusted.insert((who, byte));
                    }
                    prop_assert_eq!(judgement.is_trusted(), trusted.contains(&(who, byte)));
                    let again = contacts.judge(&contact(who), key(byte));
                    prop_assert_eq!(again.is_trusted(), judgement.is_trusted());
                }
                Happening::Publishes(who, bytes) => {
                    let keys: Vec<_> = bytes.into_iter().map(key).collect();
                    contacts.publish(&contact(who), &keys, now());
                }
                Happening::Accepts(who, byte) => {
                    contacts.accept(&contact(who), key(byte), now());
                    met.insert(who);
                    trusted.insert((who, byte));
                }
                Happening::Revokes(who, byte) => {
                    let name = key(byte).fingerprint();
                    if contacts.revoke(&contact(who), name.as_str()).is_ok() {
                        met.insert(who);
                        trusted.remove(&(who, byte));
                    }
                }
                Happening::Verifies(who, byte) => {
                    let name = key(byte).fingerprint();
                    if contacts.verify(&contact(who), name.as_str()).is_ok() {
                        met.insert(who);
                        trusted.insert((who, byte));
                    }
                }
            }
            for (_, devices) in contacts.iter() {
                prop_assert!(devices.len() <= 16);
            }
        }
        let text = contacts.to_text().unwrap();
        prop_assert_eq!(Contacts::parse(&text).unwrap(), contacts);
    }

    #[test]
    fn no_file_panics(text in "\\PC{0,200}") {
        let _ = Contacts::parse(&text);
    }
}
