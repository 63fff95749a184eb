//! What can go wrong while a server is started or an account is made.

use std::{io, path::PathBuf, time::Duration};

use crate::ServerKind;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// One of the accounts asked for could not be made.
    #[error("no account could be made: {0}")]
    Account(#[from] AccountError),
    /// The throwaway certificates could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    /// The domain is no valid domain part of a JID.
    #[error("`{0}` is no domain to serve")]
    Domain(String),
    /// The server ended before it was ready.
    #[error("{kind} ended before it was ready; its log says:\n{log}")]
    Ended {
        /// Which server.
        kind: ServerKind,
        /// The end of what it had to say.
        log: String,
    },
    /// A file, a port or a process could not be had.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The server is not installed.
    #[error("{program} not found: install the Debian package `{package}`")]
    Missing {
        /// The program that was looked for.
        program: PathBuf,
        /// The package it comes with.
        package: &'static str,
    },
    /// The server runs, but did not answer in time.
    #[error("{kind} was not ready within {within:?}; its log says:\n{log}")]
    TimedOut {
        /// Which server.
        kind: ServerKind,
        /// How long it was waited for.
        within: Duration,
        /// The end of what it had to say.
        log: String,
    },
}

impl StartError {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is an account of this name.
    #[error("the account {0} exists already")]
    Exists(String),
    /// The name is no valid local part of a JID, or the password fails SASLprep (RFC 4013).
    #[error("not a name and password to make an account of: {0}")]
    Invalid(String),
    /// The server could not be told.
    #[error("the server could not be told of the account: {0}")]
    Io(#[from] io::Error),
    /// The server did not want it.
    #[error("the server refused: {0}")]
    Refused(String),
}
