//! The commands for files.

use std::path::PathBuf;

use clap::ValueEnum;
use tubes::{BareJid, Jid, Overwrite};

use super::bounds::Bounds;
use super::values::{parse_contact, parse_jid};

#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// What to send; of a folder all files in it
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// A word on it, for whoever receives it
    #[arg(long, value_name = "TEXT", value_parser = parse_description)]
    pub(crate) description: Option<String>,

    /// The contact to send it to, or one program of it: fernand@example.net/laptop
    #[arg(value_name = "JID", value_parser = parse_jid)]
    pub(crate) to: Jid,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Receive {
    /// The contact whose files to receive, all of them unless --ask is said; files of others are declined
    #[arg(long, value_name = "JID", value_parser = parse_contact)]
    pub(crate) from: Option<BareJid>,

    /// The folder to put them into, which has to exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) into: PathBuf,

    /// Receive what comes without asking: of all contacts, or of the one of --from
    #[arg(long, conflicts_with = "ask")]
    pub(crate) accept_all: bool,

    /// Ask for each file on the terminal; so it is where neither --from nor --accept-all is said
    #[arg(long)]
    pub(crate) ask: bool,

    /// What becomes of files that are there and have the name of one that comes
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    pub(crate) existing: Existing,

    /// End with the first file that was received
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) bounds: Bounds,
}

/// What becomes of files that have the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Existing {
    /// They stay, and the new one is declined, unless it is the same
    Keep,
    /// They stay, and the new one gets a number
    Number,
    /// They are replaced, once the new one is complete
    Replace,
}

fn parse_description(text: &str) -> Result<String, String> {
    let is_odd = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    match text.len() {
        1..=DESCRIPTION if !text.contains(is_odd) => Ok(text.to_owned()),
        _ => Err(format!(
            "a description has 1 to {DESCRIPTION} bytes, and no control characters"
        )),
    }
}

impl From<Existing> for Overwrite {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Keep => Self::Refuse,
            Existing::Number => Self::Rename,
            Existing::Replace => Self::Replace,
        }
    }
}

/// Bytes in a description: as many as others read.
const DESCRIPTION: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_text_of_which_others_get_to_see_all() {
        for text in ["from the trip", "two\nlines", &"d".repeat(DESCRIPTION)] {
            assert_eq!(parse_description(text).as_deref(), Ok(text));
        }
        for text in ["", "\u{1b}[2J", &"d".repeat(DESCRIPTION + 1)] {
            assert!(parse_description(text).is_err(), "{text:?}");
        }
    }
}
