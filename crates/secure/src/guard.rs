//! Decides on each bytestream: encrypted towards which key, plain, or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tubes_transport::{Bytestream, Role};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;

use crate::distrust::{Distrust, refuse, refuse_occupant};
use crate::element;
use crate::key::{Fingerprint, PublicKey};
use crate::trust::{Judgement, StoreError, TrustStore};
use crate::whom::{Occupant, Visits, Whom};
use crate::{Binding, Encryption, SecureError, seal};

/// What an account wants of its bytestreams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Guard {
    store: TrustStore,
    encryption: Encryption,
    exceptions: HashMap<BareJid, Encryption>,
    visits: Visits,
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
///
/// ```
/// use tubes_secure::{Judgement, Protection, PublicKey};
///
/// fn people_should_compare(protection: &Protection) -> bool {
///     match protection {
///         Protection::Encrypted { judgement, .. } => *judgement == Judgement::First,
///         _ => false,
///     }
/// }
///
/// let key = PublicKey::from([7; 32]).fingerprint();
/// let judgement = Judgement::First;
/// assert!(people_should_compare(&Protection::Encrypted { key, judgement }));
/// assert!(!people_should_compare(&Protection::Plain));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// Everybody on the way may read and change it.
    Plain,
    /// Nobody but the device that has this key can read or change it.
    Encrypted {
        /// The device's key.
        key: Fingerprint,
        /// Why it is trusted.
        judgement: Judgement,
    },
}

impl Guard {
    /// By default every bytestream is handled like this.
    pub fn new(store: TrustStore, encryption: Encryption) -> Self {
        Self {
            store,
            encryption,
            exceptions: HashMap::new(),
            visits: Visits::default(),
            turn: Arc::default(),
        }
    }

    /// Those of a contact, or of a room, are handled otherwise.
    #[must_use]
    pub fn with_contact(mut self, contact: BareJid, encryption: Encryption) -> Self {
        self.exceptions.insert(contact, encryption);
        self
    }

    /// Where keys and decisions are kept.
    pub fn store(&self) -> &TrustStore {
        &self.store
    }

    /// Whom this account has met in rooms, which it says when they leave.
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// What a room says of whose occupant somebody is may raise this, and must not lower it.
    fn encryption(&self, whom: &Whom) -> Encryption {
        let set_for = |jid: &BareJid| self.exceptions.get(jid).copied();
        let here = set_for(&whom.bare()).unwrap_or(self.encryption);
        let real = match whom {
            Whom::Contact(_) => None,
            Whom::Occupant(occupant) => occupant.real.as_ref(),
        };
        real.and_then(set_for)
            .map_or(here, |there| here.stricter(there))
    }

    /// What to say of it in a negotiation.
    pub fn abilities(&self, whom: &Whom) -> Vec<Element> {
        match self.encryption(whom) {
            Encryption::Off => Vec::new(),
            Encryption::Required | Encryption::Preferred => {
                vec![element::ability(self.store.identity().public())]
            }
        }
    }

    /// Decides by what somebody says of itself in a negotiation.
    ///
    /// # Errors
    ///
    /// Such a bytestream may not be.
    pub async fn judge(&self, whom: &Whom, said: &[Element]) -> Result<Terms, Distrust> {
        let encryption = self.encryption(whom);
        if encryption == Encryption::Off {
            return Ok(Terms::Plain);
        }
        let key = element::key_of(said).map_err(|_| Distrust::Malformed(whom.jid()))?;
        match key {
            Some(key) => self.judge_key(whom, key).await,
            None if encryption == Encryption::Required => Err(Distrust::Plain(whom.jid())),
            None if self.has_encrypted(whom).await? => Err(Distrust::Downgrade(whom.jid())),
            None => Ok(Terms::Plain),
        }
    }

    async fn has_encrypted(&self, whom: &Whom) -> Result<bool, Distrust> {
        let contact = match whom {
            Whom::Contact(contact) => Some(contact),
            Whom::Occupant(occupant) if self.visits.knows(occupant) => return Ok(true),
            Whom::Occupant(occupant) => occupant.real.as_ref(),
        };
        let Some(contact) = contact.cloned() else {
            return Ok(false);
        };
        let known = self.blocking(|store| store.contacts()).await?;
        Ok(known.encrypts(&contact))
    }

    async fn judge_key(&self, whom: &Whom, key: PublicKey) -> Result<Terms, Distrust> {
        match whom {
            Whom::Contact(contact) => {
                let of = contact.clone();
                let judging = self.blocking(move |store| {
                    match store.contacts()?.judge(&of, key) {
                        // Remembered for people to decide on, although it is only a claim.
                        Judgement::Other => store.meet(&of, key),
                        judgement => Ok(judgement),
                    }
                });
                refuse(contact, key, judging.await?)?;
            }
            Whom::Occupant(occupant) => {
                self.judge_occupant(occupant, key).await?;
            }
        }
        Ok(Terms::Encrypted(key))
    }

    /// The room may say whose occupant it is. That counts for a contact that was met before; who was
    /// not is not met by what a room says.
    async fn judge_occupant(
        &self,
        occupant: &Occupant,
        key: PublicKey,
    ) -> Result<Option<Judgement>, Distrust> {
        if let Some(real) = &occupant.real {
            let judgement = self.judge_contact(real, key).await?;
            refuse(real, key, judgement)?;
            if let Judgement::Known(_) = judgement {
                return Ok(Some(judgement));
            }
        }
        let judgement = self.visits.judge(occupant, key);
        refuse_occupant(occupant, key, judgement)?;
        Ok(judgement)
    }

    async fn judge_contact(
        &self,
        contact: &BareJid,
        key: PublicKey,
    ) -> Result<Judgement, StoreError> {
        let of = contact.clone();
        let judging = self.blocking(move |store| Ok(store.contacts()?.judge(&of, key)));
        judging.await
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
        whom: &Whom,
        terms: Terms,
        binding: &Binding,
    ) -> Result<(Bytestream, Protection), SecureError> {
        let Terms::Encrypted(key) = terms else {
            return Ok((stream, Protection::Plain));
        };
        let mut stream = seal(stream, role, self.store.identity(), key, binding).await?;
        if role == Role::Responder && self.is_new(whom, key).await? {
            // Whoever it is, it has to be about this: a server could bring two others together.
            // It costs a round trip, this once.
            introduced(&mut stream).await?;
        }
        let judgement = self.meet(whom, key).await?;
        let key = key.fingerprint();
        Ok((stream, Protection::Encrypted { key, judgement }))
    }

    async fn is_new(&self, whom: &Whom, key: PublicKey) -> Result<bool, Distrust> {
        Ok(match whom {
            Whom::Contact(contact) => self.judge_contact(contact, key).await? == Judgement::First,
            Whom::Occupant(occupant) => self.judge_occupant(occupant, key).await?.is_none(),
        })
    }

    /// The peer has proven that it has this key. Another process, or another connection, may have met
    /// another one meanwhile.
    async fn meet(&self, whom: &Whom, key: PublicKey) -> Result<Judgement, Distrust> {
        match whom {
            Whom::Contact(contact) => {
                let of = contact.clone();
                let met = self.blocking(move |store| store.meet(&of, key)).await?;
                refuse(contact, key, met)?;
                Ok(met)
            }
            Whom::Occupant(occupant) => {
                if let Some(known @ Judgement::Known(_)) =
                    self.judge_occupant(occupant, key).await?
                {
                    return Ok(known);
                }
                let met = self.visits.meet(occupant, key);
                refuse_occupant(occupant, key, met)?;
                met.ok_or_else(|| Distrust::Left(occupant.jid.clone()))
            }
        }
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

/// For half a round trip, through servers that may be slow.
const INTRODUCTION: Duration = Duration::from_secs(60);
