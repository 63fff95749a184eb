//! Which server to run.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::StartError;

/// Which server to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// The one in this crate, in this process. It needs no installed package.
    Embedded,
    /// Prosody, from the Debian package `prosody`.
    Prosody,
    /// ejabberd, from the Debian package `ejabberd`.
    Ejabberd,
}

impl ServerKind {
    /// Every kind there is, the quickest to start first.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Prosody, Self::Ejabberd];

    /// Says whether such a server can be started on this machine.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] names the Debian package to install.
    pub fn available(self) -> Result<(), StartError> {
        for program in self.programs() {
            find(self, program)?;
        }
        Ok(())
    }

    /// Says whether a test that needs such a server is to run.
    ///
    /// Where the server is missing the test is skipped, and standard error says which package
    /// to install. With `CI` set in the environment nothing is skipped.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] when the server is missing and `CI` is set.
    pub fn wanted(self) -> Result<bool, StartError> {
        match self.available() {
            Ok(()) => Ok(true),
            Err(missing) if std::env::var_os("CI").is_some() => Err(missing),
            Err(missing) => {
                eprintln!("skipped: {missing}");
                Ok(false)
            }
        }
    }

    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Embedded => &[],
            Self::Prosody => &["prosody"],
            // `ejabberdctl` only switches users and starts `erl`; its presence says that
            // ejabberd's own code is installed.
            Self::Ejabberd => &["ejabberdctl", "erl"],
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Embedded => "",
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        })
    }
}

impl FromStr for ServerKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// A name that is no [`ServerKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of embedded, prosody, ejabberd")]
pub struct UnknownKind(String);

/// Where a program is: on the path, or where Debian puts what only administrators call.
pub(crate) fn find(kind: ServerKind, program: &str) -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMINISTRATORS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| Path::is_file(file))
        .ok_or_else(|| StartError::Missing {
            program: program.into(),
            package: kind.package(),
        })
}

/// Debian keeps these off the path of ordinary users.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn reads_back_what_it_prints() {
        for kind in ServerKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("openfire".parse::<ServerKind>().is_err());
    }

    #[test]
    fn names_the_package_of_a_missing_program() {
        let missing = find(ServerKind::Prosody, "no-such-program").unwrap_err();
        assert!(missing.to_string().contains("`prosody`"), "{missing}");
    }
}
