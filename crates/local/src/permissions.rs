//! Who else may use the file of a listening socket.

use std::fmt;
use std::str::FromStr;

use crate::{Address, Group, User};

/// The permissions of a listening socket's file: for this user alone, unless it is said otherwise.
///
/// ```
/// use tubes_local::{Group, Permissions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let group: Group = "100".parse()?;
/// let permissions = Permissions::default().with_group(group);
/// assert_eq!(permissions.mode(), "0660".parse()?);
/// assert!(permissions.fits(&"unix:/run/tubes/desktop".parse()?));
/// assert!(!permissions.fits(&"127.0.0.1:5900".parse()?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    mode: Option<Mode>,
    owner: Option<User>,
    group: Option<Group>,
}

impl Permissions {
    /// Gives the file this mode.
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Gives the file to this user, which the system lets root do alone.
    pub fn with_owner(mut self, owner: User) -> Self {
        self.owner = Some(owner);
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

    /// The user that the file is given to, if it is not this one.
    pub fn owner(&self) -> Option<User> {
        self.owner
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
///
/// ```
/// use tubes_local::Mode;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let all: Mode = "0666".parse()?;
/// assert_eq!((all.bits(), all.to_string()), (0o666, "0666".to_owned()));
/// assert_eq!(Mode::try_from(0o600)?.to_string(), "0600");
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// use tubes_local::Mode;
///
/// // Without this user nobody could connect, and a socket is not executed with another's rights.
/// for wrong in ["0060", "4755", "rw-rw----"] {
///     let why = wrong.parse::<Mode>().unwrap_err();
///     assert!(why.to_string().contains(wrong));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode for a socket: write 0600, 0660 for a group, or 0666 for all users")]
pub struct ModeError(String);

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
        let group = Permissions::default().with_group(Group::from(7));
        assert_eq!(group.mode().bits(), 0o660);
        let stricter = group.with_mode("0600".parse().unwrap());
        assert_eq!(stricter.mode().bits(), 0o600);
        assert_eq!(Permissions::default().mode().bits(), 0o600);
    }
}
