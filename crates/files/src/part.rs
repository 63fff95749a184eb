//! The file of a part: how it is called, and how it is opened so that it is nobody else's.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::SystemTime;

use ring::digest::{Context, SHA256};
use rustix::fs::{FileType, Stat};

use crate::folder::{self, Folder};
use crate::{Offered, SafeName, Version};

/// An open part, locked.
#[derive(Debug)]
pub(crate) struct Part {
    /// What it is called.
    pub(crate) name: OsString,
    /// Its file, to be read and written.
    pub(crate) file: File,
    /// How many bytes are there.
    pub(crate) length: u64,
    /// Whether it would be found again.
    pub(crate) memory: Memory,
}

/// Whether a part is found again by who goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Nobody knows what it is part of.
    Forgotten,
    /// Its name says what it is part of.
    Kept,
}

/// How many bytes there are of the part of what is offered, as far as a look tells.
pub(crate) fn glance(folder: &Folder, offered: &Offered) -> io::Result<u64> {
    let (Some(version), Some(_)) = (&offered.version, offered.algorithm) else {
        return Ok(0);
    };
    let name = name(offered.path.name(), &label(offered, version));
    let found = folder.stat(&name)?.filter(is_own);
    let length = found.map_or(0, |found| length_of(&found));
    Ok(if length > offered.size { 0 } else { length })
}

/// Opens the part of what is offered, or begins one; nothing if somebody else has it open.
pub(crate) fn open(folder: &Folder, offered: &Offered) -> io::Result<Option<Part>> {
    let target = offered.path.name();
    // Without a checksum in the end nobody would know whether two halves belong together.
    let (Some(version), Some(_)) = (&offered.version, offered.algorithm) else {
        return fresh(folder, target).map(Some);
    };
    let name = name(target, &label(offered, version));
    for _ in 0..TRIES {
        match take(folder, &name, offered.size)? {
            Found::Gone => {}
            Found::Busy => return Ok(None),
            Found::Foreign => return fresh(folder, target).map(Some),
            Found::Own { file, length } => {
                return Ok(Some(Part {
                    name,
                    file,
                    length,
                    memory: Memory::Kept,
                }));
            }
        }
    }
    Ok(None)
}

enum Found {
    Busy,
    /// Somebody else made it, or can read it.
    Foreign,
    /// It was renamed or removed before it was locked.
    Gone,
    Own {
        file: File,
        length: u64,
    },
}

fn take(folder: &Folder, name: &OsStr, size: u64) -> io::Result<Found> {
    let file = match folder.create(name) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => match folder.write(name) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Found::Gone),
            // A link, a folder, a socket, or a file that this user cannot open.
            Err(_) => return Ok(Found::Foreign),
        },
        created => created?,
    };
    // Whoever made it could hold a lock for ever.
    if !is_own(&rustix::fs::fstat(&file)?) {
        return Ok(Found::Foreign);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Found::Busy),
        // A file system without locks: two at once would be found out by the checksum.
        Err(TryLockError::Error(why)) if why.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(why)) => return Err(why),
    }
    if !folder.holds(name, &file)? {
        return Ok(Found::Gone);
    }
    let found = rustix::fs::fstat(&file)?;
    if !is_own(&found) {
        return Ok(Found::Foreign);
    }
    let mut length = length_of(&found);
    if length > size {
        file.set_len(0)?;
        length = 0;
    }
    Ok(Found::Own { file, length })
}

/// Whether it is a file that this user made, and nobody else can read.
fn is_own(found: &Stat) -> bool {
    folder::kind(found) == FileType::RegularFile
        && found.st_uid == rustix::process::geteuid().as_raw()
        // None, if it was removed just now.
        && found.st_nlink <= 1
        && found.st_mode & OTHERS == 0
}

fn length_of(found: &Stat) -> u64 {
    u64::try_from(found.st_size).unwrap_or_default()
}

/// One that nobody goes on with.
fn fresh(folder: &Folder, target: &SafeName) -> io::Result<Part> {
    let mut last = io::ErrorKind::AlreadyExists.into();
    for _ in 0..TRIES {
        let label = format!("{:016x}", RandomState::new().hash_one(()));
        let name = name(target, &label);
        match folder.create(&name) {
            Ok(file) => {
                return Ok(Part {
                    name,
                    file,
                    length: 0,
                    memory: Memory::Forgotten,
                });
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// No name of a peer begins with a dot, so that none is that of a part.
fn name(target: &SafeName, label: &str) -> OsString {
    format!(".{}.{label}.part", target.beginning(BEGINNING)).into()
}

/// What is the same only for the same file of the same sender.
fn label(offered: &Offered, version: &Version) -> String {
    let (kind, version) = match version {
        Version::Checksum(checksum) => ("checksum", checksum.to_string()),
        Version::Modified(when) => {
            let since = when.duration_since(SystemTime::UNIX_EPOCH);
            ("modified", format!("{since:?}"))
        }
    };
    let mut context = Context::new(&SHA256);
    let path = offered.path.to_string();
    let size = offered.size.to_string();
    for field in [&*offered.sender, &*path, &*size, kind, &*version] {
        context.update(&field.len().to_be_bytes());
        context.update(field.as_bytes());
    }
    let digest = context.finish();
    let bytes = digest.as_ref().iter().take(LABEL);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// How often something may come between looking and taking.
const TRIES: usize = 16;

/// Bytes of a digest that tell files of one name apart: nobody gains from two that are the same, as
/// the checksum tells in the end.
const LABEL: usize = 8;

/// As much of the file's own name as goes into one with a dot before, a label and `.part` behind.
const BEGINNING: usize = 255 - 1 - 1 - 2 * LABEL - 5;

/// What nobody else may do with a part.
const OTHERS: u32 = 0o077;
