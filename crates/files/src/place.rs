//! The place of a file: whether it is free, and how a complete file gets its name.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::fs::{FileType, RenameFlags};
use rustix::io::Errno;

use crate::folder::{self, Folder};
use crate::{BeginError, Offered, SafeName};

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overwrite {
    /// It stays, and the new one is refused.
    #[default]
    Refuse,
    /// It stays, and the new one gets a number: `a (2).txt`.
    Rename,
    /// It is replaced, once the new one is complete. A folder never is.
    Replace,
}

/// Fails if there is something already that is not to be replaced.
pub(crate) fn check_free(
    folder: &Folder,
    offered: &Offered,
    overwrite: Overwrite,
    path: &Path,
) -> Result<(), BeginError> {
    let path = path.to_owned();
    match is_taken(folder, offered.path.name(), overwrite) {
        Ok(false) => Ok(()),
        Ok(true) => Err(BeginError::Exists { path }),
        Err(why) => Err(BeginError::Disk {
            path,
            why: why.into(),
        }),
    }
}

/// Fails if there is no room for the rest of a file of which so many bytes are there.
pub(crate) fn check_room(
    folder: &Folder,
    offered: &Offered,
    offset: u64,
    path: &Path,
) -> Result<(), BeginError> {
    let path = path.to_owned();
    let free = match folder.free() {
        Ok(free) => free.unwrap_or(u64::MAX),
        Err(why) => {
            return Err(BeginError::Disk {
                path,
                why: why.into(),
            });
        }
    };
    match offered.size.saturating_sub(offset).saturating_sub(free) {
        0 => Ok(()),
        missing => Err(BeginError::NoRoom { path, missing }),
    }
}

fn is_taken(folder: &Folder, name: &SafeName, overwrite: Overwrite) -> io::Result<bool> {
    let found = folder.stat(OsStr::new(name.as_str()))?;
    Ok(found.is_some_and(|found| match overwrite {
        Overwrite::Refuse => true,
        Overwrite::Rename => false,
        Overwrite::Replace => folder::kind(&found) == FileType::Directory,
    }))
}

/// Gives a complete file its name, and says which one that is.
///
/// Unless it may be replaced, no file is lost even if it comes into that place at the same moment.
pub(crate) fn settle(
    folder: &Folder,
    part: &OsStr,
    name: &SafeName,
    overwrite: Overwrite,
) -> Result<SafeName, Errno> {
    match overwrite {
        Overwrite::Refuse => take(folder, part, name.as_ref())?,
        Overwrite::Replace => {
            folder.rename(part, name.as_ref().as_ref(), RenameFlags::empty())?;
        }
        Overwrite::Rename => {
            let numbered = (2..=NUMBERS).map(|number| name.numbered(number));
            for candidate in [name.clone()].into_iter().chain(numbered) {
                match take(folder, part, candidate.as_ref()) {
                    Err(Errno::EXIST) => {}
                    done => return done.map(|()| candidate),
                }
            }
            return Err(Errno::EXIST);
        }
    }
    Ok(name.clone())
}

fn take(folder: &Folder, part: &OsStr, name: &str) -> Result<(), Errno> {
    let name = OsStr::new(name);
    let mut ways = WAYS.iter();
    loop {
        match ways.next().map(|way| way(folder, part, name)) {
            // Not every file system knows each way; the last one needs nothing of it.
            Some(Err(
                Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::MLINK,
            )) => {}
            Some(done) => return done,
            None => return Err(Errno::PERM),
        }
    }
}

/// A way to give a file a name that nothing has.
type Way = fn(&Folder, &OsStr, &OsStr) -> Result<(), Errno>;

/// In one step.
fn by_rename(folder: &Folder, part: &OsStr, name: &OsStr) -> Result<(), Errno> {
    folder.rename(part, name, RenameFlags::NOREPLACE)
}

/// In two, with both names between them.
fn by_link(folder: &Folder, part: &OsStr, name: &OsStr) -> Result<(), Errno> {
    folder.link(part, name)?;
    folder.remove(part)
}

/// In two, with an empty file that holds the place between them.
fn by_claim(folder: &Folder, part: &OsStr, name: &OsStr) -> Result<(), Errno> {
    let claimed = folder.create(name);
    claimed.map_err(|why| Errno::from_io_error(&why).unwrap_or(Errno::IO))?;
    folder.rename(part, name, RenameFlags::empty())
}

const WAYS: [Way; 3] = [by_rename, by_link, by_claim];

/// Who has as many files of one name has a program that sends them.
const NUMBERS: u32 = 1_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "this is a test")]

    use std::fs;

    use super::*;

    #[test]
    fn no_way_takes_a_name_that_something_has() {
        for way in WAYS {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::open(place.path()).unwrap();
            let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
            for (number, taken) in ["file", "folder", "link"].into_iter().enumerate() {
                let path = place.path().join(taken);
                match number {
                    0 => fs::write(&path, "mine").unwrap(),
                    1 => fs::create_dir(&path).unwrap(),
                    _ => std::os::unix::fs::symlink("dangling", &path).unwrap(),
                }
                fs::write(place.path().join("part"), "new").unwrap();
                let refused = way(&folder, "part".as_ref(), taken.as_ref());
                assert_eq!(refused, Err(Errno::EXIST), "{taken}");
                assert_eq!(read("part"), "new");
            }
            assert_eq!(read("file"), "mine");
            way(&folder, "part".as_ref(), "free".as_ref()).unwrap();
            assert_eq!(read("free"), "new");
            assert!(!place.path().join("part").exists());
            assert!(!place.path().join("dangling").exists());
        }
    }

    #[test]
    fn numbers_come_to_an_end() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let name = SafeName::of("a");
        for number in 2..=NUMBERS {
            fs::write(place.path().join(name.numbered(number).as_str()), "").unwrap();
        }
        fs::write(place.path().join("a"), "").unwrap();
        fs::write(place.path().join("part"), "new").unwrap();
        let part = OsStr::new("part");
        let refused = settle(&folder, part, &name, Overwrite::Rename);
        assert_eq!(refused, Err(Errno::EXIST));
        fs::remove_file(place.path().join("a (7)")).unwrap();
        let settled = settle(&folder, part, &name, Overwrite::Rename);
        assert_eq!(settled.unwrap().as_str(), "a (7)");
    }
}
