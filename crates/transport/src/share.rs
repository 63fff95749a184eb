//! How much of the answers' places each contact may keep waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use xmpp_parsers::jid::Jid;

/// The places taken, by contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares(Arc<Mutex<HashMap<Jid, usize>>>);

impl Shares {
    /// A place in the contact's share, if there is one left.
    pub(crate) fn take(&self, contact: Jid) -> Option<Share> {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = shares.entry(contact.clone()).or_default();
        if *taken >= SHARE {
            return None;
        }
        *taken += 1;
        let shares = self.clone();
        Some(Share { contact, shares })
    }
}

/// One place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    contact: Jid,
    shares: Shares,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut taken) = shares.entry(self.contact.clone()) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

/// A contact may have a thousand connections whose readers are slow, each with a handful of
/// unacknowledged blocks; several such contacts must not keep others from being answered.
const SHARE: usize = 8 * 1024;
