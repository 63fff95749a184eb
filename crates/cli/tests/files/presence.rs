//! What contacts see of who receives.

use std::io::{self, Read, Write};
use std::process::Stdio;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::process::Command;

use super::*;

/// A pipe that is full.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 512]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Nobody reads that it is online, so the command stands there; what it has to do first is done.
#[tokio::test]
async fn who_receives_agrees_with_the_contact_before_it_says_to_be_online_and_takes_no_tubes() {
    let (alice, fernand, _, there) = party(ServerKind::Embedded).await.unwrap();
    let (mut reader, writer) = full_pipe();
    let receive = [
        "receive",
        "--from",
        &alice.jid,
        "--into",
        text(there.path()),
    ];
    let receive = fernand.with(&receive);
    let mut command = program::prepared(Command::new(BINARY));
    command.args(receive).args(["--output", "json"]);
    command.stdin(Stdio::null()).stdout(writer);
    let mut receiving = command.spawn().unwrap();
    // So that the pipe ends with the command.
    drop(command);

    let look = ["discover", &fernand.jid, "--output", "json"];
    let seen = program::discover(&words(&alice.with(&look)), r#""answered":true"#).await;
    let said = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(seen.status.code(), Some(0), "{said}");
    let seen = program::events(&seen);
    let seen = seen.iter().find(|event| event["event"] == "resource");
    let seen = seen.expect("he is there");
    assert_eq!(seen["files"], true);
    assert_eq!(seen["tubes"], false);
    assert_eq!(seen["ours"], true);

    receiving.kill().await.unwrap();
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    assert!(!told.contains("online"), "{told}");
}
