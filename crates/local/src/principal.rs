//! Users and groups of this machine, by number or by name.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

/// A user of this machine.
///
/// ```
/// use tubes_local::User;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!("0".parse::<User>()?, "root".parse()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct User(u32);

impl User {
    /// Its number.
    pub fn id(self) -> u32 {
        self.0
    }
}

impl From<u32> for User {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl FromStr for User {
    type Err = PrincipalError;

    /// Takes a number, or a name that `/etc/passwd` has. What else a machine may know users from,
    /// such as a directory in the network, is not asked.
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        number("user", text, USERS).map(Self)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group of users of this machine.
///
/// ```
/// use tubes_local::Group;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let group: Group = "100".parse()?;
/// assert_eq!((group.id(), group), (100, Group::from(100)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group(u32);

impl Group {
    /// Its number.
    pub fn id(self) -> u32 {
        self.0
    }
}

impl From<u32> for Group {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl FromStr for Group {
    type Err = PrincipalError;

    /// Takes a number, or a name that `/etc/group` has, as with users.
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        number("group", text, GROUPS).map(Self)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text stands for no user, or for no group.
///
/// ```
/// use tubes_local::{Group, PrincipalError};
///
/// let nobody = "no group has blanks".parse::<Group>();
/// assert!(matches!(nobody, Err(PrincipalError::Unknown { name, .. }) if name == "no group has blanks"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// The list cannot be read.
    #[error("cannot look the {kind} up in {list}: {why}; write its number")]
    Io {
        /// Whether a user or a group is looked for.
        kind: &'static str,
        /// Where it is looked for.
        list: &'static str,
        /// What the system said.
        why: io::Error,
    },
    /// The list has no such name.
    #[error("`{name}` is no {kind} in {list}; write its name there, or its number")]
    Unknown {
        /// Whether a user or a group is looked for.
        kind: &'static str,
        /// Where it is looked for.
        list: &'static str,
        /// What is looked for.
        name: String,
    },
}

/// The number that a text is, or that a list has for the name that it is.
fn number(kind: &'static str, text: &str, list: &'static str) -> Result<u32, PrincipalError> {
    let unknown = || PrincipalError::Unknown {
        kind,
        list,
        name: text.to_owned(),
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| unknown());
    }
    let lines = fs::read_to_string(list).map_err(|why| PrincipalError::Io { kind, list, why })?;
    named(text, &lines).ok_or_else(unknown)
}

/// Looks a name up in lines of `NAME:PASSWORD:NUMBER:…` (passwd(5), group(5)).
fn named(name: &str, list: &str) -> Option<u32> {
    let mut lines = list.lines().map(|line| line.split(':'));
    let mut found = lines.find_map(|mut line| (line.next() == Some(name)).then_some(line))?;
    found.nth(1)?.parse().ok()
}

/// Where names of users are looked up.
const USERS: &str = "/etc/passwd";

/// Where names of groups are looked up.
const GROUPS: &str = "/etc/group";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nwww-data:x:33:alice\nwww:x:34:\nbroken\n";
        assert_eq!(named("www", groups), Some(34));
        assert_eq!(named("www-data", groups), Some(33));
        for unknown in ["", "ww", "alice", "broken", "x"] {
            assert_eq!(named(unknown, groups), None, "{unknown}");
        }
        assert_eq!("33".parse::<Group>().unwrap(), Group(33));
        assert_eq!("root".parse::<Group>().unwrap(), Group(0));
        assert!("-1".parse::<Group>().is_err());
    }

    #[test]
    fn what_is_unknown_is_told_with_its_kind_and_where_it_was_looked_for() {
        let why = "no such user".parse::<User>().unwrap_err().to_string();
        assert!(why.contains("no user in /etc/passwd"), "{why}");
        let why = "4294967296".parse::<Group>().unwrap_err().to_string();
        assert!(why.contains("no group in /etc/group"), "{why}");
    }
}
