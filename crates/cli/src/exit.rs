//! How the program ends: one line on standard error, and a code that scripts rely on.

use std::fmt;
use std::io;
use std::process::ExitCode;

use tubes::secure::StoreError;
use tubes::session::LoginErrorKind;
use tubes::{AcceptError, BindError, EnterError, Failure, FailureKind, OfferError, StartError};

use crate::hint;

/// Why a command ended before, or instead of, being done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The attempt failed.
    Failed(Trouble),
    /// The rest was done; of this it was told before what.
    Incomplete(String),
    /// The user interrupted it (SIGINT), or its work was cut short; everything was closed properly.
    Interrupted,
    /// Somebody asked it to end (SIGTERM), and it did so properly.
    Terminated,
    /// What was asked for makes no sense; the message names what to mend.
    Usage(String),
}

impl Stop {
    /// A failure of the given kind.
    pub(crate) fn failed(kind: Kind, message: impl Into<String>) -> Self {
        Self::Failed(Trouble {
            kind,
            message: message.into(),
        })
    }

    /// The exit code, as sysexits.h has it where it has one.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(trouble) => trouble.kind.code(),
            Self::Incomplete(_) => INCOMPLETE,
            Self::Interrupted => 130,
            Self::Terminated => 0,
            Self::Usage(_) => USAGE,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(trouble) => f.write_str(&trouble.message),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Terminated => f.write_str("terminated"),
            Self::Incomplete(what) | Self::Usage(what) => f.write_str(what),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.into())
    }
}

impl From<StartError> for Stop {
    fn from(error: StartError) -> Self {
        let kind = match &error {
            StartError::Login(login) => match login.kind() {
                LoginErrorKind::NotAuthorised => Kind::Refused,
                LoginErrorKind::Protocol => Kind::Protocol,
                LoginErrorKind::Unavailable => Kind::Unreachable,
                LoginErrorKind::Untrusted => Kind::Untrusted,
            },
            _ => Kind::Io,
        };
        Self::failed(kind, hint::start(&error))
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(what) => Self::Usage(what.to_string()),
            _ => Self::failed(Kind::Io, error.to_string()),
        }
    }
}

impl From<AcceptError> for Stop {
    fn from(error: AcceptError) -> Self {
        let kind = match error {
            AcceptError::Busy => Kind::Limit,
            AcceptError::Gone => Kind::Gone,
            _ => Kind::Io,
        };
        Self::failed(kind, error.to_string())
    }
}

impl From<BindError> for Stop {
    fn from(error: BindError) -> Self {
        Self::failed(Kind::Io, error.to_string())
    }
}

impl From<EnterError> for Stop {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Refused(failure) => failure.into(),
            EnterError::Closed => Self::failed(Kind::Gone, error.to_string()),
            _ => Self::failed(Kind::Limit, error.to_string()),
        }
    }
}

impl From<OfferError> for Stop {
    fn from(error: OfferError) -> Self {
        match error {
            OfferError::Closed => Self::failed(Kind::Gone, error.to_string()),
            OfferError::Full => Self::failed(Kind::Limit, error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::failed(Kind::Io, error.to_string())
    }
}

impl From<Stop> for ExitCode {
    fn from(stop: Stop) -> Self {
        Self::from(stop.code())
    }
}

/// What failed: its kind for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            kind: failure.kind.into(),
            message: hint::failure(&failure),
        }
    }
}

/// The kinds of trouble that events and exit codes tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Closed,
    Declined,
    Gone,
    Io,
    Limit,
    Protocol,
    Refused,
    TimedOut,
    Unreachable,
    Untrusted,
}

impl Kind {
    /// Its name in events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Declined => "declined",
            Self::Gone => "gone",
            Self::Io => "io",
            Self::Limit => "limit",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Closed | Self::Io | Self::Limit => 1,
            Self::Gone | Self::TimedOut | Self::Unreachable => 69,
            Self::Protocol => 76,
            Self::Declined | Self::Refused | Self::Untrusted => 77,
        }
    }
}

impl From<FailureKind> for Kind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Declined => Self::Declined,
            FailureKind::Gone => Self::Gone,
            FailureKind::Io => Self::Io,
            FailureKind::Limit => Self::Limit,
            FailureKind::Protocol => Self::Protocol,
            FailureKind::Refused => Self::Refused,
            FailureKind::TimedOut => Self::TimedOut,
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::Untrusted => Self::Untrusted,
            // What a later version may add is an end like others until it has a name here.
            _ => Self::Closed,
        }
    }
}

/// What clap has to say, in one line and without its advice on where to read on.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line} (see --help)")
}

/// Some of it could not be read.
const INCOMPLETE: u8 = 74;

/// The command line, the configuration or a file that it names is at fault.
pub(crate) const USAGE: u8 = 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::Parser;

    use super::*;
    use crate::args::Args;

    #[test]
    fn a_complaint_about_the_command_line_is_one_line() {
        for line in [
            &["tubes"][..],
            &["tubes", "offer"],
            &["tubes", "offer", "localhost:22", "--to", "x"],
            &[
                "tubes",
                "accept",
                "--from",
                "alice@example.org",
                "--listen",
                "nowhere",
            ],
        ] {
            let error = Args::try_parse_from(line).unwrap_err();
            let complaint = one_line(&error);
            assert!(!complaint.contains('\n'), "{complaint}");
            assert!(!complaint.contains("Usage:"), "{complaint}");
        }
    }

    #[test]
    fn the_complaint_names_what_is_missing() {
        let error = Args::try_parse_from(["tubes", "offer", "localhost:22"]).unwrap_err();
        let complaint = one_line(&error);
        assert!(complaint.contains("--to <JID>"), "{complaint}");
        assert!(complaint.contains("--service <NAME>"), "{complaint}");
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        for (kind, code) in [
            (Kind::Io, 1),
            (Kind::Unreachable, 69),
            (Kind::TimedOut, 69),
            (Kind::Gone, 69),
            (Kind::Protocol, 76),
            (Kind::Refused, 77),
            (Kind::Declined, 77),
            (Kind::Untrusted, 77),
        ] {
            assert_eq!(Stop::failed(kind, "").code(), code);
        }
        assert_eq!(Stop::Usage(String::new()).code(), 2);
        assert_eq!(Stop::Incomplete(String::new()).code(), 74);
        assert_eq!(Stop::Interrupted.code(), 130);
        assert_eq!(Stop::Terminated.code(), 0);
    }
}
