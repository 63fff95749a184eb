//! How many bytes may wait to be read, of each contact and in all.
//!
//! ```text
//!   0        EASE                          PER_CONTACT
//!   ├─────────┼──────────────────────────────┤
//!    at once   acknowledged when it was read   refused
//! ```
//!
//! A contact that holds much is slowed, and in the end cut off, before others notice. When all together
//! hold much, this happens to those sooner who hold more than [`LITTLE`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp_parsers::jid::Jid;

use crate::excess::{Bound, Excess, Excesses};

/// What waits, of whom; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    ledger: Arc<Mutex<Ledger>>,
    excesses: Excesses,
}

#[derive(Debug, Default)]
struct Ledger {
    of_all: usize,
    /// Of those of whom anything waits, and of rooms as a whole.
    of_each: HashMap<Jid, usize>,
}

impl Ledger {
    fn of(&self, holder: &Jid) -> usize {
        self.of_each.get(holder).copied().unwrap_or(0)
    }

    fn give_back(&mut self, holder: &Jid, bytes: usize) {
        if let Entry::Occupied(mut of_holder) = self.of_each.entry(holder.clone()) {
            *of_holder.get_mut() = of_holder.get().saturating_sub(bytes);
            if *of_holder.get() == 0 {
                of_holder.remove();
            }
        }
    }
}

impl Budget {
    pub(crate) fn new(excesses: Excesses) -> Self {
        Self {
            ledger: Arc::default(),
            excesses,
        }
    }

    /// What one stream holds for this contact, or for this occupant of a room.
    pub(crate) fn share(&self, holder: Jid) -> Share {
        // Contacts count without their resources.
        let room = (!holder.is_bare()).then(|| holder.to_bare().into());
        Share {
            budget: self.clone(),
            holder,
            room,
            held: 0,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that wait to be read of one stream, as far as they are counted. Given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    holder: Jid,
    /// That of an occupant: one person may be many of them.
    room: Option<Jid>,
    held: usize,
}

impl Share {
    /// One that is counted together with no other.
    pub fn alone(holder: Jid) -> Self {
        Budget::default().share(holder)
    }

    /// What another stream of the same contact holds: nothing yet.
    pub(crate) fn another(&self) -> Self {
        self.budget.share(self.holder.clone())
    }

    /// How many bytes are counted here.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Counts so many bytes more, or none of them if there is no room for all.
    ///
    /// # Errors
    ///
    /// The contact holds too much, or all together do.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Overdrawn> {
        // It is in nobody's way.
        if bytes == 0 {
            return Ok(());
        }
        let mut ledger = self.budget.ledger();
        let of_all = ledger.of_all.saturating_add(bytes);
        let of_holder = ledger.of(&self.holder).saturating_add(bytes);
        let of_room = self.room.as_ref().map(|room| ledger.of(room));
        let of_room = of_room.map_or(0, |before| before.saturating_add(bytes));
        let most_of_all = match of_holder.max(of_room) > LITTLE {
            true => IN_ALL - RESERVED,
            false => IN_ALL,
        };
        if of_holder > PER_CONTACT || of_room > PER_ROOM || of_all > most_of_all {
            drop(ledger);
            self.budget.excesses.note(Excess {
                bound: Bound::Unread,
                who: Some(self.holder.clone()),
            });
            return Err(Overdrawn);
        }
        ledger.of_all = of_all;
        ledger.of_each.insert(self.holder.clone(), of_holder);
        if let Some(room) = &self.room {
            ledger.of_each.insert(room.clone(), of_room);
        }
        self.held += bytes;
        Ok(())
    }

    /// Counts so many bytes no more.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        let mut ledger = self.budget.ledger();
        ledger.of_all = ledger.of_all.saturating_sub(bytes);
        ledger.give_back(&self.holder, bytes);
        if let Some(room) = &self.room {
            ledger.give_back(room, bytes);
        }
    }

    /// Whether the contact is to be slowed: what it sends is to be acknowledged only when it was read.
    pub fn is_tight(&self) -> bool {
        let ledger = self.budget.ledger();
        let of_holder = ledger.of(&self.holder);
        of_holder > EASE || (ledger.of_all > IN_ALL / 2 && of_holder > LITTLE)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.held);
    }
}

/// There was no room for so many bytes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes wait to be read")]
pub struct Overdrawn;

/// Of one contact, in bytes. Whoever minds the acknowledgements has no more under way than its windows
/// allow: 256 streams of 94 KiB fit in beside what was acknowledged with [`EASE`], and servers are far
/// too slow for as much.
const PER_CONTACT: usize = 32 * 1024 * 1024;

/// Of all occupants of a room, in bytes: so nobody takes more than half of all with many names.
const PER_ROOM: usize = IN_ALL / 2;

/// What a contact may have acknowledged that was not read yet: 128 streams whose readers are a little
/// behind.
const EASE: usize = 8 * 1024 * 1024;

/// Of all, in bytes: what a small machine has, and four contacts at their bound.
const IN_ALL: usize = 128 * 1024 * 1024;

/// The last of it is for those who hold little.
const RESERVED: usize = 16 * 1024 * 1024;

/// What is little, in bytes: a handful of streams, of as many contacts as the rest is reserved for.
const LITTLE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn contact(name: &str) -> Jid {
        format!("{name}@example.org").parse().unwrap()
    }

    #[test]
    fn a_contact_has_one_budget_for_all_of_its_streams() {
        let budget = Budget::default();
        let mut shares: Vec<_> = (0..4).map(|_| budget.share(contact("fernand"))).collect();
        for share in &mut shares {
            share.grow(PER_CONTACT / 4).unwrap();
        }
        assert_eq!(shares[0].grow(1), Err(Overdrawn));
        assert_eq!(budget.share(contact("alice")).grow(1), Ok(()));
        shares[3].shrink(1);
        assert_eq!(shares[0].grow(1), Ok(()));
        assert_eq!(shares[0].grow(1), Err(Overdrawn));
        shares.pop();
        assert_eq!(shares[0].grow(PER_CONTACT / 4 - 1), Ok(()));
        shares.clear();
        assert_eq!(budget.ledger().of_all, 0);
        assert!(budget.ledger().of_each.is_empty());
    }

    #[test]
    fn what_is_too_much_is_not_counted() {
        let budget = Budget::default();
        let mut share = budget.share(contact("fernand"));
        assert_eq!(share.grow(PER_CONTACT + 1), Err(Overdrawn));
        assert_eq!(share.grow(PER_CONTACT), Ok(()));
    }

    #[test]
    fn a_contact_that_holds_much_is_slowed_and_no_other_one() {
        let budget = Budget::default();
        let mut share = budget.share(contact("fernand"));
        share.grow(EASE).unwrap();
        assert!(!share.is_tight());
        share.grow(1).unwrap();
        assert!(share.is_tight());
        assert!(budget.share(contact("fernand")).is_tight());
        let mut other = budget.share(contact("alice"));
        other.grow(EASE).unwrap();
        assert!(!other.is_tight());
    }

    #[test]
    fn whoever_holds_little_does_not_notice_that_others_hold_all_they_may() {
        let budget = Budget::default();
        let mut share = budget.share(contact("fernand"));
        let crowd = ["a", "b", "c", "d"].map(|name| {
            let mut share = budget.share(contact(name));
            while share.grow(LITTLE).is_ok() {}
            share
        });
        assert_eq!(budget.ledger().of_all, IN_ALL - RESERVED);
        assert_eq!(share.grow(LITTLE), Ok(()));
        assert!(!share.is_tight());
        assert_eq!(share.grow(1), Err(Overdrawn));
        drop(crowd);
        assert_eq!(share.grow(1), Ok(()));
    }

    #[test]
    fn all_together_have_a_bound_even_if_each_holds_little() {
        let budget = Budget::default();
        let share = |number| budget.share(contact(&format!("c{number}")));
        let mut shares: Vec<_> = (0..IN_ALL / LITTLE + 10).map(share).collect();
        let grown = shares
            .iter_mut()
            .filter_map(|share| share.grow(LITTLE).ok());
        assert_eq!(grown.count(), IN_ALL / LITTLE);
    }

    #[test]
    fn one_person_with_many_names_in_a_room_is_in_the_way_of_that_room_alone() {
        let budget = Budget::default();
        let occupant = |number| {
            let jid = format!("hall@rooms.example.org/{number}");
            budget.share(jid.parse().unwrap())
        };
        let mut crowd: Vec<_> = (0..100).map(occupant).collect();
        for share in &mut crowd {
            while share.grow(LITTLE).is_ok() {}
        }
        assert_eq!(budget.ledger().of_all, PER_ROOM);
        let mut other = budget.share(contact("fernand"));
        assert_eq!(other.grow(PER_CONTACT), Ok(()));
        assert_eq!(crowd[0].grow(0), Ok(()), "nothing is in nobody's way");
        drop(crowd);
        assert_eq!(budget.ledger().of_each.len(), 1);
    }

    #[tokio::test]
    async fn whoever_wanted_too_much_is_named() {
        let excesses = Excesses::default();
        let budget = Budget::new(excesses.clone());
        let mut share = budget.share(contact("fernand"));
        share.grow(PER_CONTACT).unwrap();
        share.grow(1).unwrap_err();
        share.grow(1).unwrap_err();
        let excess = Excess {
            bound: Bound::Unread,
            who: Some(contact("fernand")),
        };
        assert_eq!(excesses.next().await, excess);
        share.grow(1).unwrap_err();
        assert_eq!(excesses.next().await, excess);
    }
}
