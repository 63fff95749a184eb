//! What is left to be said when it is known what came of a file.

use tokio::time::timeout;
use tubes_protocol::file::Verdict;
use tubes_transport::Bytestream;

use crate::words::{PARTING, drain, end, tell};

/// What came of an errand, and what is left to be said.
#[derive(Debug)]
pub struct Settled<T> {
    /// What came of it. Nothing that happens from now on changes it, neither to the bytestream nor to who
    /// says farewell.
    pub outcome: T,
    /// What the other side waits for, if it waits for something.
    pub farewell: Option<Farewell>,
}

/// The end of a bytestream over which everything was carried. Dropped, it breaks instead.
#[derive(Debug)]
pub struct Farewell {
    stream: Bytestream,
    word: Option<Verdict>,
}

impl Farewell {
    /// Ends it.
    pub(crate) fn to(stream: Bytestream) -> Self {
        Self { stream, word: None }
    }

    /// Says this, and ends it.
    pub(crate) fn with(stream: Bytestream, word: Verdict) -> Self {
        Self {
            stream,
            word: Some(word),
        }
    }

    /// Says it, if that takes no longer than it is worth: whoever does not hear that a file is there will offer
    /// it again.
    pub async fn say(self) {
        let Self { mut stream, word } = self;
        let Some(word) = word else {
            end(&mut stream).await;
            return drain(&mut stream).await;
        };
        let told = timeout(PARTING, tell(&mut stream, word)).await;
        if let Ok(Ok(())) = told {
            // What is still on its way would have the word itself thrown away.
            drain(&mut stream).await;
            end(&mut stream).await;
        }
    }
}
