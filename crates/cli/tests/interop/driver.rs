//! A driver while it runs, and what it says.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tubes_server::Account;

use crate::library::Library;
use crate::meeting::Meeting;
use crate::parcel::Parcel;

/// A running driver that is logged in. It dies with this value.
pub(crate) struct Driver {
    kind: Library,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) jid: String,
}

impl Driver {
    /// Waits for a file; none where the library is not installed.
    pub(crate) async fn receive(
        library: Library,
        meeting: &Meeting,
        account: &Account,
        parcel: &Parcel,
    ) -> Option<Self> {
        let into = parcel.target();
        let words = ["receive", "--into", into.to_str().unwrap()];
        Self::start(library, meeting, account, &words).await
    }

    /// Offers a file to a full JID; none where the library is not installed.
    pub(crate) async fn send(
        library: Library,
        meeting: &Meeting,
        account: &Account,
        parcel: &Parcel,
        to: &str,
    ) -> Option<Self> {
        let file = parcel.file();
        let words = ["send", "--to", to, "--file", file.to_str().unwrap()];
        Self::start(library, meeting, account, &words).await
    }

    /// Offers a file as soon as the other side deals with this one; none where the library is not
    /// installed.
    pub(crate) async fn send_to_contact(
        library: Library,
        meeting: &Meeting,
        account: &Account,
        parcel: &Parcel,
        to: &str,
    ) -> Option<Self> {
        let file = parcel.file();
        let file = file.to_str().unwrap();
        let words = ["send", "--contact", "--to", to, "--file", file];
        Self::start(library, meeting, account, &words).await
    }

    /// Logs in.
    async fn start(
        library: Library,
        meeting: &Meeting,
        account: &Account,
        words: &[&str],
    ) -> Option<Self> {
        let program = library.driver().await?;
        let mut command = Command::new(&program[0]);
        let mut child = command
            .args(&program[1..])
            .args(words)
            .args(meeting.options(account))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut driver = Self {
            kind: library,
            child,
            lines,
            jid: String::new(),
        };
        driver.jid = driver.said("online", "jid").await;
        Some(driver)
    }

    /// The next line, which must be this event.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("it says something").unwrap();
        let event = line.as_deref().map(serde_json::from_str::<Value>);
        match event {
            Some(Ok(event)) if event["event"] == name => event,
            _ => {
                let complaints = self.complaints().await;
                panic!(
                    "{} should say {name} and said {line:?}; {complaints}",
                    self.kind
                )
            }
        }
    }

    /// The value of a field of the next line.
    pub(crate) async fn said(&mut self, name: &str, field: &str) -> String {
        let event = self.event(name).await;
        let value = event[field].as_str();
        value
            .unwrap_or_else(|| panic!("no {field} in {event}"))
            .to_owned()
    }

    /// Waits until it ends by itself, with nothing more to say: content or not.
    pub(crate) async fn end(mut self) -> bool {
        let rest = timeout(PATIENCE, self.lines.next_line()).await;
        assert_eq!(rest.expect("it ends").unwrap(), None, "after the last line");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends");
        match status.unwrap().code() {
            Some(0) => true,
            Some(1) => false,
            other => panic!("{} ends with {other:?}", self.kind),
        }
    }

    /// What it said on standard error.
    async fn complaints(&mut self) -> String {
        self.child.start_kill().ok();
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut text).await.unwrap();
        text
    }
}

/// Everything takes a second or two, unless the machine is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
