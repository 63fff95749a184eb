//! What the file system objects to.

use std::io;

use rustix::io::Errno;
use thiserror::Error;

/// What the file system objects to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Trouble {
    /// This user may not do that.
    #[error("permission denied: change the permissions, or choose another folder")]
    Denied,
    /// No space is left.
    #[error("the disk is full: make room, then repeat the command to go on")]
    Full,
    /// Something else.
    #[error(transparent)]
    Io(io::Error),
    /// This user's share of the disk is used up.
    #[error("the disk quota is used up: make room, then repeat the command to go on")]
    Quota,
    /// Nothing can be written there at all.
    #[error("the file system is read-only: choose another folder")]
    ReadOnly,
    /// No file may be as large there.
    #[error("the file is too large for this file system, or for the limit of this process")]
    TooLarge,
}

impl Trouble {
    /// Whether the same may work once there is more space.
    pub fn is_lack_of_space(&self) -> bool {
        matches!(self, Self::Full | Self::Quota)
    }
}

impl From<io::Error> for Trouble {
    fn from(why: io::Error) -> Self {
        match Errno::from_io_error(&why) {
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::DQUOT) => Self::Quota,
            Some(Errno::FBIG) => Self::TooLarge,
            Some(Errno::NOSPC) => Self::Full,
            Some(Errno::ROFS) => Self::ReadOnly,
            _ => Self::Io(why),
        }
    }
}

impl From<Errno> for Trouble {
    fn from(why: Errno) -> Self {
        io::Error::from(why).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_known_by_its_number() {
        let name = |errno: Errno| format!("{:?}", Trouble::from(errno));
        assert_eq!(name(Errno::ACCESS), "Denied");
        assert_eq!(name(Errno::PERM), "Denied");
        assert_eq!(name(Errno::NOSPC), "Full");
        assert_eq!(name(Errno::DQUOT), "Quota");
        assert_eq!(name(Errno::ROFS), "ReadOnly");
        assert_eq!(name(Errno::FBIG), "TooLarge");
        assert!(name(Errno::IO).starts_with("Io("));
        assert!(Trouble::from(Errno::DQUOT).is_lack_of_space());
        assert!(!Trouble::from(Errno::ACCESS).is_lack_of_space());
    }
}
