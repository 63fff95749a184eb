//! Why a file is not sent, for the application and for the other side.

use std::io;
use std::io::ErrorKind;

use tubes_courier::{ReceiveError, SendError, of_trouble};
use tubes_files::{BeginError, FinishError, PathError, SourceError};
use tubes_protocol::file::{FileError, Reason};
use tubes_protocol::si::SiError;
use tubes_transport::OpenError;
use tubes_transport::foreign::named;
use xmpp_parsers::jid::FullJid;

use crate::event::{Failure, FailureKind};
use crate::failure;

/// An offer that came to nothing.
pub(super) fn offer(peer: &FullJid, error: &OpenError) -> Failure {
    let OpenError::Refused(why) = error else {
        return failure::open(error);
    };
    if SiError::is_bad_profile(why) {
        let peer = named(peer);
        let message =
            format!("{peer} takes no files at the moment: `tubes receive` has to run there");
        return Failure::new(FailureKind::Refused, message);
    }
    match Reason::of(why) {
        Some(reason) => refused(peer, reason),
        None => failure::open(error),
    }
}

/// What the receiver says.
fn refused(peer: &FullJid, reason: Reason) -> Failure {
    let (kind, what) = match reason {
        Reason::Cancelled => (FailureKind::Declined, "does not want the file"),
        Reason::Changed => (
            FailureKind::Io,
            "has parts of two versions of the file: send it again when nobody writes to it",
        ),
        Reason::Differs => (
            FailureKind::Protocol,
            "got other bytes than were sent, and threw them away: send it again",
        ),
        Reason::Exists => (FailureKind::Refused, "has a file of that name already"),
        Reason::Full => (
            FailureKind::Refused,
            "has no room on its disk: send it again when there is",
        ),
        Reason::Permission => (FailureKind::Refused, "may not write the file there"),
        Reason::Quota => (
            FailureKind::Refused,
            "has used up its disk quota: send it again when there is room",
        ),
        _ => (FailureKind::Refused, "could not write the file"),
    };
    Failure::new(kind, format!("{} {what}", named(peer)))
}

/// What the sender says, or shows.
pub(crate) fn withdrawn(peer: &FullJid, reason: Reason) -> Failure {
    let (kind, what) = match reason {
        Reason::Cancelled => (FailureKind::Closed, "has given the file up"),
        Reason::Changed => (
            FailureKind::Closed,
            "has given up, as the file changed while it was sent",
        ),
        _ => (FailureKind::Closed, "could not read the file any more"),
    };
    Failure::new(kind, format!("{} {what}", named(peer)))
}

/// A file that is sent again before it has come.
pub(super) fn superseded(peer: &FullJid) -> Failure {
    let message = format!("{} sends the file again", peer.to_bare());
    Failure::new(FailureKind::Closed, message)
}

/// An answer that makes no sense.
pub(super) fn answer(why: &FileError) -> Failure {
    let message = format!("the answer to the offer of the file: {why}");
    Failure::new(FailureKind::Protocol, message)
}

/// A file that did not get there.
pub(super) fn send(peer: &FullJid, why: &SendError) -> Failure {
    match why {
        SendError::Broken(why) => broken(peer, why),
        SendError::CutShort => {
            // As if it had said that it stops: this says nothing of other files.
            let message = format!(
                "{} ended before it had the whole file: send it again",
                named(peer)
            );
            Failure::new(FailureKind::Closed, message)
        }
        SendError::Refused(Reason::Cancelled) => {
            let message = format!("{} has stopped receiving the file", named(peer));
            Failure::new(FailureKind::Closed, message)
        }
        SendError::Refused(reason) => refused(peer, *reason),
        SendError::Source(why) => source(why),
        SendError::Unconfirmed => {
            let message = format!(
                "{} ended without having said that it has the file",
                named(peer)
            );
            Failure::new(FailureKind::Gone, message)
        }
        why => Failure::new(FailureKind::Io, why.to_string()),
    }
}

/// A file that did not get here.
pub(super) fn receive(peer: &FullJid, why: &ReceiveError) -> Failure {
    match why {
        ReceiveError::Broken(why) => broken(peer, why),
        ReceiveError::CutShort => {
            let message = format!(
                "{} ended before the last byte; what came is kept",
                named(peer)
            );
            Failure::new(FailureKind::Gone, message)
        }
        ReceiveError::Finish(why @ FinishError::Differs { .. }) => {
            Failure::new(FailureKind::Protocol, why.to_string())
        }
        ReceiveError::Unlike => {
            Failure::new(FailureKind::Protocol, format!("{}: {why}", named(peer)))
        }
        why => Failure::new(FailureKind::Io, why.to_string()),
    }
}

fn broken(peer: &FullJid, why: &io::Error) -> Failure {
    let kind = match why.kind() {
        _ if tubes_secure::is_untrusted(why) => FailureKind::Untrusted,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => FailureKind::Closed,
        ErrorKind::InvalidData => FailureKind::Protocol,
        ErrorKind::TimedOut => FailureKind::TimedOut,
        _ => FailureKind::Gone,
    };
    let peer = named(peer);
    let message = format!("the connection with {peer} broke ({why}): repeat the command to go on");
    Failure::new(kind, message)
}

/// A file that cannot be read.
pub(super) fn source(why: &SourceError) -> Failure {
    Failure::new(FailureKind::Io, why.to_string())
}

/// The same for the receiver.
pub(super) fn of_source(why: &SourceError) -> Reason {
    match why {
        SourceError::Changed { .. } => Reason::Changed,
        _ => Reason::Io,
    }
}

/// A file for which there is no place.
pub(super) fn begin(why: &BeginError) -> Failure {
    let kind = match why {
        BeginError::Busy { .. } => FailureKind::Limit,
        _ => FailureKind::Io,
    };
    Failure::new(kind, why.to_string())
}

/// A part that is shorter than the sender was told.
pub(super) fn moved() -> Failure {
    let message = "what was there of the file was taken away meanwhile: it is to be sent again";
    Failure::new(FailureKind::Io, message.to_owned())
}

/// The same for the sender.
pub(super) fn of_begin(why: &BeginError) -> Reason {
    match why {
        BeginError::Disk { why, .. } => of_trouble(why),
        BeginError::Exists { .. } => Reason::Exists,
        BeginError::NoRoom { .. } => Reason::Full,
        _ => Reason::Io,
    }
}

/// A path that leads nowhere.
pub(super) fn path(why: &PathError) -> Failure {
    Failure::new(FailureKind::Protocol, why.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn a_file_that_is_stopped_there_says_nothing_of_other_files() {
        let peer = "fernand@example.org/one".parse().unwrap();
        for stopped in [SendError::CutShort, SendError::Refused(Reason::Cancelled)] {
            let failure = send(&peer, &stopped);
            assert_eq!(failure.kind, FailureKind::Closed, "{failure}");
        }
        let gone = send(&peer, &SendError::Broken(ErrorKind::UnexpectedEof.into()));
        assert_eq!(gone.kind, FailureKind::Gone);
    }
}
