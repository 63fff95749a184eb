//! How commands end when they are put out of their room, or it is no more.

use std::process::Output;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::program::{Account, PATIENCE, Program, piped, words};
use crate::stage::Room;

on_each_server![
    who_is_kicked_is_refused_and_says_so,
    who_is_banned_is_refused,
    who_is_no_member_any_more_is_refused,
    a_room_that_is_destroyed_is_gone,
    who_accepts_once_is_told_of_the_room_and_not_of_the_tube,
    the_only_connection_ends_as_the_stay_does,
];

async fn who_is_kicked_is_refused_and_says_so(room: Room) {
    let both = Both::of(&room).await;
    room.kick("fernand").await;
    ended(
        &room,
        both.accepting,
        ("refused", 77),
        &["kicked", "enough"],
    )
    .await;
    room.kick("alice").await;
    ended(&room, both.offering, ("refused", 77), &["kicked", "enough"]).await;
}

async fn who_is_banned_is_refused(room: Room) {
    let both = Both::of(&room).await;
    for jid in [&both.fernand.jid, &both.alice.jid] {
        room.administer(&format!("<item jid='{jid}' affiliation='outcast'/>"))
            .await;
    }
    ended(&room, both.accepting, ("refused", 77), &["banned"]).await;
    ended(&room, both.offering, ("refused", 77), &["banned"]).await;
}

async fn who_is_no_member_any_more_is_refused(room: Room) {
    // The embedded one knows no members.
    if room.server.kind() == ServerKind::Embedded {
        return;
    }
    let both = Both::of(&room).await;
    room.configure(&[("muc#roomconfig_membersonly", "1")]).await;
    ended(&room, both.accepting, ("refused", 77), &["members"]).await;
    ended(&room, both.offering, ("refused", 77), &["members"]).await;
}

async fn a_room_that_is_destroyed_is_gone(room: Room) {
    let both = Both::of(&room).await;
    room.destroy().await;
    ended(&room, both.accepting, ("gone", 69), &["destroyed"]).await;
    ended(&room, both.offering, ("gone", 69), &["destroyed"]).await;
}

async fn who_accepts_once_is_told_of_the_room_and_not_of_the_tube(room: Room) {
    let (alice, fernand) = room.two().await;
    let mut offering = room.offer(&alice, &["--nick", "alice"]).await;
    offering.event("tube_offered").await;
    let mut accepting = room.accept(&fernand, &["--nick", "fernand", "--once"]);
    accepting.event("listening").await;
    room.kick("fernand").await;
    ended(&room, accepting, ("refused", 77), &["kicked"]).await;
}

async fn the_only_connection_ends_as_the_stay_does(room: Room) {
    let (alice, fernand) = room.two().await;
    let mut offering = room.offer(&alice, &["--nick", "alice"]).await;
    offering.event("tube_offered").await;
    let command = ["accept", "--room", &room.jid, "--nick", "fernand"];
    let command = [&command[..], &["--service", "x-echo", "--listen", "-"]].concat();
    let (child, mut stdin, mut stdout) = piped(&words(&fernand.with(&command)));
    stdin.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    let read = stdout.read_exact(&mut echo);
    timeout(PATIENCE, read).await.expect("an echo").unwrap();
    room.kick("fernand").await;
    let ended = timeout(PATIENCE, child.wait_with_output());
    let output: Output = ended.await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    // Standard error has its sentences, too.
    let said = String::from_utf8(output.stderr).unwrap();
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("tubes: ") && last.contains("kicked"),
        "{said}"
    );
}

/// One who offers, and one who has accepted.
struct Both {
    alice: Account,
    offering: Program,
    fernand: Account,
    accepting: Program,
}

impl Both {
    async fn of(room: &Room) -> Self {
        let (alice, fernand) = room.two().await;
        let mut offering = room.offer(&alice, &["--nick", "alice"]).await;
        offering.event("tube_offered").await;
        let mut accepting = room.accept(&fernand, &["--nick", "fernand"]);
        accepting.event("listening").await;
        Self {
            alice,
            offering,
            fernand,
            accepting,
        }
    }
}

/// Waits until the command ends with this kind of reason and this exit code, and says so in one line.
async fn ended(room: &Room, mut program: Program, how: (&str, i32), words: &[&str]) {
    let (kind, code) = how;
    let left = program.event("room_left").await;
    assert_eq!(left["room"], room.jid);
    assert_eq!(left["error"]["kind"], kind);
    let (ended, said) = program.end().await;
    assert_eq!(ended, Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in words.iter().copied().chain([&*room.jid]) {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}
