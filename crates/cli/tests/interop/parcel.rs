//! A file to be sent, and a folder for what is received.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A file to be sent, and a folder for what is received.
pub(crate) struct Parcel {
    folder: TempDir,
    content: Vec<u8>,
}

impl Parcel {
    /// One of many blocks.
    pub(crate) fn new() -> Self {
        Self::of(
            (0..LENGTH)
                .map(|at| ((at % 251) ^ (at >> 8)) as u8)
                .collect(),
        )
    }

    pub(crate) fn empty() -> Self {
        Self::of(Vec::new())
    }

    fn of(content: Vec<u8>) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("into")).unwrap();
        fs::write(folder.path().join(NAME), &content).unwrap();
        Self { folder, content }
    }

    /// Where the file is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// The folder for what is received.
    pub(crate) fn target(&self) -> PathBuf {
        self.folder.path().join("into")
    }

    /// It was offered under its name and with its size.
    pub(crate) fn assert_offered(&self, event: &Value) {
        assert_eq!(event["name"], NAME);
        assert_eq!(event["size"], self.content.len());
    }

    /// Who is done has seen every byte.
    pub(crate) fn assert_done(&self, event: &Value) {
        assert_eq!(event["bytes"], self.content.len());
        assert_eq!(event["sha256"], self.digest().as_str());
    }

    /// The folder has the file, and nothing else.
    pub(crate) fn assert_arrived(&self) {
        let names = fs::read_dir(self.target()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [NAME], "what was received");
        let received = fs::read(self.target().join(NAME)).unwrap();
        assert!(received == self.content, "the file came damaged");
    }

    fn digest(&self) -> String {
        let digest = Sha256::digest(&self.content);
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}

/// Blanks and letters beyond ASCII are in the names of many files.
const NAME: &str = "año & 'b'.txt";

/// Many blocks in-band and no multiple of any. QXmpp on Prosody carries 90 KiB/s.
const LENGTH: u32 = 100_003;
