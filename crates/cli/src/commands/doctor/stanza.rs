//! The largest stanza that the server takes: what it says, or what it puts up with.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tubes::transport::AskError;

use super::{Client, Finding, rate};
use crate::feed::Feed;
use crate::output::bytes;

/// The server has said it at login.
pub(super) fn advertised(limit: NonZeroU32) -> Finding {
    judge(u64::from(limit.get()), "as the server says".to_owned())
}

/// Says ever more to itself, until the server has had enough and ends the stream.
pub(super) async fn probe(client: &Client, feed: &mut Feed) -> Finding {
    let deadline = Instant::now() + LONGEST;
    let mut taken = 0;
    for size in SIZES {
        let said = tokio::select! {
            said = timeout_at(deadline, rate::echo(client, size, LONGEST)) => said,
            // Whatever it was that ended the stream: it ended with this stanza.
            () = ended(feed) => return exceeded(taken, size),
        };
        match said {
            Ok(Ok(())) => taken = size as u64,
            Ok(Err(AskError::Gone(_))) => return exceeded(taken, size),
            Ok(Err(_)) | Err(_) => {
                let why = "at least; in the time there was no more could be tried";
                return judge(taken, why.to_owned());
            }
        }
    }
    judge(taken, "at least; more was not tried".to_owned())
}

/// Waits until the connection is lost.
async fn ended(feed: &mut Feed) {
    loop {
        match feed.next().await {
            Ok(tubes::Event::Offline { .. }) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn exceeded(taken: u64, size: usize) -> Finding {
    let more = bytes(size as u64);
    judge(
        taken,
        format!("but not {more}, at which the server ends the stream"),
    )
}

/// RFC 6120 §13.12: no server may allow less than 10,000 bytes. Tubes needs no more either.
fn judge(taken: u64, how: String) -> Finding {
    if taken >= LEAST {
        return Finding::Fine(format!("{}, {how}", bytes(taken)));
    }
    Finding::Bad(format!(
        "{}, {how}; in-band tubes need {LEAST} bytes",
        bytes(taken)
    ))
}

/// Bytes of a whole stanza. Servers count the same bytes, and come with limits of 65,536 or
/// 262,144: what is a little below is taken.
const SIZES: [usize; 6] = [
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
];

/// A block in-band and its envelope, in bytes.
const LEAST: u64 = 8192;

/// Enough for 64 KiB at 10 kB/s after the usual burst.
const LONGEST: Duration = Duration::from_secs(20);
