//! What is required of a contact holds in rooms, too, where the room shows who it is; never less.
#![allow(clippy::unwrap_used, reason = "tests")]

use tubes_secure::{
    Distrust, Encryption, Guard, Identity, Occupant, PublicKey, Terms, TrustStore, Whom, ability,
};
use xmpp_parsers::jid::BareJid;

fn room() -> BareJid {
    "room@rooms.example".parse().unwrap()
}

fn fernand() -> BareJid {
    "fernand@example.org".parse().unwrap()
}

fn key() -> PublicKey {
    Identity::generate().unwrap().0.public()
}

/// Somebody in the room, whose occupant it is by the room's word.
fn occupant(real: Option<BareJid>) -> Whom {
    Whom::Occupant(Occupant {
        jid: room().with_resource_str("fern").unwrap(),
        stay: 1,
        id: None,
        real,
    })
}

struct Bench {
    guard: Guard,
    _home: tempfile::TempDir,
}

impl Bench {
    fn new(encryption: Encryption) -> Self {
        let home = tempfile::tempdir().unwrap();
        let account = "alice@example.org".parse().unwrap();
        let store = TrustStore::open(home.path(), &account).unwrap();
        let guard = Guard::new(store, encryption);
        guard.visits().began(1);
        Self { guard, _home: home }
    }

    fn with(mut self, whom: BareJid, encryption: Encryption) -> Self {
        self.guard = self.guard.with_contact(whom, encryption);
        self
    }

    async fn says_nothing(&self, whom: &Whom) -> Result<Terms, Distrust> {
        self.guard.judge(whom, &[]).await
    }
}

#[tokio::test]
async fn who_must_encrypt_must_do_so_in_a_room_that_shows_it() {
    let bench = Bench::new(Encryption::Preferred).with(fernand(), Encryption::Required);
    let shown = occupant(Some(fernand()));
    let refused = bench.says_nothing(&shown).await;
    assert!(matches!(refused, Err(Distrust::Plain(_))), "{refused:?}");
    // Of whom nothing is shown nothing is known.
    assert_eq!(
        bench.says_nothing(&occupant(None)).await.unwrap(),
        Terms::Plain
    );
}

#[tokio::test]
async fn what_a_contact_need_not_do_the_room_may_require() {
    for (of_room, of_fernand) in [
        (Encryption::Required, Encryption::Off),
        (Encryption::Required, Encryption::Preferred),
        (Encryption::Preferred, Encryption::Required),
    ] {
        let bench = Bench::new(Encryption::Off)
            .with(room(), of_room)
            .with(fernand(), of_fernand);
        let shown = occupant(Some(fernand()));
        let refused = bench.says_nothing(&shown).await;
        assert!(matches!(refused, Err(Distrust::Plain(_))), "{refused:?}");
        assert_eq!(bench.guard.abilities(&shown).len(), 1);
    }
}

#[tokio::test]
async fn who_has_encrypted_before_does_so_in_a_room_that_shows_it() {
    let bench = Bench::new(Encryption::Preferred);
    bench.guard.store().meet(&fernand(), key()).unwrap();
    let refused = bench.says_nothing(&occupant(Some(fernand()))).await;
    assert!(
        matches!(refused, Err(Distrust::Downgrade(_))),
        "{refused:?}"
    );
    let carol: BareJid = "carol@example.org".parse().unwrap();
    let shown = occupant(Some(carol));
    assert_eq!(bench.says_nothing(&shown).await.unwrap(), Terms::Plain);
}

#[tokio::test]
async fn another_key_than_that_of_the_contact_is_refused_where_the_room_shows_who_it_is() {
    let bench = Bench::new(Encryption::Required);
    let (known, other) = (key(), key());
    bench.guard.store().meet(&fernand(), known).unwrap();
    let shown = occupant(Some(fernand()));
    let refused = bench.guard.judge(&shown, &[ability(other)]).await;
    assert!(
        matches!(refused, Err(Distrust::OtherKey { .. })),
        "{refused:?}"
    );
    let taken = bench.guard.judge(&shown, &[ability(known)]).await;
    assert_eq!(taken.unwrap(), Terms::Encrypted(known));
    let hidden = bench.guard.judge(&occupant(None), &[ability(other)]).await;
    assert_eq!(hidden.unwrap(), Terms::Encrypted(other));
}

#[tokio::test]
async fn who_is_revoked_is_so_in_rooms() {
    let bench = Bench::new(Encryption::Preferred);
    let revoked = key();
    bench.guard.store().meet(&fernand(), revoked).unwrap();
    bench.guard.store().revoke(&fernand(), "").unwrap();
    let shown = occupant(Some(fernand()));
    let refused = bench.guard.judge(&shown, &[ability(revoked)]).await;
    assert!(
        matches!(refused, Err(Distrust::Revoked { .. })),
        "{refused:?}"
    );
}
