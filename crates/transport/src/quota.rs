//! How much of the answers' places each contact may keep waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use xmpp_parsers::jid::Jid;

/// The places taken, by contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quotas(Arc<Mutex<HashMap<Jid, usize>>>);

impl Quotas {
    /// A place in the contact's quota, if there is one left.
    pub(crate) fn take(&self, contact: Jid) -> Option<Place> {
        let mut quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = quotas.entry(contact.clone()).or_default();
        if *taken >= QUOTA {
            return None;
        }
        *taken += 1;
        let quotas = self.clone();
        Some(Place { contact, quotas })
    }
}

/// One place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    contact: Jid,
    quotas: Quotas,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut quotas = self.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut taken) = quotas.entry(self.contact.clone()) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

/// A contact may have a thousand connections whose readers are slow, each with a handful of
/// unacknowledged blocks; several such contacts must not keep others from being answered.
const QUOTA: usize = 8 * 1024;
