//! Decides on each bytestream: encrypted towards which key, plain, or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tubes_transport::{Bytestream, Role};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;

use crate::element;
use crate::key::{Fingerprint, PublicKey};
use crate::trust::{Judgement, StoreError, TrustStore};
use crate::{Binding, Encryption, SecureError, seal};

/// What an account wants of its bytestreams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard {
    store: TrustStore,
    encryption: Encryption,
    exceptions: HashMap<BareJid, Encryption>,
    /// Held by who uses the store: a crowd of connections is not to take a crowd of descriptors.
    turn: Arc<Mutex<()>>,
}

/// How a bytestream is to be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// As it is: everybody on the way may read and change it.
    Plain,
    /// Encrypted towards the device that has this key.
    Encrypted(PublicKey),
}

/// How a bytestream is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// Everybody on the way may read and change it.
    Plain,
    /// Nobody but the device of the contact's that has this key can read or change it.
    Encrypted {
        /// The device's key.
        key: Fingerprint,
        /// Why it is trusted.
        judgement: Judgement,
    },
}

/// Why a bytestream may not be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Distrust {
    /// The contact does not encrypt.
    #[error(
        "{0} does not encrypt from end to end, and this side requires it; allow plain connections \
         with --encryption preferred"
    )]
    Plain(BareJid),
    /// The contact has encrypted before, or publishes a key, and does not encrypt now: somebody may
    /// have seen to that.
    #[error(
        "{0} can encrypt from end to end, and now does not: somebody may be in between; \
         if it is right, write `encryption = \"off\"` for this contact into the configuration"
    )]
    Downgrade(BareJid),
    /// The contact has another key than the one that is known.
    #[error(
        "{contact} has a key that is not known ({key}): it is a new device, or somebody is in \
         between; compare the keys, then `tubes trust accept {contact} {key}`"
    )]
    OtherKey {
        /// Who.
        contact: BareJid,
        /// The key that it has now.
        key: Fingerprint,
    },
    /// The device was revoked.
    #[error("the device of {contact} with the key {key} was revoked")]
    Revoked {
        /// Who.
        contact: BareJid,
        /// The device's key.
        key: Fingerprint,
    },
    /// The contact makes no sense.
    #[error("{0} says that it encrypts, but not with which key")]
    Malformed(BareJid),
    /// What is known cannot be read, or not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Distrust {
    /// The key that it is about, if there is one.
    pub fn key(&self) -> Option<&Fingerprint> {
        match self {
            Self::OtherKey { key, .. } | Self::Revoked { key, .. } => Some(key),
            _ => None,
        }
    }
}

impl Guard {
    /// By default every bytestream is handled like this.
    pub fn new(store: TrustStore, encryption: Encryption) -> Self {
        Self {
            store,
            encryption,
            exceptions: HashMap::new(),
            turn: Arc::default(),
        }
    }

    /// Those of a contact are handled otherwise.
    #[must_use]
    pub fn with_contact(mut self, contact: BareJid, encryption: Encryption) -> Self {
        self.exceptions.insert(contact, encryption);
        self
    }

    /// Where keys and decisions are kept.
    pub fn store(&self) -> &TrustStore {
        &self.store
    }

    fn encryption(&self, contact: &BareJid) -> Encryption {
        let exception = self.exceptions.get(contact);
        exception.copied().unwrap_or(self.encryption)
    }

    /// What to say of it in a negotiation with a contact.
    pub fn abilities(&self, contact: &BareJid) -> Vec<Element> {
        match self.encryption(contact) {
            Encryption::Off => Vec::new(),
            Encryption::Required | Encryption::Preferred => {
                vec![element::ability(self.store.identity().public())]
            }
        }
    }

    /// Decides by what a contact says of itself in a negotiation.
    ///
    /// # Errors
    ///
    /// Such a bytestream may not be.
    pub async fn judge(&self, contact: &BareJid, said: &[Element]) -> Result<Terms, Distrust> {
        let encryption = self.encryption(contact);
        if encryption == Encryption::Off {
            return Ok(Terms::Plain);
        }
        let key = element::key_of(said).map_err(|_| Distrust::Malformed(contact.clone()))?;
        match key {
            Some(key) => self.judge_key(contact, key).await,
            None if encryption == Encryption::Required => Err(Distrust::Plain(contact.clone())),
            None => {
                let of = contact.clone();
                let known = self.blocking(move |store| store.contacts()).await?;
                match known.encrypts(&of) {
                    true => Err(Distrust::Downgrade(of)),
                    false => Ok(Terms::Plain),
                }
            }
        }
    }

    async fn judge_key(&self, contact: &BareJid, key: PublicKey) -> Result<Terms, Distrust> {
        let of = contact.clone();
        let judging = self.blocking(move |store| {
            match store.contacts()?.judge(&of, key) {
                // Remembered for people to decide on, although it is only a claim.
                Judgement::Other => store.meet(&of, key),
                judgement => Ok(judgement),
            }
        });
        refuse(contact, key, judging.await?)?;
        Ok(Terms::Encrypted(key))
    }

    /// Carries an open bytestream on these terms.
    ///
    /// A key that was never met is remembered from here on: the peer has proven that it has it.
    ///
    /// # Errors
    ///
    /// The peer is not who it has to be, or the bytestream broke.
    pub async fn secure(
        &self,
        stream: Bytestream,
        role: Role,
        contact: &BareJid,
        terms: Terms,
        binding: &Binding,
    ) -> Result<(Bytestream, Protection), SecureError> {
        let Terms::Encrypted(key) = terms else {
            return Ok((stream, Protection::Plain));
        };
        let mut stream = seal(stream, role, self.store.identity(), key, binding).await?;
        let of = contact.clone();
        let known = self.blocking(move |store| Ok(store.contacts()?.judge(&of, key)));
        if role == Role::Responder && known.await? == Judgement::First {
            // Whoever it is, it has to be about this: a server could bring two others together.
            // It costs a round trip, this once.
            introduced(&mut stream).await?;
        }
        let of = contact.clone();
        let met = self.blocking(move |store| store.meet(&of, key)).await?;
        // Another process may have met another key meanwhile.
        refuse(contact, key, met)?;
        let key = key.fingerprint();
        Ok((
            stream,
            Protection::Encrypted {
                key,
                judgement: met,
            },
        ))
    }

    /// Whether this device is to be published: not where most connections are to be plain, as
    /// contacts would take that for somebody's doing.
    pub fn is_public(&self) -> bool {
        self.encryption != Encryption::Off
    }

    /// Those of these devices of a contact that were revoked.
    ///
    /// # Errors
    ///
    /// What is known cannot be read.
    pub async fn revoked(
        &self,
        contact: &BareJid,
        devices: Vec<PublicKey>,
    ) -> Result<Vec<PublicKey>, StoreError> {
        let of = contact.clone();
        let revoked = self.blocking(move |store| {
            let contacts = store.contacts()?;
            let is_revoked = |key: &PublicKey| contacts.judge(&of, *key) == Judgement::Revoked;
            Ok(devices.into_iter().filter(is_revoked).collect())
        });
        revoked.await
    }

    /// Takes in which keys the accounts of contacts publish. See [`Contacts::publish`].
    ///
    /// # Errors
    ///
    /// What is known cannot be read, or not be kept.
    ///
    /// [`Contacts::publish`]: crate::Contacts::publish
    pub async fn publish(
        &self,
        published: impl IntoIterator<Item = (BareJid, Vec<PublicKey>)> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.blocking(move |store| store.publish(published)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TrustStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let store = self.store.clone();
        let working = spawn_blocking(move || {
            // Also when nobody waits for it any more.
            let _turn = turn;
            work(&store)
        });
        match working.await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is at its end, and so is whoever waits.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// Waits until the peer has said that it negotiated the same.
async fn introduced(stream: &mut Bytestream) -> Result<(), SecureError> {
    // Reading nothing waits for what comes before everything.
    match timeout(INTRODUCTION, stream.read(&mut [])).await {
        Ok(read) => read.map(drop).map_err(SecureError::of),
        Err(_) => Err(SecureError::TimedOut),
    }
}

fn refuse(contact: &BareJid, key: PublicKey, judgement: Judgement) -> Result<(), Distrust> {
    let (contact, key) = (contact.clone(), key.fingerprint());
    match judgement {
        Judgement::First | Judgement::Known(_) => Ok(()),
        Judgement::Other => Err(Distrust::OtherKey { contact, key }),
        Judgement::Revoked => Err(Distrust::Revoked { contact, key }),
    }
}

/// For half a round trip, through servers that may be slow.
const INTRODUCTION: Duration = Duration::from_secs(60);
