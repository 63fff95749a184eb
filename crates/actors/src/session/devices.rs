//! The devices of this account and of its contacts, as servers publish them (XEP-0163).
//!
//! ```text
//!   login ──► this device is put into the account's list, and again when another overwrote it
//!   event of a server, or else a question ──► Heard ──► the store
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tubes_secure::{Guard, PublicKey, publication};
use tubes_transport::{AskError, Patience, Question, Stanzas};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::env::Env;

/// Keeps this device in the list of its account, and the lists of contacts in the store.
#[derive(Debug)]
pub(super) struct Devices {
    runtime: Handle,
    guard: Guard,
    stanzas: Stanzas,
    /// How often this device may still say that the list lacks it: of two that log in at once one
    /// is overwritten, and of too many always one is left out.
    tries: u32,
    /// Contacts who were online in this session.
    met: HashSet<BareJid>,
    heard: Arc<Heard>,
    keeping: AbortHandle,
}

impl Devices {
    pub(super) fn new(env: &Env) -> Self {
        let heard = Arc::<Heard>::default();
        let keeping = keep(Arc::clone(&heard), env.guard.clone());
        Self {
            runtime: env.runtime.clone(),
            guard: env.guard.clone(),
            stanzas: env.stanzas.clone(),
            tries: 0,
            met: HashSet::new(),
            heard,
            keeping: env.runtime.spawn(keeping).abort_handle(),
        }
    }

    /// A new session began.
    pub(super) fn logged_in(&mut self, account: BareJid) {
        self.tries = TRIES;
        self.met.clear();
        *self.heard.lock() = Lists::default();
        self.publish(account);
    }

    /// A contact has come online. Servers tell of its devices then; not always when it has just
    /// become a contact.
    pub(super) fn online(&mut self, contact: BareJid) {
        if self.guard.is_used() && self.met.insert(contact.clone()) {
            let (stanzas, heard) = (self.stanzas.clone(), Arc::clone(&self.heard));
            self.runtime.spawn(look_up(stanzas, contact, heard));
        }
    }

    /// A server says something of one of its accounts.
    pub(super) fn announced(&mut self, of: BareJid, account: &BareJid, event: &Element) {
        let Some(keys) = publication::announced(event).filter(|_| self.guard.is_used()) else {
            return;
        };
        if of != *account {
            return self.heard.note(of, keys);
        }
        if !keys.contains(&self.guard.store().identity().public()) {
            self.publish(of);
        }
    }

    fn publish(&mut self, account: BareJid) {
        if !self.guard.is_used() {
            return;
        }
        let Some(tries) = self.tries.checked_sub(1) else {
            return;
        };
        self.tries = tries;
        let own = self.guard.store().identity().public();
        let publishing = publish(self.stanzas.clone(), account, own);
        self.runtime.spawn(publishing);
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// Adds this device to the list of its account, where the server keeps one.
async fn publish(stanzas: Stanzas, account: BareJid, own: PublicKey) {
    for _ in 0..TRIES {
        let listed = ask(&stanzas, &account, Question::Get, publication::question()).await;
        // A list that is not there yet is refused like one that never will be.
        let mut devices = listed
            .ok()
            .flatten()
            .map_or_else(Vec::new, |list| publication::answered(&list));
        if devices.contains(&own) {
            return;
        }
        devices.push(own);
        let publication = publication::publication(&devices);
        match ask(&stanzas, &account, Question::Set, publication).await {
            Ok(_) => return,
            // ejabberd fails so to make two lists at the same time.
            Err(AskError::Refused(why))
                if why.defined_condition == DefinedCondition::ItemNotFound =>
            {
                sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::debug!(%account, %error, "this device is not published");
                return;
            }
        }
    }
}

/// Asks for a contact's devices, unless its server has told of them by itself.
async fn look_up(stanzas: Stanzas, contact: BareJid, heard: Arc<Heard>) {
    sleep(PAUSE).await;
    if heard.lock().told.contains(&contact) {
        return;
    }
    let listed = ask(&stanzas, &contact, Question::Get, publication::question()).await;
    if let Ok(Some(list)) = listed {
        heard.note(contact, publication::answered(&list));
    }
}

async fn ask(
    stanzas: &Stanzas,
    account: &BareJid,
    question: Question,
    payload: Element,
) -> Result<Option<Element>, AskError> {
    let to = Some(account.clone().into());
    let asking = stanzas.ask(to, question, payload, Patience::default());
    asking.await.map_err(AskError::Gone)?.await
}

/// What was heard of contacts' devices.
#[derive(Debug, Default)]
struct Heard {
    lists: Mutex<Lists>,
    news: Notify,
}

/// The number of contacts bounds them.
#[derive(Debug, Default)]
struct Lists {
    /// Not kept yet; the latest is what counts.
    fresh: HashMap<BareJid, Vec<PublicKey>>,
    /// Whose devices were told in this session.
    told: HashSet<BareJid>,
}

impl Heard {
    fn note(&self, contact: BareJid, keys: Vec<PublicKey>) {
        let mut lists = self.lock();
        lists.told.insert(contact.clone());
        lists.fresh.insert(contact, keys);
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is heard, all that comes at a login at once: each time is a file to be written.
async fn keep(heard: Arc<Heard>, guard: Guard) {
    loop {
        heard.news.notified().await;
        sleep(GATHERING).await;
        let fresh = std::mem::take(&mut heard.lock().fresh);
        if let Err(error) = guard.publish(fresh).await {
            tracing::warn!(%error, "what contacts publish of their devices is not kept");
        }
    }
}

/// How often this device publishes itself in a session.
const TRIES: u32 = 4;

/// Time for a server, or for somebody who has just come online, to do it by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// How long lists are gathered before they are kept.
const GATHERING: Duration = Duration::from_millis(200);
