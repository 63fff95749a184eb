//! What becomes of files: names, what is sent, what is received, and what others do meanwhile.

#![allow(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod dates;
mod full;
mod killed;
mod looking;
mod names;
mod receiving;
mod sending;
mod stopping;
mod streaming;
mod walking;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tubes_files::{Algorithm, Checksum, Destination, Hasher, Offered, Version};

/// A folder to receive in, and what stands in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn destination(&self) -> Destination {
        Destination::open(self.path()).unwrap()
    }

    /// The names of what is there, in order.
    fn names(&self) -> Vec<String> {
        names_in(self.path())
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// What Alice says of a file with these bytes.
fn offered(path: &str, bytes: &[u8]) -> Offered {
    Offered {
        sender: "alice@example.org".to_owned(),
        path: path.parse().unwrap(),
        size: bytes.len().try_into().unwrap(),
        version: Some(Version::Checksum(sha256(bytes))),
        modified: None,
        algorithm: Some(Algorithm::Sha256),
    }
}

fn sha256(bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.checksum()
}

/// Bytes that differ from place to place.
fn some_bytes(number: usize) -> Vec<u8> {
    (0..number)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}
