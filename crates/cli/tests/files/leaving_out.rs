//! What is not sent is told.

use std::collections::BTreeMap;

use super::*;

/// The ends of so many files: what was sent, and what was not.
async fn skipped(sending: &mut Program, count: usize) -> BTreeMap<String, Value> {
    let mut skipped = BTreeMap::new();
    for _ in 0..count {
        let one = sending.event("file_skipped").await;
        let path = Path::new(one["path"].as_str().unwrap()).to_owned();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        skipped.insert(name, one["error"]["kind"].clone());
    }
    skipped
}

fn of_kind(names: &[&str], kind: &Value) -> BTreeMap<String, Value> {
    let names = names.iter().map(|name| (*name).to_owned());
    names.map(|name| (name, kind.clone())).collect()
}

/// Starts `send` where modes count, also if the tests run as root.
fn send_unprivileged(account: &Account, to: &str, file: &Path) -> Program {
    let command = ["send", text(file), to];
    let privileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
    let launcher = match rustix::process::geteuid().is_root() {
        true => &privileged[..],
        false => &["env"],
    };
    let launcher = [launcher, &[BINARY]].concat();
    Program::start_by(&launcher, &words(&account.with(&command)))
}

#[tokio::test]
async fn what_cannot_be_read_in_a_folder_is_told_and_the_rest_is_sent() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let folder = here.path().join("trip");
    fs::create_dir_all(folder.join("closed")).unwrap();
    for name in ["open", "secret"] {
        fs::write(folder.join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("open", folder.join("link")).unwrap();
    for name in ["closed", "secret"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        fs::set_permissions(folder.join(name), mode).unwrap();
    }
    let _receiving = receive(&fernand, &alice, there.path(), &[]);
    let mut sending = send_unprivileged(&alice, &fernand.jid, &folder);
    let mut expected = of_kind(&["closed", "secret"], &json!("io"));
    expected.extend(of_kind(&["link"], &json!("refused")));
    assert_eq!(skipped(&mut sending, 3).await, expected);
    let failed = sending.event("error").await;
    assert_eq!(failed["kind"], "io");
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(74));
    assert!(said.contains("2 files or folders"), "{said}");
    assert_eq!(fs::read(there.path().join("trip/open")).unwrap(), b"open");
}

#[tokio::test]
async fn a_link_in_a_folder_is_told_and_makes_no_failure() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let folder = here.path().join("trip");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("open"), "open").unwrap();
    std::os::unix::fs::symlink("open", folder.join("link")).unwrap();
    let _receiving = receive(&fernand, &alice, there.path(), &[]);
    let mut sending = send(&alice, &fernand.jid, &[&folder]);
    let expected = of_kind(&["link"], &json!("refused"));
    assert_eq!(skipped(&mut sending, 1).await, expected);
    assert_eq!(sending.end().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_file_that_is_gone_when_it_is_its_turn_is_told() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let names = ["1", "2", "3", "4", "5"];
    let paths = names.map(|name| here.path().join(name));
    for path in &paths {
        fs::write(path, "x").unwrap();
    }
    let files: Vec<_> = paths.iter().map(|path| &**path).collect();
    let mut sending = send(&alice, &fernand.jid, &files);
    for _ in 0..4 {
        sending.event("file_offered").await;
    }
    fs::remove_file(&paths[4]).unwrap();
    let _receiving = receive(&fernand, &alice, there.path(), &[]);
    let expected = of_kind(&["5"], &json!("io"));
    assert_eq!(skipped(&mut sending, 1).await, expected);
    assert_eq!(sending.end().await.0, Some(74));
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 4);
}

#[tokio::test]
async fn what_waits_is_told_when_no_file_can_be_sent_any_more() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let names = ["1", "2", "3", "4", "5", "6"];
    let paths = names.map(|name| here.path().join(name));
    for path in &paths {
        fs::write(path, "x").unwrap();
    }
    let files: Vec<_> = paths.iter().map(|path| &**path).collect();
    // Nobody is there: the first four wait for him, the others for their turn.
    let mut sending = send(&alice, &fernand.jid, &files);
    for _ in 0..4 {
        sending.event("file_offered").await;
    }
    let plain = ["--encryption", "off"];
    let _receiving = receive(&fernand, &alice, there.path(), &plain);
    let expected = of_kind(&["5", "6"], &json!("untrusted"));
    assert_eq!(skipped(&mut sending, 2).await, expected);
    assert_eq!(sending.end().await.0, Some(77));

    let mut sending = send(&alice, "nobody@example.org", &files);
    for _ in 0..4 {
        sending.event("file_offered").await;
    }
    sending.signal(Signal::INT);
    let expected = of_kind(&["5", "6"], &Value::Null);
    assert_eq!(skipped(&mut sending, 2).await, expected);
    assert_eq!(sending.end().await.0, Some(130));
}

#[tokio::test]
async fn what_waits_is_told_when_the_login_fails() {
    let (alice, fernand, here, _) = party(ServerKind::Embedded).await.unwrap();
    fs::write(alice.file("password"), "wrong").unwrap();
    let paths = ["1", "2"].map(|name| here.path().join(name));
    for path in &paths {
        fs::write(path, "x").unwrap();
    }
    let mut sending = send(&alice, &fernand.jid, &[&paths[0], &paths[1]]);
    let expected = of_kind(&["1", "2"], &json!("refused"));
    assert_eq!(skipped(&mut sending, 2).await, expected);
    assert_eq!(sending.end().await.0, Some(77));
}

#[tokio::test]
async fn two_of_one_name_are_refused_before_anything_is_sent() {
    let (alice, fernand, here, _) = party(ServerKind::Embedded).await.unwrap();
    let paths = ["a/x", "b/x"].map(|path| here.path().join(path));
    for path in &paths {
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(path, text(path)).unwrap();
    }
    let command = ["send", text(&paths[0]), text(&paths[1]), &fernand.jid];
    let output = run(&words(&alice.with(&command))).await;
    assert_eq!(output.status.code(), Some(2));
    let said = complaint(&output);
    for path in &paths {
        assert!(said.contains(text(path)), "{said}");
    }
    assert!(output.stdout.is_empty());
}
