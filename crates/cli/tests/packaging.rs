//! What packagers make of the program: completions and manual pages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::process::Stdio;

use program::run;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const COMMANDS: [&str; 11] = [
    "demo",
    "offer",
    "accept",
    "connect",
    "discover",
    "send",
    "receive",
    "doctor",
    "trust",
    "completions",
    "man",
];

async fn printed(args: &[&str]) -> String {
    let output = run(args).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn bash_understands_its_completions() {
    let script = printed(&["completions", "bash"]).await;
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).await.unwrap();
    drop(stdin);
    let output = bash.wait_with_output().await.unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[tokio::test]
async fn every_shell_is_told_of_every_command() {
    // What stands around a command where, in the language of each, its options follow.
    for (shell, before, behind) in [
        ("bash", "tubes,", ")"),
        ("elvish", "&'tubes;", "'= {"),
        ("fish", "\"__fish_tubes_needs_command\" -f -a \"", "\""),
        ("powershell", "'tubes;", "' {"),
        ("zsh", "(", ")\n"),
    ] {
        let script = printed(&["completions", shell]).await;
        for command in COMMANDS {
            let entry = format!("{before}{command}{behind}");
            assert!(script.contains(&entry), "`{entry}` for {shell}");
        }
    }
}

/// Else a new command could be forgotten here.
#[tokio::test]
async fn these_are_all_the_commands() {
    let help = printed(&["--help"]).await;
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What does not fit a line goes on further to the right.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let own: Vec<_> = listed.filter(|command| *command != "help").collect();
    assert_eq!(own, COMMANDS);
}

#[tokio::test]
async fn an_unknown_shell_is_a_wrong_command_line() {
    let output = run(&["completions", "cmd"]).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn the_manual_page_lists_the_commands() {
    let page = printed(&["man"]).await;
    for section in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH SUBCOMMANDS"] {
        assert!(page.contains(section), "{section} in {page}");
    }
    for command in COMMANDS {
        assert!(
            page.contains(&format!("tubes\\-{command}(1)")),
            "{command} in {page}"
        );
    }
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let folder = TempDir::new().unwrap();
    printed(&["man", "--into", folder.path().to_str().unwrap()]).await;
    assert!(folder.path().join("tubes.1").exists());
    for command in COMMANDS {
        let page = fs::read_to_string(folder.path().join(format!("tubes-{command}.1"))).unwrap();
        assert!(page.contains(&format!("tubes {command}")), "{page}");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let output = run(&["man", "--into", "/nonexistent"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(program::complaint(&output).contains("/nonexistent/tubes.1"));
}
