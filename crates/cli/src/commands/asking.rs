//! Asking somebody at the terminal which files to receive.
//!
//! ```text
//!   Asking ── Prompt: one at a time ──► a thread that may wait for the keyboard ── Answer ──► Asking
//! ```

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tubes::{BareJid, FileId, FileTransfer};

use crate::output::{Question, Who, bytes, quoted};
use crate::terminal::Terminal;

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
    pub(super) fn at(terminal: Arc<Terminal>) -> Self {
        // Whoever asks waits until the one before was heard or given up.
        let (prompts, inbox) = mpsc::channel(1);
        thread::spawn(move || attend(inbox, &terminal));
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
        let Ok(path) = particulars.path() else {
            // There is no such place, so there is nothing to be decided: what accepts it says why.
            return Some(Decision::Receive);
        };
        let (path, said) = (path.to_string(), particulars.to_string());
        self.waiting.push_back(Undecided {
            file: transfer.id(),
            text: question(&contact, particulars.size, &path, &said),
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

fn attend(mut prompts: mpsc::Receiver<Prompt>, terminal: &Arc<Terminal>) {
    while let Some(Prompt { text, heard }) = prompts.blocking_recv() {
        if heard.is_closed() {
            continue;
        }
        let question = Question::ask(terminal, text);
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
        match question.answer() {
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

/// Asks for a file by the name that it will have, which may not be what the contact calls it.
fn question(contact: &BareJid, size: u64, path: &str, said: &str) -> String {
    let said = match said == path {
        true => String::new(),
        false => format!(", which it calls {}", quoted(said)),
    };
    format!(
        "{} offers {} ({size} bytes) as {}{said}. Receive it? [y]es, [n]o, [a]ll of this contact: ",
        Who::new(contact),
        bytes(size),
        quoted(path),
    )
}

fn understood(line: &str) -> Option<Answer> {
    match line.trim().to_lowercase().as_str() {
        "a" | "all" => Some(Answer::All),
        "n" | "no" => Some(Answer::No),
        "y" | "yes" => Some(Answer::Yes),
        _ => None,
    }
}

/// Between a question that was taken back and the next one: people see within this time that it is another.
const BREATH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

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

    #[test]
    fn a_file_is_asked_for_by_the_name_that_it_will_have() {
        let alice = "alice@example.org".parse().unwrap();
        let plain = question(&alice, 6, "trip/a.txt", "trip/a.txt");
        assert_eq!(
            plain,
            "alice@example.org offers 6 B (6 bytes) as \"trip/a.txt\". Receive it? [y]es, [n]o, \
             [a]ll of this contact: "
        );
        let odd = question(&alice, 6, "_bashrc", ".ba\u{202e}shrc");
        let named = "as \"_bashrc\", which it calls \".ba\\u{202e}shrc\". Receive it? ";
        assert!(odd.contains(named), "{odd}");
    }
}
