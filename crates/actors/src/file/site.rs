//! The place in which a file is to be received, and what is there of it.
//!
//! ```text
//!   look ──► the offset that is asked for ──► (encrypted, proven) ──► begin ──► a part, or a whole file
//! ```
//!
//! What a look says is a guess: nothing is held for somebody who may not be who it says it is. So what is
//! begun with is compared with what was said.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tubes_courier::Existing;
use tubes_files::{BeginError, Destination, Offered, Partial, SafePath, WriteError};
use tubes_protocol::file::Reason;

use super::trouble;
use crate::event::Failure;
use crate::failure;

/// The place in which a file is to be received. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Site {
    there: Arc<Destination>,
    offered: Arc<Offered>,
    sender: Sender,
}

/// What is there of a file.
#[derive(Debug)]
pub(super) enum Begun {
    /// A part, or nothing.
    Part(Box<Partial>),
    /// A whole file of the same name and size: maybe it was received before, and the sender has not
    /// heard of it.
    Whole(Existing),
}

/// What the sender can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender {
    /// Also say the sum of a file of which it sends nothing.
    Comparing,
    /// Send a part.
    Resuming,
    /// Send the whole.
    Simple,
}

/// Why a file is not received there.
#[derive(Debug)]
pub(super) struct Refusal {
    /// For the sender.
    pub(super) reason: Reason,
    /// For the application.
    pub(super) failure: Failure,
}

impl Site {
    pub(super) fn new(there: Destination, offered: Offered, sender: Sender) -> Self {
        Self {
            there: Arc::new(there),
            offered: Arc::new(offered),
            sender,
        }
    }

    /// What tells it from other files of the same contact.
    pub(super) fn subject(&self) -> (SafePath, u64) {
        (self.offered.path.clone(), self.offered.size)
    }

    /// How many bytes seem to be there. Nothing is made or changed.
    pub(super) async fn look(&self) -> Result<u64, Refusal> {
        let site = self.clone();
        let looking = spawn_blocking(move || site.glance());
        Ok(looking.await.map_err(|_| Refusal::internal())??)
    }

    /// Makes room for it, or takes up what is there of it from the offset that was said.
    pub(super) async fn begin(&self, offset: u64) -> Result<Begun, Refusal> {
        let patience = Instant::now() + CLOSING;
        loop {
            let site = self.clone();
            let beginning = spawn_blocking(move || Ok(site.take_up()?.cut_to(offset)));
            match beginning.await {
                Ok(Ok(begun)) => return begun,
                // The former one of the same is still being put away.
                Ok(Err(BeginError::Busy { .. })) if Instant::now() < patience => {
                    sleep(AGAIN).await;
                }
                Ok(Err(why)) => return Err(why.into()),
                Err(_) => return Err(Refusal::internal()),
            }
        }
    }

    fn glance(&self) -> Result<u64, BeginError> {
        let size = self.offered.size;
        match (self.there.look(&self.offered), self.sender) {
            (Ok(_), Sender::Simple) => Ok(0),
            (Err(BeginError::Exists { path }), Sender::Comparing) if is_whole(&path, size) => {
                Ok(size)
            }
            (looked, _) => looked,
        }
    }

    fn take_up(&self) -> Result<Begun, BeginError> {
        let size = self.offered.size;
        match (self.there.begin(&self.offered), self.sender) {
            (Ok(partial), _) => Ok(Begun::Part(Box::new(partial))),
            (Err(BeginError::Exists { path }), Sender::Comparing) if is_whole(&path, size) => {
                Ok(Begun::Whole(Existing {
                    there: Arc::clone(&self.there),
                    path: self.offered.path.clone(),
                    whole: path,
                    size,
                }))
            }
            (Err(why), _) => Err(why),
        }
    }
}

impl Begun {
    /// The same, as far as the sender was told of it.
    fn cut_to(self, offset: u64) -> Result<Self, Refusal> {
        match self {
            Self::Part(mut partial) if partial.offset() >= offset => {
                partial.cut(offset).map_err(Refusal::from)?;
                Ok(Self::Part(partial))
            }
            // Who is told so offers it anew, if something was left out.
            Self::Part(_) => Err(Refusal {
                reason: Reason::Differs,
                failure: trouble::moved(),
            }),
            Self::Whole(existing) if existing.size == offset => Ok(Self::Whole(existing)),
            Self::Whole(existing) => Err(BeginError::Exists {
                path: existing.whole,
            }
            .into()),
        }
    }
}

impl Refusal {
    fn internal() -> Self {
        Self {
            reason: Reason::Io,
            failure: failure::internal(),
        }
    }
}

impl From<BeginError> for Refusal {
    fn from(why: BeginError) -> Self {
        Self {
            reason: trouble::of_begin(&why),
            failure: trouble::begin(&why),
        }
    }
}

impl From<WriteError> for Refusal {
    fn from(why: WriteError) -> Self {
        match why {
            WriteError::Disk { path, why } => BeginError::Disk { path, why }.into(),
            _ => Self::internal(),
        }
    }
}

/// Whether a file of this size is there.
fn is_whole(path: &Path, size: u64) -> bool {
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| found.is_file() && found.len() == size)
}

/// For a file that is given up to be put away.
const CLOSING: Duration = Duration::from_secs(5);

/// Between two looks whether it is.
const AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use std::time::SystemTime;

    use tempfile::TempDir;
    use tubes_files::{Algorithm, Version};

    use super::*;

    fn site(folder: &TempDir, sender: Sender) -> Site {
        let offered = Offered {
            sender: "alice@example.org".to_owned(),
            path: "a".parse().unwrap(),
            size: 10,
            version: Some(Version::Modified(SystemTime::UNIX_EPOCH)),
            modified: None,
            algorithm: Some(Algorithm::Sha256),
        };
        Site::new(Destination::open(folder.path()).unwrap(), offered, sender)
    }

    /// What is begun with after a look that found so much.
    async fn begun(site: &Site, looked: u64) -> Result<u64, Reason> {
        match site.begin(looked).await {
            Ok(Begun::Part(partial)) => Ok(partial.offset()),
            Ok(Begun::Whole(existing)) => Ok(existing.size),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[tokio::test]
    async fn what_has_changed_since_the_look_is_cut_or_offered_anew() {
        let folder = TempDir::new().unwrap();
        let site = site(&folder, Sender::Comparing);
        assert_eq!(site.look().await.unwrap(), 0);
        assert_eq!(begun(&site, 1).await, Err(Reason::Differs));
        let mut partial = site.there.begin(&site.offered).unwrap();
        partial.append(b"abcdef").unwrap();
        drop(partial);
        assert_eq!(site.look().await.unwrap(), 6);
        assert_eq!(begun(&site, 6).await, Ok(6));
        assert_eq!(begun(&site, 4).await, Ok(4));
        assert_eq!(begun(&site, 6).await, Err(Reason::Differs));
        assert_eq!(site.look().await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_whole_file_is_compared_only_if_the_sender_was_told_of_it() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a"), "0123456789").unwrap();
        let comparing = site(&folder, Sender::Comparing);
        assert_eq!(comparing.look().await.unwrap(), 10);
        assert_eq!(begun(&comparing, 10).await, Ok(10));
        assert_eq!(begun(&comparing, 0).await, Err(Reason::Exists));
        for sender in [Sender::Resuming, Sender::Simple] {
            let refused = site(&folder, sender).look().await.unwrap_err();
            assert_eq!(refused.reason, Reason::Exists);
        }
        fs::remove_file(folder.path().join("a")).unwrap();
        assert_eq!(begun(&comparing, 10).await, Err(Reason::Differs));
    }
}
