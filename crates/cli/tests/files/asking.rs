//! Somebody at a terminal who is asked.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::*;

/// The binary at a terminal (script(1)), and somebody who sees and types.
struct Terminal {
    _child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// What was shown and not yet looked at.
    shown: String,
}

impl Terminal {
    /// Runs a line as a shell has it, and has so much of it logged.
    fn run(line: &str, log: &str) -> Self {
        let mut script = program::prepared(Command::new("script"));
        script.args(["-q", "-e", "-c", line, "/dev/null"]);
        script.env("RUST_LOG", log);
        let mut child = script.stdin(Stdio::piped()).spawn().unwrap();
        Self {
            keyboard: child.stdin.take().unwrap(),
            screen: child.stdout.take().unwrap(),
            shown: String::new(),
            _child: child,
        }
    }

    /// Asks for each file of Alice's, and is ready to.
    async fn asking(fernand: &Account, alice: &Account, into: &Path) -> Self {
        let mut terminal = Self::run(&ask(fernand, alice, into), "warn");
        terminal.sees("interrupt to end").await;
        terminal
    }

    async fn types(&mut self, line: &str) {
        self.begins_to_type(&format!("{line}\n")).await;
    }

    async fn begins_to_type(&mut self, letters: &str) {
        self.keyboard.write_all(letters.as_bytes()).await.unwrap();
    }

    /// What is shown up to this text, and the text.
    async fn sees(&mut self, text: &str) -> String {
        let looking = async {
            loop {
                if let Some(at) = self.shown.find(text) {
                    let rest = self.shown.split_off(at + text.len());
                    return std::mem::replace(&mut self.shown, rest);
                }
                let mut more = [0; 4096];
                let length = self.screen.read(&mut more).await.unwrap();
                assert_ne!(length, 0, "no `{text}` came after: {}", self.shown);
                self.shown += &String::from_utf8_lossy(&more[..length]);
            }
        };
        let seen = timeout(PATIENCE, looking).await;
        seen.unwrap_or_else(|_| panic!("no `{text}` came"))
    }

    /// Sees the question about this file.
    async fn is_asked(&mut self, name: &str) -> String {
        self.sees(&format!("\"{name}\". Receive it? ")).await + &self.sees(CHOICE).await
    }
}

/// The command line that asks for each file of Alice's.
fn ask(fernand: &Account, alice: &Account, into: &Path) -> String {
    let command = [
        "receive",
        "--ask",
        "--from",
        &alice.jid,
        "--into",
        text(into),
    ];
    let line = fernand.with(&command).into_iter();
    let line = [BINARY.to_owned()].into_iter().chain(line);
    let quoted: Vec<_> = line.map(|word| format!("'{word}'")).collect();
    quoted.join(" ")
}

/// Files that have their names as content.
fn named(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| folder.join(name));
    paths
        .inspect(|path| fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_file_is_received_if_somebody_at_the_terminal_says_yes() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let files = named(here.path(), &["wanted", "other"]);
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;

    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    let question = terminal.is_asked("wanted").await;
    let (_, question) = question.rsplit_once('\n').unwrap();
    assert!(question.starts_with(&alice.jid), "{question}");
    assert!(question.contains("(6 bytes)"), "{question}");
    terminal.types("y").await;
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert_eq!(fs::read(there.path().join("wanted")).unwrap(), b"wanted");

    let sending = send(&alice, &fernand.jid, &[&files[1]]);
    terminal.is_asked("other").await;
    // Neither yes nor no: asked again.
    terminal.types("perhaps").await;
    terminal.is_asked("other").await;
    terminal.types("n").await;
    let (code, said) = sending.end().await;
    assert_eq!(code, Some(77));
    assert!(said.contains("does not want"), "{said}");
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_typed_before_a_question_is_no_answer_to_it() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let files = named(here.path(), &["unseen"]);
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;
    terminal.types("y").await;
    // The terminal has it.
    terminal.sees("y\r\n").await;
    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    terminal.is_asked("unseen").await;
    terminal.types("n").await;
    assert_eq!(sending.end().await.0, Some(77));
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_typed_before_a_question_is_repeated_is_no_answer_to_it() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let files = named(here.path(), &["unseen"]);
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;
    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    terminal.is_asked("unseen").await;
    // The terminal has both lines before the program can have taken the first for no answer.
    terminal.types("perhaps\ny").await;
    terminal.is_asked("unseen").await;
    // The end of this would be one, but it is not a line.
    terminal.types(&format!("{}y", "x".repeat(256))).await;
    terminal.is_asked("unseen").await;
    terminal.types("n").await;
    assert_eq!(sending.end().await.0, Some(77));
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_logged_leaves_the_question_in_sight_and_what_was_typed_with_it() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let fernand = fernand.with_resource("desk");
    let files = named(here.path(), &["wanted", "other"]);
    let line = ask(&fernand, &alice, there.path());
    let mut terminal = Terminal::run(&line, "tubes_actors=info");
    terminal.sees("interrupt to end").await;
    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    terminal.is_asked("wanted").await;
    terminal.begins_to_type("ye").await;
    terminal.sees("ye").await;

    let server = Server::shared(ServerKind::Embedded).await.unwrap();
    let stranger = Account::new(server, "stranger").await;
    let desk = format!("{}/desk", fernand.jid);
    let command = ["send", text(&files[1]), &desk, "--encryption", "off"];
    let _declined = Program::start(&words(&stranger.with(&command)));
    terminal.sees("a stranger's file is declined").await;
    let below = terminal.is_asked("wanted").await;
    assert!(below.contains('\n'), "{below:?}");
    terminal.sees("ye").await;
    terminal.types("s").await;
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert_eq!(fs::read(there.path().join("wanted")).unwrap(), b"wanted");
}

#[tokio::test]
async fn a_question_is_seen_where_it_is_answered_also_if_the_log_goes_elsewhere() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let files = named(here.path(), &["wanted"]);
    let log = here.path().join("log");
    let line = ask(&fernand, &alice, there.path());
    let line = format!("{line} 2>'{}'", text(&log));
    let mut terminal = Terminal::run(&line, "info");
    terminal.sees("interrupt to end").await;
    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    terminal.is_asked("wanted").await;
    terminal.types("y").await;
    assert_eq!(sending.end().await, (Some(0), String::new()));
    let logged = fs::read_to_string(log).unwrap();
    assert!(!logged.contains("Receive it?"), "{logged}");
}

#[tokio::test]
async fn a_question_ends_when_the_file_is_taken_back() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let files = named(here.path(), &["first", "second", "third"]);
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;
    let sending = send(&alice, &fernand.jid, &[&files[0]]);
    terminal.is_asked("first").await;
    let queued = send(&alice, &fernand.jid, &[&files[1]]);
    terminal.sees("offers \"second\"").await;
    // It stays in sight.
    terminal.is_asked("first").await;
    for program in [queued, sending] {
        program.signal(Signal::INT);
        assert_eq!(program.end().await.0, Some(130));
    }
    terminal.sees("That was taken back").await;
    // Meant for what is not asked any more.
    terminal.types("y").await;
    terminal.sees("y\r\n").await;

    let sending = send(&alice, &fernand.jid, &[&files[2]]);
    let seen = terminal.is_asked("third").await;
    assert!(!seen.contains("\"second\". Receive"), "{seen}");
    terminal.types("y").await;
    assert_eq!(sending.end().await.0, Some(0));
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn who_wants_all_of_a_contact_is_asked_once() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let names = ["1", "2", "3", "4", "5", "6"];
    let files = named(here.path(), &names);
    let files: Vec<_> = files.iter().map(|path| &**path).collect();
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;
    let sending = send(&alice, &fernand.jid, &files);
    terminal.sees(CHOICE).await;
    terminal.types("a").await;
    assert_eq!(sending.end().await, (Some(0), String::new()));
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), names.len());
}

#[tokio::test]
async fn no_bar_is_drawn_over_a_question() {
    let (alice, fernand, here, there) = party(ServerKind::Embedded).await.unwrap();
    let film = here.path().join("film");
    fs::write(&film, content(6, 4 * FILM)).unwrap();
    let file = named(here.path(), &["other"]);
    let direct = alice.server.parse().unwrap();
    let (alice, link) = slowed(alice).await;
    let mut terminal = Terminal::asking(&fernand, &alice, there.path()).await;
    let flowing = send(&alice, &fernand.jid, &[&film]);
    terminal.is_asked("film").await;
    terminal.types("y").await;
    terminal.sees(RATE).await;
    // This one is not slowed down.
    let alice = alice.through(direct);
    let _asking = send(&alice, &fernand.jid, &[&file[0]]);
    terminal.is_asked("other").await;
    let_go(&link);
    let before = fs::read_dir(there.path()).unwrap().next().unwrap().unwrap();
    let before = before.metadata().unwrap().len();
    part_of(there.path(), before + 4 * PART).await;
    flowing.signal(Signal::INT);
    flowing.end().await;
    let seen = terminal.is_asked("other").await;
    assert!(!seen.contains(RATE), "{seen:?}");
    terminal.types("n").await;
}

/// The end of each question.
const CHOICE: &str = "[y]es, [n]o, [a]ll of this contact: ";

/// What is in each bar.
const RATE: &str = "iB/s ";
