//! How a splice ends.

use std::io;

use crate::lane::Fault;

/// How a splice ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Bytes that the bytestream took from the local program.
    pub sent: u64,
    /// Bytes that the local program took from the bytestream.
    pub received: u64,
    /// What ended it, unless both directions ended properly.
    pub error: Option<SpliceError>,
}

/// Which side broke the connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// The local program's.
    #[error("the local program broke the connection: {0}")]
    Local(#[source] io::Error),
    /// The bytestream.
    #[error("the connection to the peer broke: {0}")]
    Remote(#[source] io::Error),
    /// Neither: the caller had it stopped before both directions had ended.
    #[error("stopped by this side")]
    Stopped,
}

/// What ended a splice early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: SpliceError,
    /// Whether that side may still be read: it was a write that failed.
    pub(crate) may_speak: bool,
}

impl Failure {
    pub(crate) fn on_the_way_up(fault: Fault) -> Self {
        match fault {
            Fault::Read(why) => Self::of(SpliceError::Local(why), false),
            Fault::Write(why) => Self::of(SpliceError::Remote(why), true),
        }
    }

    pub(crate) fn on_the_way_down(fault: Fault) -> Self {
        match fault {
            Fault::Read(why) => Self::of(SpliceError::Remote(why), false),
            Fault::Write(why) => Self::of(SpliceError::Local(why), true),
        }
    }

    pub(crate) fn stopped() -> Self {
        Self::of(SpliceError::Stopped, false)
    }

    fn of(error: SpliceError, may_speak: bool) -> Self {
        Self { error, may_speak }
    }
}
