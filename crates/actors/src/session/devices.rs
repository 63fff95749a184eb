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
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tubes_secure::{Guard, publication};
use tubes_secure::{PublicKey, StoreError};
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
    /// What is under way in this session, and ends with it.
    tasks: JoinSet<()>,
}

impl Devices {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            runtime: env.runtime.clone(),
            guard: env.guard.clone(),
            stanzas: env.stanzas.clone(),
            tries: 0,
            met: HashSet::new(),
            heard: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// A new session began.
    pub(super) fn logged_in(&mut self, account: BareJid) {
        self.tasks.abort_all();
        self.heard = Arc::default();
        self.met = HashSet::from([account.clone()]);
        self.tries = TRIES;
        self.start(keep(Arc::clone(&self.heard), self.guard.clone()));
        self.publish(account);
    }

    /// A contact has come online. Servers tell of its devices then; not always when it has just
    /// become a contact.
    pub(super) fn online(&mut self, contact: BareJid) {
        if self.guard.is_public() && self.met.insert(contact.clone()) {
            let (stanzas, heard) = (self.stanzas.clone(), Arc::clone(&self.heard));
            self.start(look_up(stanzas, contact, heard));
        }
    }

    /// A server says something of one of its accounts.
    pub(super) fn announced(&mut self, of: BareJid, account: &BareJid, event: &Element) {
        let Some(mut keys) = publication::announced(event).filter(|_| self.guard.is_public())
        else {
            return;
        };
        if of == *account {
            let own = self.guard.store().identity().public();
            if !keys.contains(&own) {
                self.publish(of.clone());
            }
            // The others are for people to see, and to revoke.
            keys.retain(|key| *key != own);
        }
        self.heard.note(of, keys);
    }

    fn publish(&mut self, account: BareJid) {
        if !self.guard.is_public() {
            return;
        }
        if let Some(tries) = self.tries.checked_sub(1) {
            self.tries = tries;
            let publishing = publish(self.stanzas.clone(), account, self.guard.clone());
            self.start(publishing);
        }
    }

    fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn_on(task, &self.runtime);
    }
}

/// Adds this device to the list of its account, where the server keeps one, and takes those out of it
/// that were revoked here.
async fn publish(stanzas: Stanzas, account: BareJid, guard: Guard) {
    for _ in 0..TRIES {
        match try_to_publish(&stanzas, &account, &guard).await {
            Ok(()) => return,
            // ejabberd fails so to make two lists at the same time.
            Err(Unpublished::Ask(error)) if is_absence(&error) => sleep(PAUSE).await,
            Err(why) => {
                tracing::debug!(%account, %why, "this device is not published");
                return;
            }
        }
    }
}

async fn try_to_publish(
    stanzas: &Stanzas,
    account: &BareJid,
    guard: &Guard,
) -> Result<(), Unpublished> {
    let listed = match ask(stanzas, account, Question::Get, publication::question()).await {
        Err(error) if is_absence(&error) => None,
        // What is not known is not overwritten.
        listed => listed?,
    };
    let listed = listed.map_or_else(Vec::new, |list| publication::answered(&list));
    let own = guard.store().identity().public();
    let revoked = guard.revoked(account, listed.clone()).await?;
    let mut devices = listed.clone();
    devices.retain(|device| !revoked.contains(device));
    if !devices.contains(&own) {
        devices.push(own);
    }
    if devices != listed {
        let publication = publication::publication(&devices);
        ask(stanzas, account, Question::Set, publication).await?;
    }
    Ok(())
}

/// Why a device could not be published.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether there is no list.
fn is_absence(error: &AskError) -> bool {
    matches!(
        error,
        AskError::Refused(why) if why.defined_condition == DefinedCondition::ItemNotFound
    )
}

/// Asks for a contact's devices, unless its server has told of them by itself.
async fn look_up(stanzas: Stanzas, contact: BareJid, heard: Arc<Heard>) {
    sleep(PAUSE).await;
    let Ok(_turn) = heard.asking.acquire().await else {
        return;
    };
    if heard.was_told(&contact) {
        return;
    }
    let listed = match ask(&stanzas, &contact, Question::Get, publication::question()).await {
        Ok(list) => list.map_or_else(Vec::new, |list| publication::answered(&list)),
        Err(error) if is_absence(&error) => Vec::new(),
        Err(_) => return,
    };
    // What the server has said meanwhile is newer.
    if !heard.was_told(&contact) {
        heard.note(contact, listed);
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

/// What was heard of contacts' devices in this session.
#[derive(Debug)]
struct Heard {
    lists: Mutex<Lists>,
    news: Notify,
    /// A login brings many contacts at once.
    asking: Semaphore,
}

/// The number of contacts bounds them.
#[derive(Debug, Default)]
struct Lists {
    /// Not kept yet; the latest is what counts.
    fresh: HashMap<BareJid, Vec<PublicKey>>,
    /// Whose devices were told.
    told: HashSet<BareJid>,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            lists: Mutex::default(),
            news: Notify::new(),
            asking: Semaphore::new(ASKING),
        }
    }
}

impl Heard {
    fn note(&self, contact: BareJid, keys: Vec<PublicKey>) {
        let mut lists = self.lock();
        lists.told.insert(contact.clone());
        lists.fresh.insert(contact, keys);
        self.news.notify_one();
    }

    fn was_told(&self, contact: &BareJid) -> bool {
        self.lock().told.contains(contact)
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is heard. Each time is a file to be written: all that comes at a login is taken at once,
/// and who keeps changing is heard more and more seldom.
async fn keep(heard: Arc<Heard>, guard: Guard) {
    let mut gathering = GATHERING;
    loop {
        heard.news.notified().await;
        sleep(gathering).await;
        gathering = (gathering * 2).min(SELDOM);
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

/// Contacts of whom is asked at a time.
const ASKING: usize = 8;

/// How long lists are gathered at first before they are kept.
const GATHERING: Duration = Duration::from_millis(200);

/// How long they are gathered at most.
const SELDOM: Duration = Duration::from_secs(60);
