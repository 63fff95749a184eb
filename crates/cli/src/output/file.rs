//! Files, as standard output has them. `file` counts from 1.

use serde::Serialize;
use tubes::{Certainty, Event};

use super::foreign::{Foreign, Who, harmless, quoted};
use super::human::{bytes, fallen, protected};
use super::report::{Direction, FellBack, Protection, Report, Why};

/// A file was sent.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    pub(crate) file: u64,
    /// Where it is; only of one that was received. Its end is of the sender's choice.
    pub(crate) path: Option<Foreign>,
    pub(crate) sha256: Option<String>,
    /// Whether both sides know that it is what was sent.
    pub(crate) verified: bool,
    pub(crate) certainty: Sureness,
}

/// How sure it is that a file arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sureness {
    Carried,
    Checked,
    Unconfirmed,
    Verified,
}

/// A file was not sent.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) file: u64,
    /// How much of it the receiver has.
    pub(crate) bytes: u64,
    /// Null if this side gave it up.
    pub(crate) error: Option<Why>,
}

/// A file is offered.
#[derive(Debug, Serialize)]
pub(crate) struct Offered {
    pub(crate) file: u64,
    pub(crate) peer: Who,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    /// The folders on the way to it.
    pub(crate) folder: Vec<String>,
    pub(crate) size: u64,
    /// RFC 3339.
    pub(crate) modified: Option<String>,
    pub(crate) description: Option<Foreign>,
}

/// How far a file has come.
#[derive(Debug, Serialize)]
pub(crate) struct Progress {
    pub(crate) file: u64,
    pub(crate) bytes: u64,
    pub(crate) size: u64,
}

/// A file or a folder is not sent at all.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    /// Where it is, at the sender.
    pub(crate) path: String,
    /// Null if the command was interrupted before.
    pub(crate) error: Option<Why>,
}

/// The bytes of a file begin to flow.
#[derive(Debug, Serialize)]
pub(crate) struct Started {
    pub(crate) file: u64,
    pub(crate) peer: Who,
    pub(crate) transport: String,
    pub(crate) fell_back_from: Vec<FellBack>,
    /// How much the receiver had already.
    pub(crate) offset: u64,
    #[serde(flatten)]
    pub(crate) protection: Protection,
}

/// What an event says of a file, if it is about one.
pub(crate) fn report(event: Event) -> Option<Report> {
    Some(match event {
        Event::FileDone { file, delivered } => Report::FileDone(Done {
            file: file.number(),
            path: delivered
                .path
                .map(|path| Foreign::new(path.to_string_lossy())),
            sha256: delivered.sha256,
            verified: delivered.certainty == Certainty::Verified,
            certainty: delivered.certainty.into(),
        }),
        Event::FileFailed {
            file,
            carried,
            error,
        } => Report::FileFailed(Failed {
            file: file.number(),
            bytes: carried,
            error: error.map(Into::into),
        }),
        Event::FileOffered {
            file,
            peer,
            direction,
            particulars,
            ..
        } => {
            // Dates of files that can be said have four digits in the year.
            let modified = particulars.modified.map(humantime::format_rfc3339_seconds);
            Report::FileOffered(Offered {
                file: file.number(),
                peer: Who::new(peer),
                direction: direction.into(),
                name: particulars.name,
                folder: particulars.folder,
                size: particulars.size,
                modified: modified.map(|time| time.to_string()),
                description: particulars.description.map(Foreign::new),
            })
        }
        Event::FileStarted {
            file,
            peer,
            transport,
            fell_back_from,
            offset,
            protection,
        } => Report::FileStarted(Started {
            file: file.number(),
            peer: Who::new(peer),
            transport: transport.to_owned(),
            fell_back_from: fell_back_from
                .into_iter()
                .map(|(transport, reason)| FellBack { transport, reason })
                .collect(),
            offset,
            protection: protection.into(),
        }),
        _ => return None,
    })
}

impl From<Certainty> for Sureness {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Verified => Self::Verified,
            Certainty::Carried => Self::Carried,
            Certainty::Checked => Self::Checked,
            // What is not known here promises nothing.
            _ => Self::Unconfirmed,
        }
    }
}

impl Done {
    pub(crate) fn line(&self) -> String {
        let file = self.file;
        let how = match (self.certainty, &self.sha256) {
            (Sureness::Verified, Some(sum)) => format!(", whole and verified (SHA-256 {sum})"),
            (Sureness::Verified, None) => ", whole and verified".to_owned(),
            (Sureness::Carried, _) => {
                ", as far as the connection tells: the other side cannot say more".to_owned()
            }
            (Sureness::Checked, _) => {
                ", with the MD5 that was said in clear, which tells accidents and nothing else"
                    .to_owned()
            }
            (Sureness::Unconfirmed, _) => {
                return format!(
                    "file {file} is sent, and whether it arrived is not known: nothing has shown that \
                     the other side has the last of it"
                );
            }
        };
        match &self.path {
            Some(path) => format!("file {file} is received as {}{how}", path.quoted()),
            None => format!("file {file} has arrived{how}"),
        }
    }
}

impl Failed {
    pub(crate) fn line(&self) -> String {
        let (file, came) = (self.file, bytes(self.bytes));
        match &self.error {
            None => format!("file {file} is given up after {came}"),
            Some(why) => format!("file {file} failed after {came}: {why}"),
        }
    }
}

impl Offered {
    pub(crate) fn line(&self) -> String {
        let path = [&self.folder[..], std::slice::from_ref(&self.name)].concat();
        let (path, peer) = (path.join("/"), &self.peer);
        let (file, size) = (self.file, bytes(self.size));
        let word = self.description.as_ref().map(Foreign::quoted);
        let word = word.map_or_else(String::new, |word| format!(": {word}"));
        match self.direction {
            Direction::In => {
                let path = quoted(&path);
                format!("{peer} offers {path} ({size}) as file {file}{word}")
            }
            Direction::Out => {
                let path = harmless(&path);
                format!("{path} ({size}) is for {peer}, as file {file}")
            }
        }
    }
}

impl Progress {
    pub(crate) fn line(&self) -> String {
        let (came, size) = (bytes(self.bytes), bytes(self.size));
        format!("file {}: {came} of {size}", self.file)
    }
}

impl Skipped {
    pub(crate) fn line(&self) -> String {
        let path = harmless(&self.path);
        match &self.error {
            None => format!("{path} is not sent any more"),
            Some(why) => format!("{path} is left out: {why}"),
        }
    }
}

impl Started {
    pub(crate) fn line(&self) -> String {
        let rest = match self.offset {
            0 => String::new(),
            offset => format!(", after the {} that were there", bytes(offset)),
        };
        format!(
            "file {} flows between here and {} over {}{}, {}{rest}",
            self.file,
            self.peer,
            self.transport,
            fallen(&self.fell_back_from),
            protected(&self.protection),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_play_tricks_on_the_terminal() {
        let offered = Offered {
            file: 1,
            peer: Who::new("alice@example.org/x y"),
            direction: Direction::In,
            name: "gpj\u{202e}.exe".to_owned(),
            folder: vec!["a\u{1b}[2J".to_owned()],
            size: 1024,
            modified: None,
            description: Some(Foreign::new("look\n")),
        };
        assert_eq!(
            offered.line(),
            "alice@example.org/\"x y\" offers \"a\\u{1b}[2J/gpj\\u{202e}.exe\" (1.0 KiB) as file 1: \"look\\n\""
        );
    }

    #[test]
    fn what_nobody_has_confirmed_is_not_called_verified() {
        let line = |certainty| {
            let done = Done {
                file: 2,
                path: None,
                sha256: None,
                verified: certainty == Sureness::Verified,
                certainty,
            };
            done.line()
        };
        assert!(line(Sureness::Verified).contains("verified"));
        assert!(!line(Sureness::Carried).contains("verified"));
        assert!(!line(Sureness::Checked).contains("verified"));
        let unconfirmed = line(Sureness::Unconfirmed);
        assert!(!unconfirmed.contains("verified") && !unconfirmed.contains("has arrived"));
    }

    #[test]
    fn a_sender_chooses_no_words_of_what_is_told_of_its_file() {
        let started = Started {
            file: 3,
            peer: Who::new("alice@example.org/home over tcp, encrypted"),
            transport: "ibb".to_owned(),
            fell_back_from: Vec::new(),
            offset: 0,
            protection: tubes::Protection::Plain.into(),
        };
        assert_eq!(
            started.line(),
            "file 3 flows between here and alice@example.org/\"home over tcp, encrypted\" over ibb, \
             NOT encrypted from end to end"
        );
        let done = Done {
            file: 3,
            path: Some(Foreign::new("in/a, whole and verified")),
            sha256: None,
            verified: false,
            certainty: Sureness::Carried,
        };
        let line = done.line();
        assert!(line.starts_with("file 3 is received as \"in/a, whole and verified\", as far"));
    }
}
