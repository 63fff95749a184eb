//! The transport of `docs/writing-a-transport.md` is this one, and works outside the workspace.
#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

#[test]
fn the_documented_code_is_the_code_of_this_crate() {
    let documented = documented();
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(crate_root.join("src")).unwrap();
    assert_eq!(sources.count(), 2, "every source file is documented");
    for file in ["src/lib.rs", "src/half.rs", "tests/compliance.rs"] {
        let ours = fs::read_to_string(crate_root.join(file)).unwrap();
        assert!(documented[file] == ours, "{file} differs from the document");
    }
}

#[tokio::test]
async fn the_documented_crate_complies_and_carries_tubes_outside_the_workspace() {
    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    let here = outside.join("tubes-memory");
    for (file, text) in documented() {
        // The document has a checkout beside the crate; ours is wherever it is.
        let mut text = text.replace("\"../tubes", &format!("\"{}", checkout().display()));
        if file == "Cargo.toml" {
            // Lest a workspace above this folder is taken for its own.
            text.push_str("\n[workspace]\n");
        }
        write(&here.join(file), &text);
    }
    // The versions that are there already; cargo takes out what is not needed.
    fs::copy(checkout().join("Cargo.lock"), here.join("Cargo.lock")).unwrap();

    let said = cargo_test(&here, &outside.join("target")).await;
    for (test, times) in PASSED {
        let passed = format!("test {test} ... ok\n");
        assert_eq!(said.matches(&passed).count(), times, "{test}: {said}");
    }
}

/// Runs the crate's tests and returns what they printed.
async fn cargo_test(folder: &Path, target: &Path) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let running = Command::new(cargo)
        .args(["test", "--offline", "--test", "compliance"])
        .args(["--test", "counted", "--test", "tube", "--target-dir"])
        .arg(target)
        .current_dir(folder)
        // It is built once and never debugged.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, running).await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let said = said.concat();
    assert!(output.status.success(), "{said}");
    said
}

/// The files of the document, by their paths: all its blocks with such a title, in order.
fn documented() -> BTreeMap<String, String> {
    let document = fs::read_to_string(checkout().join("docs/writing-a-transport.md")).unwrap();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some((_, title)) = line.split_once(" title=\"") else {
            continue;
        };
        let file = files.entry(title.trim_end_matches('"').to_owned());
        let text = file.and_modify(|text| text.push('\n')).or_default();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

/// Writes what is not there already: an untouched file is not built again.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// Tests, and how often each of them has to pass. Two transports comply: the one in process, and the one around it.
const PASSED: [(&str, usize); 3] = [
    ("an_abrupt_drop_is_an_error_and_no_end", 2),
    ("a_tube_goes_over_this_transport", 1),
    ("where_it_fails_the_tube_goes_over_the_next_one", 1),
];

/// For the build and the tests, on a slow machine that is busy. Warm it takes seconds.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
