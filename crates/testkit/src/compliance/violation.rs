//! What a transport did instead of keeping a property.

use std::fmt;
use std::io;

use tubes_transport::{ConnectError, Kind, Role};

use crate::compliance::Property;

/// Whether a property was kept.
pub type Verdict = Result<(), Violation>;

/// A property that a transport did not keep.
#[derive(Debug, thiserror::Error)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// The side that acted when it happened, and the kind of peer; nothing if the test as a
    /// whole came to no end.
    pub setting: Option<(Role, Kind)>,
    /// What happened.
    pub breach: Breach,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is violated", self.property)?;
        if let Some((role, kind)) = self.setting {
            write!(f, " ({role:?} acting, peer of kind {kind:?})")?;
        }
        write!(f, ": {}", self.breach)
    }
}

/// What happened that must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// A stream's identifier cannot be claimed again.
    #[error("the claim on the stream is still held, {0}")]
    ClaimKept(&'static str),
    /// No bytestream came of an attempt that should have opened.
    #[error("the {role:?} did not open: {why}")]
    Connect {
        /// The side.
        role: Role,
        /// Its reason.
        why: ConnectError,
    },
    /// File descriptors are still open.
    #[error("{after} descriptors are open, {before} were before")]
    DescriptorsKept {
        /// When the test began.
        before: usize,
        /// When it ended.
        after: usize,
    },
    /// Other bytes came out than went in.
    #[error("{heard} bytes came of {expected}, and they differ at offset {at}")]
    Differs {
        /// How many were expected, in all.
        expected: usize,
        /// How many came.
        heard: usize,
        /// Where the first differs, or one is missing, or one too many.
        at: usize,
    },
    /// Reading failed where the stream should have ended properly, or gone on.
    #[error("{doing} failed: {why}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The error.
        why: io::Error,
    },
    /// End-of-file where the stream was not ended properly.
    #[error("end-of-file was read where an error was due, {0}")]
    ForgedEnd(&'static str),
    /// The test as a whole came to no end, or the transport blocked its thread.
    #[error("the test came to no end")]
    Hung,
    /// The machine does not tell what has to be measured.
    #[error("cannot count the open descriptors in /dev/fd: {0}")]
    NotMeasurable(io::Error),
    /// Something opened that should not have.
    #[error("a bytestream opened although {0}")]
    Opened(&'static str),
    /// The test itself panicked, most probably within the transport.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Nothing happened for longer than the subject's patience.
    #[error("nothing happened while {0}")]
    Silent(&'static str),
    /// Something was said that should not have been.
    #[error("said out of turn: {0}")]
    Spoke(String),
    /// A failure that lets no other transport try.
    #[error("the attempt gave up the whole negotiation: {0}")]
    Stopped(ConnectError),
    /// What the peer says after a failed attempt, or to another transport, is not on the wire.
    #[error("what the next attempt has to hear is not on the wire")]
    Swallowed,
    /// More was taken from a writer than the reader's silence allows.
    #[error("{taken} bytes were taken from the writer and nobody reads; {bound} are allowed")]
    Unbounded {
        /// Bytes taken.
        taken: usize,
        /// Bytes allowed.
        bound: usize,
    },
}
