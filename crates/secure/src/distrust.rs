//! Why a bytestream may not be.

use thiserror::Error;
use tubes_transport::foreign::named;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::key::{Fingerprint, PublicKey};
use crate::trust::{Judgement, StoreError};
use crate::whom::Occupant;

/// Why a bytestream may not be.
///
/// ```
/// use tubes_secure::Distrust;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let why = Distrust::Plain("fernand@example.net".parse()?);
/// assert!(why.to_string().starts_with("fernand@example.net does not encrypt"));
/// assert_eq!(why.key(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Distrust {
    /// The contact does not encrypt.
    #[error(
        "{} does not encrypt from end to end, and this side requires it; allow plain connections if \
         that is right",
        named(.0)
    )]
    Plain(Jid),
    /// The contact has encrypted before, or publishes a key, and does not encrypt now: somebody may
    /// have seen to that.
    #[error(
        "{} can encrypt from end to end, and now does not: somebody may be in between; \
         if it is right, turn encryption off for this contact",
        named(.0)
    )]
    Downgrade(Jid),
    /// The contact has another key than the one that is known.
    #[error(
        "{contact} has a key that is not known ({key}): it is a new device, or somebody is in \
         between; compare the keys, then accept this one"
    )]
    OtherKey {
        /// Who.
        contact: BareJid,
        /// The key that it has now.
        key: Fingerprint,
    },
    /// Somebody in a room has another key than whoever went by that name a moment ago.
    #[error(
        "{} had another key before ({key} is new): somebody else has taken the name, or is in \
         between; leave the room and come again to take what you find there",
        named(.occupant)
    )]
    OtherOccupant {
        /// Who.
        occupant: FullJid,
        /// The key that it has now.
        key: Fingerprint,
    },
    /// Whoever it was has left the room while the bytestream was opened.
    #[error("{} has left the room meanwhile", named(.0))]
    Left(FullJid),
    /// The device was revoked.
    #[error("the device of {contact} with the key {key} was revoked")]
    Revoked {
        /// Who.
        contact: BareJid,
        /// The device's key.
        key: Fingerprint,
    },
    /// The contact makes no sense.
    #[error("{} says that it encrypts, but not with which key", named(.0))]
    Malformed(Jid),
    /// What is known cannot be read, or not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Distrust {
    /// The key that it is about, if there is one.
    pub fn key(&self) -> Option<&Fingerprint> {
        match self {
            Self::OtherKey { key, .. }
            | Self::OtherOccupant { key, .. }
            | Self::Revoked { key, .. } => Some(key),
            _ => None,
        }
    }
}

pub(crate) fn refuse(
    contact: &BareJid,
    key: PublicKey,
    judgement: Judgement,
) -> Result<(), Distrust> {
    let (contact, key) = (contact.clone(), key.fingerprint());
    match judgement {
        Judgement::First | Judgement::Known(_) | Judgement::Occupant => Ok(()),
        Judgement::Other => Err(Distrust::OtherKey { contact, key }),
        Judgement::Revoked => Err(Distrust::Revoked { contact, key }),
    }
}

pub(crate) fn refuse_occupant(
    occupant: &Occupant,
    key: PublicKey,
    judgement: Option<Judgement>,
) -> Result<(), Distrust> {
    match judgement {
        Some(Judgement::Other) => Err(Distrust::OtherOccupant {
            occupant: occupant.jid.clone(),
            key: key.fingerprint(),
        }),
        _ => Ok(()),
    }
}
