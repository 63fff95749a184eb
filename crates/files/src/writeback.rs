//! Has the disk take a part while the rest of it still comes.

use std::fs::File;
use std::io;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio::task;
use tracing::warn;

use crate::{Partial, WriteError};

/// Has the disk take what was written, on a thread of its own, again and again, so that little is
/// left to be waited for in the end. The end is waited for all the same: what this leaves out is
/// what came last.
#[derive(Debug)]
pub(crate) struct Writeback {
    under_way: Option<Receiver<Word>>,
    /// How many bytes there were when the last one began.
    from: u64,
}

/// What the disk says, and of which file.
type Word = (io::Result<()>, File);

impl Writeback {
    /// Nothing is under way. What is there already is of an earlier time.
    pub(crate) fn new(partial: &Partial) -> Self {
        Self {
            under_way: None,
            from: partial.offset(),
        }
    }

    /// Begins anew if that is worth it and the last one is done. Does not wait.
    ///
    /// # Errors
    ///
    /// What the disk says of the last one: it says so once, and not again in the end.
    pub(crate) fn go_on(&mut self, partial: &mut Partial) -> Result<(), WriteError> {
        if let Some(mut last) = self.under_way.take() {
            match last.try_recv() {
                Ok((synced, _)) => synced.map_err(|why| partial.distrust(why))?,
                Err(TryRecvError::Empty) => {
                    self.under_way = Some(last);
                    return Ok(());
                }
                Err(TryRecvError::Closed) => return Err(partial.stopped()),
            }
        }
        if partial.offset().saturating_sub(self.from) >= SHARE {
            self.begin(partial)?;
        }
        Ok(())
    }

    fn begin(&mut self, partial: &Partial) -> Result<(), WriteError> {
        let file = partial.file()?;
        let (done, under_way) = oneshot::channel();
        task::spawn_blocking(move || tell(done, file.sync_data(), file));
        self.from = partial.offset();
        self.under_way = Some(under_way);
        Ok(())
    }

    /// Waits for what is under way. Cancel safe.
    ///
    /// # Errors
    ///
    /// What the disk says of it.
    pub(crate) async fn settle(&mut self, partial: &mut Partial) -> Result<(), WriteError> {
        let Some(last) = &mut self.under_way else {
            return Ok(());
        };
        let word = last.await;
        self.under_way = None;
        match word {
            Ok((synced, _)) => synced.map_err(|why| partial.distrust(why)),
            // The runtime ends.
            Err(_) => Err(partial.stopped()),
        }
    }
}

impl Drop for Writeback {
    /// What was said, and not heard any more, must not be lost.
    fn drop(&mut self) {
        let Some(mut last) = self.under_way.take() else {
            return;
        };
        // From now on whoever speaks knows that nobody hears.
        last.close();
        if let Ok((Err(why), file)) = last.try_recv() {
            throw_away(&why, &file);
        }
    }
}

/// Says what the disk says.
fn tell(to: Sender<Word>, synced: io::Result<()>, file: File) {
    if let Err((Err(why), file)) = to.send((synced, file)) {
        throw_away(&why, &file);
    }
}

/// If nobody hears that the disk has not taken everything, nothing is kept: it says so once, and who goes on
/// with the part would read it from memory and find all of it right.
fn throw_away(why: &io::Error, file: &File) {
    if file.try_lock().is_err() {
        // Somebody goes on with it already. Whoever has a file open hears from the disk for itself.
        return;
    }
    if let Err(also) = file.set_len(0) {
        warn!(%why, %also, "a part of a file may be damaged, and cannot be thrown away");
    }
}

/// Bytes that are worth it: a disk that turns takes a fraction of a second for them, which is what
/// may be left to wait for in the end.
const SHARE: u64 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use std::fs;
    use std::io::Write;
    use std::time::SystemTime;

    use super::*;
    use crate::{Algorithm, BeginError, Destination, Offered, SafeName, Trouble, Version};

    fn offered() -> Offered {
        Offered {
            sender: "alice@example.org".to_owned(),
            path: SafeName::of("a").into(),
            size: 4 * SHARE,
            version: None,
            modified: None,
            algorithm: Some(Algorithm::Sha256),
        }
    }

    fn partial(folder: &tempfile::TempDir) -> Partial {
        let destination = Destination::open(folder.path()).unwrap();
        destination.begin(&offered()).unwrap()
    }

    fn full() -> io::Error {
        io::Error::from_raw_os_error(28)
    }

    fn failed() -> Writeback {
        let (done, under_way) = oneshot::channel();
        let file = tempfile::tempfile().unwrap();
        done.send((Err(full()), file)).unwrap();
        Writeback {
            under_way: Some(under_way),
            from: 0,
        }
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_told_as_soon_as_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let is_full = |told| {
            matches!(
                told,
                Err(WriteError::Disk {
                    why: Trouble::Full,
                    ..
                })
            )
        };
        let mut begun = partial(&folder);
        begun.append(b"hello").unwrap();
        let mut writeback = failed();
        assert!(is_full(writeback.go_on(&mut begun)));
        writeback.settle(&mut begun).await.unwrap();
        drop(begun);
        assert_eq!(partial(&folder).offset(), 0, "nothing of it is kept");

        let mut begun = partial(&folder);
        begun.append(b"hello").unwrap();
        assert!(is_full(failed().settle(&mut begun).await));
        drop(begun);
        assert_eq!(partial(&folder).offset(), 0, "nothing of it is kept");
    }

    #[test]
    fn what_the_disk_does_not_take_is_not_kept_if_nobody_hears_of_it() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        let again = || file.try_clone().unwrap();
        let length = || file.metadata().unwrap().len();
        let unheard = || oneshot::channel().0;
        tell(unheard(), Ok(()), again());
        assert_eq!(length(), 5);
        tell(unheard(), Err(full()), again());
        assert_eq!(length(), 0);

        // It was said, and who was to hear it is gone.
        file.set_len(5).unwrap();
        let (done, under_way) = oneshot::channel();
        tell(done, Err(full()), again());
        assert_eq!(length(), 5);
        drop(Writeback {
            under_way: Some(under_way),
            from: 0,
        });
        assert_eq!(length(), 0);
    }

    #[test]
    fn what_somebody_goes_on_with_is_not_thrown_away_for_another() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"hello").unwrap();
        let gone_on_with = File::open(file.path()).unwrap();
        gone_on_with.lock().unwrap();
        throw_away(&full(), file.as_file());
        assert_eq!(fs::read(file.path()).unwrap(), b"hello");
        drop(gone_on_with);
        throw_away(&full(), file.as_file());
        assert_eq!(fs::read(file.path()).unwrap(), b"");
    }

    #[test]
    fn a_part_is_free_when_it_is_let_go_whatever_the_disk_still_takes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let offered = Offered {
            version: Some(Version::Modified(SystemTime::UNIX_EPOCH)),
            ..offered()
        };
        let mut begun = destination.begin(&offered).unwrap();
        begun.append(b"hello").unwrap();
        let _taken_by_the_disk = begun.file().unwrap();
        let busy = destination.begin(&offered);
        assert!(matches!(busy, Err(BeginError::Busy { .. })));
        drop(begun);
        assert_eq!(destination.begin(&offered).unwrap().offset(), 5);
    }

    #[tokio::test]
    async fn it_begins_when_a_share_is_there_and_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = partial(&folder);
        let mut writeback = Writeback::new(&partial);
        let share = vec![7; usize::try_from(SHARE).unwrap()];
        partial.append(&share[1..]).unwrap();
        writeback.go_on(&mut partial).unwrap();
        assert!(writeback.under_way.is_none());
        partial.append(&share[..1]).unwrap();
        writeback.go_on(&mut partial).unwrap();
        assert!(writeback.under_way.is_some() && writeback.from == SHARE);
        writeback.settle(&mut partial).await.unwrap();
        writeback.go_on(&mut partial).unwrap();
        assert!(writeback.under_way.is_none());
    }
}
