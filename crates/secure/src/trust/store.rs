//! Where this device's key, and what is thought of others', are kept.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::NamedTempFile;
use thiserror::Error;
use xmpp_parsers::jid::BareJid;
use zeroize::Zeroizing;

use super::{Contacts, Device, FileError, Judgement, UnknownDevice};
use crate::key::{Identity, IdentityError, PublicKey};

/// A folder of an account's, in which its device's key and its decisions are kept.
///
/// Several processes may use it at once: each decision is made under a lock, on what the file says
/// then. Cheap to clone.
///
/// ```
/// use tubes_secure::{Judgement, PublicKey, Standing, TrustStore, safety_number};
/// use xmpp_parsers::jid::BareJid;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let store = TrustStore::open(folder.path(), &"alice@example.org".parse()?)?;
/// let fernand: BareJid = "fernand@example.net".parse()?;
/// let (key, other) = (PublicKey::from([7; 32]), PublicKey::from([8; 32]));
/// // The first device of a contact is trusted, and another one is for people to decide.
/// assert_eq!(store.meet(&fernand, key)?, Judgement::First);
/// assert_eq!(store.meet(&fernand, other)?, Judgement::Other);
///
/// println!("{}", safety_number(store.identity().public(), other));
/// // Fernand, on the telephone, sees the same digits.
/// store.verify(&fernand, other.fingerprint().as_str())?;
/// let contacts = store.contacts()?;
/// let standings: Vec<_> = contacts.devices(&fernand).iter().map(|device| device.standing).collect();
/// assert_eq!(standings, [Standing::Pinned, Standing::Verified]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TrustStore {
    folder: Arc<Path>,
    identity: Identity,
}

/// Why a store cannot be used.
///
/// ```
/// use std::path::Path;
/// use tubes_secure::{StoreError, TrustStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nowhere = TrustStore::open(Path::new("/dev/null"), &"alice@example.org".parse()?);
/// assert!(matches!(nowhere, Err(StoreError::Io { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file, or the folder.
    #[error("cannot use {path}: {why}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// The device's key.
    #[error("cannot use {path}: {why}; move it away to begin with a new key")]
    Identity {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        why: IdentityError,
    },
    /// Others may read the device's key, or change what is thought of others.
    #[error("{path} is open to others; make it yours alone with `chmod go=`")]
    Exposed {
        /// Where.
        path: PathBuf,
    },
    /// The decisions.
    #[error("cannot read {path}: {why}")]
    Contacts {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        why: FileError,
    },
    /// It is asked for a device that it does not know.
    #[error(transparent)]
    Unknown(#[from] UnknownDevice),
}

impl TrustStore {
    /// The store of an account within the folder that all of them share, such as
    /// `$XDG_STATE_HOME/tubes`. What is not there is made. Blocks on files.
    ///
    /// # Errors
    ///
    /// The folder or a file in it cannot be used.
    pub fn open(home: &Path, account: &BareJid) -> Result<Self, StoreError> {
        let folder = home.join(folder_name(account));
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(|why| io_error(&folder, why))?;
        guarded(&folder, WRITABLE)?;
        let identity = {
            // Two that begin at once are one device.
            let _lock = lock(&folder)?;
            identity(&folder.join(IDENTITY))?
        };
        Ok(Self {
            folder: folder.into(),
            identity,
        })
    }

    /// This device.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is thought of others at this moment. Blocks on files.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn contacts(&self) -> Result<Contacts, StoreError> {
        let path = self.folder.join(CONTACTS);
        match fs::read_to_string(&path) {
            Ok(text) => {
                guarded(&path, WRITABLE)?;
                Contacts::parse(&text).map_err(|why| StoreError::Contacts { path, why })
            }
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(Contacts::default()),
            Err(why) => Err(io_error(&path, why)),
        }
    }

    /// Meets a key of a contact's. See [`Contacts::meet`]. Blocks on files.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn meet(&self, contact: &BareJid, key: PublicKey) -> Result<Judgement, StoreError> {
        self.change(|contacts| Ok(contacts.meet(contact, key, SystemTime::now())))
    }

    /// Takes in which keys the accounts of contacts publish. See [`Contacts::publish`]. Blocks on
    /// files.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn publish(
        &self,
        published: impl IntoIterator<Item = (BareJid, Vec<PublicKey>)>,
    ) -> Result<(), StoreError> {
        self.change(|contacts| {
            for (contact, keys) in published {
                contacts.publish(&contact, &keys, SystemTime::now());
            }
            Ok(())
        })
    }

    /// Trusts a device from now on. See [`Contacts::accept`]. Blocks on files.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn accept(&self, contact: &BareJid, key: PublicKey) -> Result<Device, StoreError> {
        self.change(|contacts| Ok(contacts.accept(contact, key, SystemTime::now())))
    }

    /// Remembers that people have compared the key. See [`Contacts::verify`]. Blocks on files.
    ///
    /// # Errors
    ///
    /// There is no such device, or the file cannot be read or written.
    pub fn verify(&self, contact: &BareJid, name: &str) -> Result<Device, StoreError> {
        self.change(|contacts| Ok(contacts.verify(contact, name)?))
    }

    /// Refuses a device from now on. See [`Contacts::revoke`]. Blocks on files.
    ///
    /// # Errors
    ///
    /// There is no such device, or the file cannot be read or written.
    pub fn revoke(&self, contact: &BareJid, name: &str) -> Result<Device, StoreError> {
        self.change(|contacts| Ok(contacts.revoke(contact, name)?))
    }

    /// Changes the decisions, while nobody else does.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Contacts) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _lock = lock(&self.folder)?;
        let before = self.contacts()?;
        let mut after = before.clone();
        let outcome = change(&mut after)?;
        if after != before {
            let path = self.folder.join(CONTACTS);
            let text = after.to_text();
            let text = text.map_err(|why| StoreError::Contacts {
                path: path.clone(),
                why,
            })?;
            write(&path, text.as_bytes()).map_err(|why| io_error(&path, why))?;
        }
        Ok(outcome)
    }
}

/// Waits for who has it, within reason. It is let go with the file.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(|why| io_error(&path, why))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED => sleep(GLANCE),
            Err(why) => return Err(io_error(&path, why.into())),
        }
    }
}

fn identity(path: &Path) -> Result<Identity, StoreError> {
    let bad = |why| StoreError::Identity {
        path: path.to_owned(),
        why,
    };
    let text = match fs::read(path) {
        Ok(text) => Zeroizing::new(text),
        Err(why) if why.kind() == ErrorKind::NotFound => {
            let (identity, secret) = Identity::generate().map_err(bad)?;
            let text = Zeroizing::new(STANDARD.encode(&*secret));
            write(path, text.as_bytes()).map_err(|why| io_error(path, why))?;
            return Ok(identity);
        }
        Err(why) => return Err(io_error(path, why)),
    };
    guarded(path, READABLE)?;
    let secret = STANDARD.decode(text.trim_ascii());
    let secret = Zeroizing::new(secret.map_err(|_| bad(IdentityError::Unreadable))?);
    Identity::from_secret(&secret).map_err(bad)
}

/// Fails if others may do this to it.
fn guarded(path: &Path, forbidden: u32) -> Result<(), StoreError> {
    let found = fs::metadata(path).map_err(|why| io_error(path, why))?;
    match found.permissions().mode() & forbidden {
        0 => Ok(()),
        _ => Err(StoreError::Exposed {
            path: path.to_owned(),
        }),
    }
}

/// Writes a file as a whole or not at all, readable to nobody else.
fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The new name, too, is to outlive a loss of power.
    File::open(folder)?.sync_all()
}

fn io_error(path: &Path, why: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        why,
    }
}

/// An account's name as that of a folder: what could mean something else there as `%xx`.
fn folder_name(account: &BareJid) -> String {
    let spell = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'-' | b'_' => {
            char::from(byte).to_string()
        }
        b'.' => ".".to_owned(),
        other => format!("%{other:02x}"),
    };
    let name: String = account.as_str().bytes().map(spell).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("%2e{rest}"),
        None => name,
    }
}

/// The secret half of this device's key.
const IDENTITY: &str = "identity.key";

/// What is thought of others.
const CONTACTS: &str = "contacts.toml";

/// Held by who changes something.
const LOCK: &str = "lock";

/// A change takes milliseconds. Who takes so long was stopped, or has a disk that does not answer.
const LOCKED: Duration = Duration::from_secs(10);

/// How often it is looked whether it is free.
const GLANCE: Duration = Duration::from_millis(5);

/// For what is secret.
const READABLE: u32 = 0o077;

/// For what is believed.
const WRITABLE: u32 = 0o022;

#[cfg(test)]
mod tests;
