//! Names of files that can be used anywhere.

mod mend;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A name of a file or folder that is safe on every system, and shows what it is.
///
/// It is one part of a path, of at most 255 bytes; it has no character that separates paths,
/// controls a terminal, turns text round or is not seen; it does not begin as hidden files, options
/// or home folders do, and means no device. Letters of every script stay, in the composed form of
/// Unicode (NFC).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeName(String);

/// Why a text is no safe name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{said}` cannot be the name of a file everywhere: `{safe}` can")]
pub struct NameError {
    /// What was to be the name, without what does not belong on a terminal.
    said: String,
    /// What it could be instead.
    pub safe: SafeName,
}

impl SafeName {
    /// Makes a name of what a peer calls a file: of the last part, if it is a whole path.
    ///
    /// There always is one. Different names can become the same.
    pub fn of(said: &str) -> Self {
        let last = said.rsplit(['/', '\\']).find(|part| !part.is_empty());
        Self::of_part(last.unwrap_or_default())
    }

    /// Makes a name of one part of a path, in which nothing separates parts any more.
    pub fn of_part(said: &str) -> Self {
        Self(mend::mend(said))
    }

    /// The same with a number before the ending, for when there is such a file already.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self(mend::number(&self.0, number))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whole characters of its beginning that take no more bytes than that.
    pub(crate) fn beginning(&self, bytes: usize) -> &str {
        mend::cut(&self.0, bytes)
    }
}

impl FromStr for SafeName {
    type Err = NameError;

    /// Takes a name that is safe already, and no other.
    fn from_str(said: &str) -> Result<Self, Self::Err> {
        let safe = Self::of_part(said);
        if safe.0 == said {
            return Ok(safe);
        }
        let shown = said.chars().take(SHOWN).flat_map(char::escape_debug);
        Err(NameError {
            said: shown.collect(),
            safe,
        })
    }
}

impl AsRef<str> for SafeName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What file systems take, in bytes (`NAME_MAX`).
const LONGEST: usize = 255;

/// More of a wrong name is not repeated.
const SHOWN: usize = 255;
