//! Who else may use the file of a listening socket.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use crate::Address;

/// The permissions of a listening socket's file: for this user alone, unless it is said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sharing {
    mode: Option<Mode>,
    group: Option<Group>,
}

impl Sharing {
    /// Gives the file this mode.
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Gives the file to this group, whose programs may connect if no mode says otherwise.
    pub fn with_group(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// The mode that the file gets.
    pub fn mode(&self) -> Mode {
        let usual = self.group.map_or(Mode::PRIVATE, |_| Mode::GROUP);
        self.mode.unwrap_or(usual)
    }

    /// The group that the file is given to, if it is not the usual one.
    pub fn group(&self) -> Option<Group> {
        self.group
    }

    /// Whether there is a file to be shared at that kind of address: one at a path, as nobody else
    /// can enter the folder of those that are made up.
    pub fn fits(&self, address: &Address) -> bool {
        let is_private = *self == Self::default();
        is_private || matches!(address, Address::Unix(path) if !path.as_os_str().is_empty())
    }
}

/// The mode of a socket's file. Who may write to it may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode(u32);

impl Mode {
    const PRIVATE: Self = Self(0o600);
    const GROUP: Self = Self(0o660);

    /// Its bits, as chmod(2) takes them.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Mode {
    type Error = ModeError;

    fn try_from(bits: u32) -> Result<Self, ModeError> {
        let is_fit = bits & !0o777 == 0 && bits & Self::PRIVATE.0 == Self::PRIVATE.0;
        is_fit
            .then_some(Self(bits))
            .ok_or_else(|| ModeError(format!("{bits:04o}")))
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let wrong = || ModeError(text.to_owned());
        // `from_str_radix` would take a sign, too.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let bits = u32::from_str_radix(text, 8).map_err(|_| wrong())?;
        bits.try_into().map_err(|_| wrong())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// This is no mode for a socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode for a socket: write 0600, 0660 for a group, or 0666 for all users")]
pub struct ModeError(String);

/// A group of users of this machine.
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
    type Err = GroupError;

    /// Takes a number, or a name that `/etc/group` has. What else a machine may know groups from,
    /// such as a directory in the network, is not asked.
    fn from_str(text: &str) -> Result<Self, GroupError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let id = text.parse().map_err(|_| unknown(text))?;
            return Ok(Self(id));
        }
        let groups = fs::read_to_string(GROUPS).map_err(GroupError::Io)?;
        named(text, &groups).ok_or_else(|| unknown(text))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text stands for no group.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The list of groups cannot be read.
    #[error("cannot look the group up in {GROUPS}: {0}; write its number")]
    Io(io::Error),
    /// No group has this name.
    #[error("`{0}` is no group in {GROUPS}; write its name there, or its number")]
    Unknown(String),
}

fn unknown(text: &str) -> GroupError {
    GroupError::Unknown(text.to_owned())
}

/// Looks a name up in lines of `NAME:PASSWORD:NUMBER:MEMBERS` (group(5)).
fn named(name: &str, groups: &str) -> Option<Group> {
    let mut lines = groups.lines().map(|line| line.split(':'));
    let mut found = lines.find_map(|mut line| (line.next() == Some(name)).then_some(line))?;
    found.nth(1)?.parse().ok().map(Group)
}

/// Where names of groups are looked up.
const GROUPS: &str = "/etc/group";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_mode_leaves_its_owner_in_and_says_nothing_but_who_may() {
        for text in ["0600", "600", "660", "0666", "0777"] {
            assert!(text.parse::<Mode>().is_ok(), "{text}");
        }
        for text in ["", "0060", "0400", "04600", "1777", "0668", "+600", "rw"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
        assert_eq!("660".parse::<Mode>().unwrap().to_string(), "0660");
    }

    #[test]
    fn a_group_alone_lets_its_members_in() {
        let group = Sharing::default().with_group(Group(7));
        assert_eq!(group.mode().bits(), 0o660);
        let stricter = group.with_mode("0600".parse().unwrap());
        assert_eq!(stricter.mode().bits(), 0o600);
        assert_eq!(Sharing::default().mode().bits(), 0o600);
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nwww-data:x:33:alice\nwww:x:34:\nbroken\n";
        assert_eq!(named("www", groups), Some(Group(34)));
        assert_eq!(named("www-data", groups), Some(Group(33)));
        for unknown in ["", "ww", "alice", "broken", "x"] {
            assert_eq!(named(unknown, groups), None, "{unknown}");
        }
        assert_eq!("33".parse::<Group>().unwrap(), Group(33));
        assert_eq!("root".parse::<Group>().unwrap(), Group(0));
        assert!("-1".parse::<Group>().is_err());
    }
}
