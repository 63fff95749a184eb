//! Whom to trust: which devices each contact has, as far as it is known.
//!
//! ```text
//!             first of the contact ──► Pinned ── compared by people ──► Verified
//!   unknown ──┤                          ▲                                 │
//!             └ any other ──► Pending ───┴── accepted          Revoked ◄───┴── from anywhere
//! ```
//!
//! `Published` is as good as unknown, but for people: they can compare such a key before it is met.
//!
//! - [`Contacts`]: the decisions, without files and clocks (this file)
//! - [`TrustStore`]: where they are kept (`store.rs`); `file.rs`: what the file looks like
//! - [`safety_number`]: what two people compare (`compare.rs`)

mod compare;
mod file;
mod store;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xmpp_parsers::jid::BareJid;

use crate::key::{Fingerprint, PublicKey};
use crate::publication;

pub use self::compare::safety_number;
pub use self::file::FileError;
pub use self::store::{StoreError, TrustStore};

/// What is known of the devices of contacts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contacts {
    devices: BTreeMap<BareJid, Vec<Device>>,
}

/// A device of a contact's, known by its key.
///
/// See [`TrustStore`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub key: PublicKey,
    /// What is thought of it.
    pub standing: Standing,
    /// When it was first heard of.
    pub first_seen: SystemTime,
}

/// What is thought of a device.
///
/// ```
/// use tubes_secure::Standing;
///
/// let trusted: Vec<_> = Standing::ALL.into_iter().filter(|of| of.is_trusted()).collect();
/// assert_eq!(trusted, [Standing::Pinned, Standing::Verified]);
/// ```
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Heard of, after another one was known: refused until it is accepted.
    Pending,
    /// Trusted since its first use, or since it was accepted.
    Pinned,
    /// In the list that the contact's account publishes, and never met: neither trusted nor refused
    /// for that.
    Published,
    /// Refused for good.
    Revoked,
    /// Trusted, and people have compared the keys.
    Verified,
}

impl Device {
    /// Whether more is known of it than that an account publishes it.
    fn is_known(&self) -> bool {
        self.standing != Standing::Published
    }
}

impl Standing {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Pinned,
        Self::Published,
        Self::Revoked,
        Self::Verified,
    ];

    /// Whether bytestreams with it are allowed.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Pinned | Self::Verified)
    }
}

/// What a key is, when it is met.
///
/// ```
/// use tubes_secure::{Judgement, Standing};
///
/// assert!(Judgement::First.is_trusted());
/// assert!(Judgement::Known(Standing::Verified).is_trusted());
/// assert!(!Judgement::Other.is_trusted(), "somebody may be in between");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// A device of the contact's that is trusted.
    Known(Standing),
    /// The first device of the contact's that was ever met: trusted from now on.
    First,
    /// Of somebody in a room: the same device for as long as this visit lasts, and nobody has said
    /// whose.
    Occupant,
    /// Not the one that is known. Remembered, for people to decide.
    Other,
    /// A device that was revoked.
    Revoked,
}

impl Judgement {
    /// Whether the bytestream may be.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Known(_) | Self::First | Self::Occupant)
    }
}

/// Why a device could not be found.
///
/// ```
/// use tubes_secure::{StoreError, TrustStore, UnknownDevice};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let store = TrustStore::open(folder.path(), &"alice@example.org".parse()?)?;
/// let nobody = store.verify(&"fernand@example.net".parse()?, "07");
/// assert!(matches!(nobody, Err(StoreError::Unknown(UnknownDevice::NoneOf(_)))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownDevice {
    /// The contact has none.
    #[error("no device of {0} is known")]
    NoneOf(BareJid),
    /// None has such a fingerprint.
    #[error("no device of {0} has a key that begins with `{1}`")]
    NoSuch(BareJid, String),
    /// It was revoked.
    #[error("the device of {0} with the key {1} was revoked: accept it before, if that is meant")]
    Revoked(BareJid, Fingerprint),
    /// More than one has.
    #[error(
        "{0} has several devices with keys that begin with `{1}`: write (more of) the one that is meant"
    )]
    Several(BareJid, String),
}

impl Contacts {
    /// The devices of a contact.
    pub fn devices(&self, contact: &BareJid) -> &[Device] {
        self.devices.get(contact).map_or(&[], Vec::as_slice)
    }

    /// All contacts of whom devices are known, with them.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &[Device])> {
        let of_each = self.devices.iter();
        of_each.map(|(contact, devices)| (contact, devices.as_slice()))
    }

    /// Whether a contact was ever met with a key, whatever became of it, or publishes one: from then
    /// on nothing less is right.
    pub fn encrypts(&self, contact: &BareJid) -> bool {
        !self.devices(contact).is_empty()
    }

    /// What a key of a contact's is, without remembering it.
    pub fn judge(&self, contact: &BareJid, key: PublicKey) -> Judgement {
        let devices = self.devices(contact);
        let known = devices.iter().find(|device| device.key == key);
        match known.map_or(Standing::Published, |device| device.standing) {
            Standing::Pending => Judgement::Other,
            Standing::Published if devices.iter().any(Device::is_known) => Judgement::Other,
            Standing::Published => Judgement::First,
            Standing::Revoked => Judgement::Revoked,
            trusted => Judgement::Known(trusted),
        }
    }

    /// Takes in which keys a contact's account publishes, instead of the former ones. Nothing is
    /// trusted for it.
    pub fn publish(&mut self, contact: &BareJid, keys: &[PublicKey], now: SystemTime) {
        let is_new = !self.devices.contains_key(contact);
        if is_new && self.devices.len() >= CONTACTS {
            return;
        }
        let mut devices = self.devices.remove(contact).unwrap_or_default();
        devices.retain(|device| device.is_known() || keys.contains(&device.key));
        for key in keys.iter().take(publication::DEVICES).copied() {
            if devices.iter().all(|device| device.key != key) {
                devices.push(Device {
                    key,
                    standing: Standing::Published,
                    first_seen: now,
                });
            }
        }
        if !devices.is_empty() {
            self.devices.insert(contact.clone(), devices);
        }
    }

    /// Meets a key, whose secret half the contact has proven, and remembers it.
    pub fn meet(&mut self, contact: &BareJid, key: PublicKey, now: SystemTime) -> Judgement {
        let judgement = self.judge(contact, key);
        match judgement {
            Judgement::First => self.add(contact, key, Standing::Pinned, now),
            Judgement::Other => self.add(contact, key, Standing::Pending, now),
            Judgement::Known(_) | Judgement::Occupant | Judgement::Revoked => {}
        }
        judgement
    }

    /// Trusts a device from now on, whether it was heard of before or not. One that was verified stays
    /// so.
    pub fn accept(&mut self, contact: &BareJid, key: PublicKey, now: SystemTime) -> Device {
        let devices = self.devices.entry(contact.clone()).or_default();
        if let Some(known) = devices.iter_mut().find(|device| device.key == key) {
            if !known.standing.is_trusted() {
                known.standing = Standing::Pinned;
            }
            return known.clone();
        }
        let device = Device {
            key,
            standing: Standing::Pinned,
            first_seen: now,
        };
        devices.push(device.clone());
        device
    }

    /// Remembers that people have compared the key of the device whose fingerprint begins so.
    ///
    /// # Errors
    ///
    /// There is no such device, or several; or it was revoked, and has to be accepted before.
    pub fn verify(&mut self, contact: &BareJid, name: &str) -> Result<Device, UnknownDevice> {
        let device = self.find(contact, name)?;
        if device.standing == Standing::Revoked {
            let name = device.key.fingerprint();
            return Err(UnknownDevice::Revoked(contact.clone(), name));
        }
        self.set(contact, name, Standing::Verified)
    }

    /// Refuses the device whose fingerprint begins so from now on.
    ///
    /// # Errors
    ///
    /// There is no such device, or several.
    pub fn revoke(&mut self, contact: &BareJid, name: &str) -> Result<Device, UnknownDevice> {
        self.set(contact, name, Standing::Revoked)
    }

    fn set(
        &mut self,
        contact: &BareJid,
        name: &str,
        standing: Standing,
    ) -> Result<Device, UnknownDevice> {
        let key = self.find(contact, name)?.key;
        let devices = self.devices.entry(contact.clone()).or_default();
        let found = devices.iter_mut().find(|device| device.key == key);
        let device = found.ok_or_else(|| UnknownDevice::NoneOf(contact.clone()))?;
        device.standing = standing;
        Ok(device.clone())
    }

    /// The device whose fingerprint begins so; with nothing to begin with the only one there is, be
    /// it beside others that are merely published.
    ///
    /// # Errors
    ///
    /// There is none, or several.
    pub fn find(&self, contact: &BareJid, fingerprint: &str) -> Result<&Device, UnknownDevice> {
        let devices = self.devices(contact);
        if devices.is_empty() {
            return Err(UnknownDevice::NoneOf(contact.clone()));
        }
        let is_known = devices.iter().any(Device::is_known);
        let mut found = devices.iter().filter(|device| match fingerprint {
            "" => device.is_known() || !is_known,
            begins => device.key.fingerprint().as_str().starts_with(begins),
        });
        match (found.next(), found.next()) {
            (Some(device), None) => Ok(device),
            (None, _) => Err(UnknownDevice::NoSuch(contact.clone(), fingerprint.into())),
            (Some(_), Some(_)) => Err(UnknownDevice::Several(contact.clone(), fingerprint.into())),
        }
    }

    /// Notes what is thought of a device that was only published, or not even that. Of those that
    /// were never accepted, and are only what somebody claimed, no more than a few are kept: more of
    /// them are no news.
    fn add(&mut self, contact: &BareJid, key: PublicKey, standing: Standing, now: SystemTime) {
        let devices = self.devices.entry(contact.clone()).or_default();
        let is_pending = |device: &&Device| device.standing == Standing::Pending;
        let is_full = devices.iter().filter(is_pending).count() >= PENDING;
        if standing == Standing::Pending && is_full {
            return;
        }
        match devices.iter_mut().find(|device| device.key == key) {
            Some(device) if device.is_known() => {}
            Some(device) => device.standing = standing,
            None => devices.push(Device {
                key,
                standing,
                first_seen: now,
            }),
        }
    }
}

/// Devices of a contact's that wait to be accepted.
const PENDING: usize = 8;

/// Once so many contacts are known, what others publish is not kept: a large roster has as many, and
/// the file is read for each connection.
const CONTACTS: usize = 512;

#[cfg(test)]
mod tests;
