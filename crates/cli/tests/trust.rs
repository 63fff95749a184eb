//! Whose keys are trusted, from meeting to revoking, and what `--encryption` does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use program::{Account, Program, complaint, events, friends, run, words};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tubes_server::ServerKind;

/// A service that says who it is, and ends.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                socket.write_all(b"hello").await.unwrap();
                socket.shutdown().await.unwrap();
                let mut rest = Vec::new();
                // Whoever is refused resets.
                let _ = socket.read_to_end(&mut rest).await;
            });
        }
    });
    format!("tcp:{address}")
}

/// Offers it, and is online.
async fn offer(account: &Account, to: &Account, address: &str, more: &[&str]) -> Program {
    let command = ["offer", address, "--to", &to.jid, "--service", "greeting"];
    let mut offering = Program::start(&words(&account.with(&[&command, more].concat())));
    offering.event("online").await;
    offering
}

/// Uses the tube once; what came, or the complaint with which it ended with 77.
async fn connect(account: &Account, to: &Account, more: &[&str]) -> Result<Vec<u8>, String> {
    let command = [
        &["connect", to.jid.as_str(), "greeting", "--wait", "60"],
        more,
    ]
    .concat();
    let output = run(&words(&account.with(&command))).await;
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        code => {
            assert_eq!(code, Some(77), "{output:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            Err(said.lines().last().unwrap_or_default().to_owned())
        }
    }
}

/// What `tubes trust` prints for this account.
async fn trust(account: &Account, command: &[&str]) -> Vec<Value> {
    let all = [
        &["trust"],
        command,
        &["--account", &account.jid, "--output", "json"],
    ];
    let output = run(&all.concat()).await;
    assert!(output.status.success(), "{output:?}");
    events(&output)
}

#[tokio::test]
async fn keys_are_pinned_compared_revoked_and_accepted() {
    let Some((alice, fernand)) = friends(ServerKind::Embedded).await else {
        return;
    };
    let mut offering = offer(&alice, &fernand, &service().await, &[]).await;
    assert_eq!(connect(&fernand, &alice, &[]).await.unwrap(), b"hello");
    let pinned = offering.event("trust").await;
    assert_eq!(pinned["decision"], "pinned");
    assert_eq!(pinned["peer"], fernand.jid.as_str());
    let opened = offering.event("connection_opened").await;
    assert_eq!(
        (&opened["encrypted"], &opened["trust"], &opened["key"]),
        (&true.into(), &"first".into(), &pinned["key"])
    );

    let hers = trust(&alice, &["list"]).await;
    let his = trust(&fernand, &["list"]).await;
    for (list, other) in [(&hers, &his), (&his, &hers)] {
        assert_eq!(list.len(), 2);
        assert_eq!(list[0]["standing"], "own");
        assert_eq!(list[1]["standing"], "pinned");
        assert_eq!(list[1]["key"], other[0]["key"]);
    }
    let [seen, also] = [(&alice, &fernand), (&fernand, &alice)]
        .map(|(one, other)| async move { trust(one, &["verify", &other.jid]).await });
    let (seen, also) = (seen.await, also.await);
    assert_eq!(seen[0]["number"], also[0]["number"]);
    // Nobody could be asked, so nothing was decided.
    assert_eq!(seen.len(), 1);

    let key = pinned["key"].as_str().unwrap();
    trust(&alice, &["verify", &fernand.jid, key, "--same"]).await;
    assert_eq!(connect(&fernand, &alice, &[]).await.unwrap(), b"hello");
    let opened = offering.event("connection_opened").await;
    assert_eq!(opened["trust"], "verified");

    trust(&alice, &["revoke", &fernand.jid]).await;
    let refused = connect(&fernand, &alice, &[]).await.unwrap_err();
    assert!(refused.contains("revoked"), "{refused}");
    let told = offering.event("trust").await;
    assert_eq!(told["decision"], "refused");

    trust(&alice, &["accept", &fernand.jid, key]).await;
    assert_eq!(connect(&fernand, &alice, &[]).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_refusal_names_the_option_that_allows_it() {
    let Some((alice, fernand)) = friends(ServerKind::Embedded).await else {
        return;
    };
    let mut offering = offer(&alice, &fernand, &service().await, &["--encryption", "off"]).await;
    let refused = connect(&fernand, &alice, &[]).await.unwrap_err();
    assert!(refused.contains("--encryption preferred"), "{refused}");
    let lenient = ["--encryption", "preferred"];
    assert_eq!(connect(&fernand, &alice, &lenient).await.unwrap(), b"hello");
    let opened = offering.event("connection_opened").await;
    assert_eq!(opened["encrypted"], false);
    assert_eq!(
        (&opened["key"], &opened["trust"]),
        (&Value::Null, &Value::Null)
    );
}

/// The one that was shown could have been exchanged since.
#[tokio::test]
async fn what_was_compared_is_named_in_full() {
    for key in [&[][..], &["8a4f"]] {
        let command = ["trust", "verify", "fernand@tubes.test", "--same"];
        let account = ["--account", "nobody@tubes.test"];
        let output = run(&[&command[..], key, &account].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(complaint(&output).contains("the whole key"), "{output:?}");
    }
}

/// Not even where everything else is silent.
#[tokio::test]
async fn a_plain_connection_says_so() {
    let Some((alice, fernand)) = friends(ServerKind::Embedded).await else {
        return;
    };
    let _offering = offer(&alice, &fernand, &service().await, &["--encryption", "off"]).await;
    let lenient = [
        "connect",
        &alice.jid,
        "greeting",
        "--wait",
        "60",
        "--encryption",
        "preferred",
    ];
    let output = run(&words(&fernand.with(&lenient))).await;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("are plain"), "{said}");
}

#[tokio::test]
async fn who_asks_for_a_device_that_is_not_there_is_told() {
    let account = ["--account", "nobody@tubes.test"];
    let command = ["trust", "revoke", "fernand@tubes.test"];
    let output = run(&[&command[..], &account].concat()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let complaint = complaint(&output);
    assert!(
        complaint.contains("no device of fernand@tubes.test"),
        "{complaint}"
    );
}
