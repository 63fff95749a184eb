//! Asking somebody at the terminal which files to receive.
//!
//! ```text
//!   Asking ── Prompt: one at a time ──► a thread that may wait for the keyboard ── Answer ──► Asking
//! ```

use std::collections::{HashSet, VecDeque};
use std::io;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::{mpsc, oneshot};
use tubes::{BareJid, FileId, FileTransfer};

use crate::output::{Question, bytes, harmless, quoted};

/// The files on which somebody has to decide. One question stands at a time.
pub(super) struct Asking {
    prompts: mpsc::Sender<Prompt>,
    standing: Option<(Undecided, oneshot::Receiver<Answer>)>,
    waiting: VecDeque<Undecided>,
    /// Of whom all files are wanted.
    welcome: HashSet<BareJid>,
}

struct Undecided {
    file: FileId,
    contact: BareJid,
    text: String,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Decline,
    Receive,
}

impl Asking {
    pub(super) fn new() -> Self {
        // Whoever asks waits until the one before was heard or given up.
        let (prompts, inbox) = mpsc::channel(1);
        thread::spawn(move || attend(inbox));
        Self {
            prompts,
            standing: None,
            waiting: VecDeque::new(),
            welcome: HashSet::new(),
        }
    }

    /// Has somebody asked; what is decided already if all of this contact are wanted.
    pub(super) fn ask(&mut self, transfer: &FileTransfer) -> Option<Decision> {
        let contact = transfer.peer().to_bare();
        if self.welcome.contains(&contact) {
            return Some(Decision::Receive);
        }
        let particulars = transfer.particulars();
        self.waiting.push_back(Undecided {
            file: transfer.id(),
            text: format!(
                "{} offers {} ({} bytes) as {}. Receive it? [y]es, [n]o, [a]ll of this contact: ",
                harmless(contact.as_str()),
                bytes(particulars.size),
                particulars.size,
                quoted(&particulars.to_string()),
            ),
            contact,
        });
        None
    }

    /// There is nothing to be decided any more.
    pub(super) fn withdraw(&mut self, file: FileId) {
        self.waiting.retain(|undecided| undecided.file != file);
        // Whoever reads the keyboard takes notice by this.
        self.standing.take_if(|(standing, _)| standing.file == file);
    }

    /// What was decided next; never, if nothing is asked. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<(FileId, Decision)> {
        let answer = loop {
            match &mut self.standing {
                // No answer is one, too: there is nobody any more.
                Some((_, answer)) => break answer.await.unwrap_or(Answer::No),
                None => self.stand().await,
            }
        };
        let Some((Undecided { file, contact, .. }, _)) = self.standing.take() else {
            return Vec::new();
        };
        match answer {
            Answer::No => vec![(file, Decision::Decline)],
            Answer::Yes => vec![(file, Decision::Receive)],
            Answer::All => {
                let others = self.waiting.iter().filter(|other| other.contact == contact);
                let files = others.map(|other| other.file).chain([file]);
                let decided = files.map(|file| (file, Decision::Receive)).collect();
                self.waiting.retain(|other| other.contact != contact);
                self.welcome.insert(contact);
                decided
            }
        }
    }

    /// Has the next question asked.
    async fn stand(&mut self) {
        let Ok(place) = self.prompts.reserve().await else {
            return std::future::pending().await;
        };
        let Some(next) = self.waiting.pop_front() else {
            return std::future::pending().await;
        };
        let (heard, answer) = oneshot::channel();
        let text = next.text.clone();
        place.send(Prompt { text, heard });
        self.standing = Some((next, answer));
    }
}

/// What is asked, and who wants to hear the answer, for as long as it does.
struct Prompt {
    text: String,
    heard: oneshot::Sender<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    All,
    No,
    Yes,
}

fn attend(mut prompts: mpsc::Receiver<Prompt>) {
    while let Some(Prompt { text, heard }) = prompts.blocking_recv() {
        if heard.is_closed() {
            continue;
        }
        // Whatever was typed before was no answer to this.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        let question = Question::ask(text);
        let answer = hear(&question, &heard);
        match answer {
            Some(answer) => {
                drop(question);
                // It may have been taken back just now.
                let _ = heard.send(answer);
            }
            None => {
                question.take_back();
                // The answer may be on its way from somebody's head to the keyboard.
                thread::sleep(BREATH);
            }
        }
    }
}

/// What is answered; nothing, if nobody wants to hear it any more.
fn hear(question: &Question, heard: &oneshot::Sender<Answer>) -> Option<Answer> {
    while !heard.is_closed() {
        match line() {
            Ok(None) => {}
            Ok(Some(line)) => match understood(&line) {
                Some(answer) => return Some(answer),
                None => question.repeat(),
            },
            // Nobody is there any more.
            Err(_) => return Some(Answer::No),
        }
    }
    None
}

/// What was typed, if anything was in the last moment. A terminal hands out whole lines.
fn line() -> Result<Option<String>, Errno> {
    let keyboard = io::stdin();
    let mut ready = [PollFd::new(&keyboard, PollFlags::IN)];
    match poll(&mut ready, Some(&GLANCE)) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        polled => polled?,
    };
    let mut line = [0; LINE];
    match read(&keyboard, &mut line) {
        Ok(0) => Err(Errno::IO),
        Ok(length) => {
            let line = line.get(..length).unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(line).into_owned()))
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(None),
        Err(why) => Err(why),
    }
}

fn understood(line: &str) -> Option<Answer> {
    match line.trim().to_lowercase().as_str() {
        "a" | "all" => Some(Answer::All),
        "n" | "no" => Some(Answer::No),
        "y" | "yes" => Some(Answer::Yes),
        _ => None,
    }
}

/// How long it takes at most until a question that was taken back is known to be.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Between a question that was taken back and the next one: people see within this time that it is another.
const BREATH: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read; the rest of a longer line is thrown away before the next question.
const LINE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_is_one() {
        assert_eq!(understood("y\n"), Some(Answer::Yes));
        assert_eq!(understood(" No \n"), Some(Answer::No));
        assert_eq!(understood("all\n"), Some(Answer::All));
        for line in ["\n", "yy\n", "always\n", "y n\n"] {
            assert_eq!(understood(line), None, "{line:?}");
        }
    }
}
