//! A wrong command line: exit code 2 and one line that names what to mend.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::process::Output;

use program::{complaint, run};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

const TO: [&str; 5] = [
    "--to",
    "fernand@example.org",
    "--service",
    "ssh",
    "--no-subscribe",
];

/// Checks that it ends with code 2 and says this much.
fn refused(output: &Output, named: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = complaint(output);
    for word in named {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
}

async fn offer(address: &str, more: &[&str]) -> Output {
    run(&[&["offer", address][..], &TO, more].concat()).await
}

#[tokio::test]
async fn nothing_at_all_is_refused_with_the_commands() {
    let output = run(&[]).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    for option in ["--help", "--version"] {
        let output = run(&[option]).await;
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[tokio::test]
async fn an_unknown_option_is_named() {
    refused(&offer("localhost:22", &["--fast"]).await, &["--fast"]);
}

#[tokio::test]
async fn a_missing_option_is_named() {
    let output = run(&["accept", "--from", "alice@example.org"]).await;
    refused(&output, &["--listen"]);
}

#[tokio::test]
async fn a_malformed_account_is_named() {
    refused(
        &offer("localhost:22", &["--account", "al ice@"]).await,
        &["al ice@"],
    );
}

#[tokio::test]
async fn an_account_without_a_name_is_told_so() {
    let output = offer("localhost:22", &["--account", "example.org"]).await;
    refused(&output, &["example.org", "@"]);
}

#[tokio::test]
async fn a_contact_with_a_resource_is_told_to_leave_it_out() {
    let output = run(&["connect", "alice@example.org/laptop"]).await;
    refused(&output, &["/laptop"]);
}

#[tokio::test]
async fn a_contact_and_a_room_at_once_are_refused() {
    let room = ["--room", "hall@rooms.example.org"];
    refused(&offer("localhost:22", &room).await, &["--to", "--room"]);
    let accept = ["accept", "--from", "alice@example.org", "--listen", "-"];
    let output = run(&[&accept[..], &room].concat()).await;
    refused(&output, &["--from", "--room"]);
}

#[tokio::test]
async fn without_a_contact_or_a_room_the_option_is_named() {
    let output = run(&["offer", "localhost:22", "--service", "ssh"]).await;
    refused(&output, &["--to"]);
}

#[tokio::test]
async fn a_nick_without_a_room_is_refused() {
    for option in ["--nick", "--room-password-file"] {
        let named = [option, "x"];
        refused(&offer("localhost:22", &named).await, &["--to", option]);
        let command = ["offer", "localhost:22", "--service", "ssh"];
        let output = run(&[&command[..], &named].concat()).await;
        refused(&output, &["--room"]);
    }
}

#[tokio::test]
async fn a_room_with_a_resource_is_told_about_the_nick() {
    let room = ["--room", "hall@rooms.example.org/alice"];
    let output = run(&[&["accept", "--listen", "-"][..], &room].concat()).await;
    refused(&output, &["/alice", "--nick alice"]);
}

#[tokio::test]
async fn a_malformed_address_is_named() {
    for (address, named) in [
        ("localhost", "HOST:PORT"),
        ("localhost:ssh", "ssh"),
        ("localhost:65536", "65536"),
        ("/run/service", "unix:/run/service"),
        ("abstract:", "abstract:NAME"),
        ("::1:22", "brackets"),
    ] {
        refused(&offer(address, &[]).await, &[named]);
    }
}

#[tokio::test]
async fn a_path_too_long_for_a_unix_socket_is_named() {
    let address = format!("unix:/tmp/{}", "x".repeat(120));
    let listen = [
        "accept",
        "--from",
        "alice@example.org",
        "--listen",
        &address,
    ];
    refused(&run(&listen).await, &[&address, "107"]);
    refused(&offer(&address, &[]).await, &[&address, "107"]);
}

#[tokio::test]
async fn a_malformed_server_is_shown_what_one_looks_like() {
    let output = offer("localhost:22", &["--server", "example.org"]).await;
    refused(&output, &["--server", "xmpp.example.org:5222"]);
}

#[tokio::test]
async fn a_malformed_parameter_is_named() {
    for (parameter, named) in [("plain", "="), ("k:float=1", "float"), ("k:uint=-1", "-1")] {
        refused(
            &offer("localhost:22", &["--param", parameter]).await,
            &[named],
        );
    }
}

#[tokio::test]
async fn a_parameter_given_twice_is_named() {
    let output = offer("localhost:22", &["--param", "k=1", "--param", "k=2"]).await;
    refused(&output, &["k twice"]);
}

#[tokio::test]
async fn without_an_account_the_option_is_named() {
    refused(&offer("localhost:22", &[]).await, &["--account"]);
}

#[tokio::test]
async fn without_a_password_and_a_terminal_the_option_is_named() {
    let output = offer("localhost:22", &["--account", "alice@example.org"]).await;
    refused(&output, &["alice@example.org", "--password-file"]);
}

#[tokio::test]
async fn an_unreadable_password_file_is_named_with_the_reason() {
    let account = [
        "--account",
        "alice@example.org",
        "--password-file",
        "/nonexistent/secret",
    ];
    refused(
        &offer("localhost:22", &account).await,
        &["/nonexistent/secret", "No such file"],
    );
}

#[tokio::test]
async fn a_folder_is_no_password_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let account = ["--account", "alice@example.org", "--password-file", path];
    refused(&offer("localhost:22", &account).await, &[path, "directory"]);
}

#[tokio::test]
async fn a_configuration_that_was_named_has_to_exist() {
    let output = offer("localhost:22", &["--config", "/nonexistent/config.toml"]).await;
    refused(&output, &["/nonexistent/config.toml", "No such file"]);
}

#[tokio::test]
async fn a_broken_configuration_is_named_with_its_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "[account.\"alice@example.org\"]\nport = 1\n").unwrap();
    let path = path.to_str().unwrap();
    refused(
        &offer("localhost:22", &["--config", path]).await,
        &[path, "line 2", "port"],
    );
}

#[tokio::test]
async fn no_encryption_is_refused_beyond_this_machine() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "secret").unwrap();
    let options = [
        "--account",
        "alice@example.org",
        "--password-file",
        path.to_str().unwrap(),
        "--server",
        "192.0.2.1:5222",
        "--tls",
        "none",
    ];
    refused(
        &offer("localhost:22", &options).await,
        &["192.0.2.1", "--tls none"],
    );
}

#[tokio::test]
async fn access_by_credentials_needs_a_unix_socket() {
    let output = run(&[
        "accept",
        "--from",
        "alice@example.org",
        "--listen",
        "localhost:0",
        "--access",
        "credentials",
    ])
    .await;
    refused(&output, &["--access credentials", "localhost:0"]);
}

#[tokio::test]
async fn a_command_and_an_address_or_a_header_are_too_much() {
    let output = offer("localhost:22", &["--exec", "cat"]).await;
    refused(&output, &["--exec"]);
    let options = [&["offer", "--exec", "cat", "--proxy-protocol"][..], &TO].concat();
    refused(&run(&options).await, &["--exec", "--proxy-protocol"]);
    refused(&run(&[&["offer"][..], &TO].concat()).await, &["ADDRESS"]);
}

#[tokio::test]
async fn a_mode_or_group_needs_a_socket_file_and_has_to_make_sense() {
    for (listen, more, named) in [
        ("localhost:0", ["--mode", "0660"], "--mode"),
        ("unix:", ["--group", "0"], "--group"),
        ("abstract:x", ["--owner", "0"], "--owner"),
        ("unix:/tmp/x", ["--owner", "no such"], "no such"),
        ("unix:/tmp/x", ["--mode", "0060"], "0060"),
        ("unix:/tmp/x", ["--group", "no such"], "no such"),
    ] {
        let accept = ["accept", "--from", "alice@example.org", "--listen", listen];
        refused(&run(&[&accept[..], &more].concat()).await, &[named]);
    }
}

#[tokio::test]
async fn a_limit_is_a_name_and_a_number_within_bounds() {
    for (limit, named) in [
        ("connections", "NAME=NUMBER"),
        ("tubes=1", "connections_per_contact"),
        ("connections=0", "1 to"),
        ("connections=many", "connections"),
    ] {
        let output = offer("localhost:22", &["--limit", limit]).await;
        refused(&output, &["--limit", named]);
    }
    let send = ["send", "/etc/hostname", "fernand@example.org"];
    let output = run(&[&send[..], &["--limit", "files=1"]].concat()).await;
    refused(&output, &["--limit"]);
}

#[tokio::test]
async fn a_complaint_that_nobody_reads_is_no_failure_of_its_own() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program::prepared(Command::new(program::BINARY));
    let child = command.arg("offer").stderr(writer).spawn();
    let ending = child.unwrap().wait_with_output();
    let output = timeout(program::PATIENCE, ending).await.expect("it ends");
    assert_eq!(output.unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn events_and_a_connection_cannot_share_standard_output() {
    let output = run(&["connect", "alice@example.org", "--output", "json"]).await;
    refused(&output, &["--output json"]);
}

#[tokio::test]
async fn a_demo_of_nothing_is_refused() {
    refused(&run(&["demo", "--size", "0"]).await, &["--size"]);
}

#[tokio::test]
async fn an_unknown_server_kind_is_named() {
    refused(
        &run(&["demo", "--server-kind", "openfire"]).await,
        &["openfire", "embedded"],
    );
}
