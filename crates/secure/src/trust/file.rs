//! The file in which the decisions stand, in TOML.
//!
//! ```toml
//! [[device]]
//! contact = "fernand@example.org"
//! key = "…"
//! standing = "pinned"
//! first_seen = 1795286400
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xmpp_parsers::jid::BareJid;

use super::{Contacts, Device, Standing};
use crate::key::PublicKey;

/// Why a file cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// It is not in TOML, or something in it has no meaning. Nothing is guessed: a file that is
    /// not understood may hold what was revoked.
    #[error("{0}")]
    Malformed(String),
    /// One device stands there twice.
    #[error("a device of {0} stands there twice")]
    Twice(BareJid),
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    device: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    contact: String,
    key: String,
    standing: Standing,
    /// Seconds since 1970.
    first_seen: u32,
}

impl Contacts {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It says something that is not understood.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let file: File = toml::from_str(text).map_err(malformed)?;
        let mut contacts = Self::default();
        let mut known = BTreeSet::new();
        for entry in file.device {
            let contact: BareJid = entry.contact.parse().map_err(malformed)?;
            let key: PublicKey = entry.key.parse().map_err(malformed)?;
            if !known.insert((contact.clone(), key)) {
                return Err(FileError::Twice(contact));
            }
            let seconds = Duration::from_secs(entry.first_seen.into());
            contacts.devices.entry(contact).or_default().push(Device {
                key,
                standing: entry.standing,
                first_seen: SystemTime::UNIX_EPOCH + seconds,
            });
        }
        Ok(contacts)
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// None that is known of: it is strings, numbers and words.
    pub fn to_text(&self) -> Result<String, FileError> {
        let entry = |contact: &BareJid, device: &Device| Entry {
            contact: contact.to_string(),
            key: device.key.to_string(),
            standing: device.standing,
            first_seen: device
                .first_seen
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| {
                    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
                }),
        };
        let device = self
            .iter()
            .flat_map(|(contact, devices)| devices.iter().map(move |device| entry(contact, device)))
            .collect();
        toml::to_string(&File { device }).map_err(malformed)
    }
}

fn malformed(why: impl ToString) -> FileError {
    FileError::Malformed(why.to_string())
}
