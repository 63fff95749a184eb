//! The devices of this account and of its contacts, as servers publish them (XEP-0163).
//!
//! ```text
//!   login ──► this device is put into the account's list
//!   a list without it ──► a pause, of another length on each device ──► it is put there again
//!   event of a server, or else a question ──► Heard ──► the store
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tubes_secure::{Guard, publication};
use tubes_secure::{PublicKey, StoreError};
use tubes_transport::{AskError, Patience, Question, Stanzas};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

use crate::env::Env;

/// Keeps this device in the list of its account, and the lists of contacts in the store.
#[derive(Debug)]
pub(super) struct Devices {
    runtime: Handle,
    guard: Guard,
    stanzas: Stanzas,
    /// A list was announced that lacks this device.
    lacking: Arc<Notify>,
    account: Option<BareJid>,
    /// Contacts who were online in this session, and the task that asks for their devices.
    met: HashMap<BareJid, AbortHandle>,
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
            lacking: Arc::default(),
            account: None,
            met: HashMap::new(),
            heard: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// A new session began.
    pub(super) fn logged_in(&mut self, account: BareJid) {
        self.tasks.abort_all();
        self.heard = Arc::default();
        self.account = Some(account.clone());
        self.met = HashMap::new();
        self.lacking = Arc::default();
        self.start(keep(Arc::clone(&self.heard), self.guard.clone()));
        if self.guard.is_public() {
            let (stanzas, lacking) = (self.stanzas.clone(), Arc::clone(&self.lacking));
            self.start(keep_published(
                stanzas,
                account,
                self.guard.clone(),
                lacking,
            ));
        }
    }

    /// A device of a contact has come online. Servers tell of its key then; not always of those who
    /// have just become contacts.
    pub(super) fn online(&mut self, contact: BareJid) {
        if !self.guard.is_public() || self.account.as_ref() == Some(&contact) {
            return;
        }
        let (stanzas, heard) = (self.stanzas.clone(), Arc::clone(&self.heard));
        let task = self.start(look_up(stanzas, contact.clone(), heard));
        if let Some(before) = self.met.insert(contact, task) {
            before.abort();
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
                self.lacking.notify_one();
            }
            // The others are for people to see, and to revoke.
            keys.retain(|key| *key != own);
        }
        self.heard.told(of, keys);
    }

    fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn_on(task, &self.runtime)
    }
}

/// Keeps this device in the list of its account, where the server keeps one.
///
/// Of devices that log in at once each overwrites the others' lists, and a server may announce these
/// more than once, the older after the newer. So what is announced is only a reason to look, what was
/// written is looked at again, and by pausing first, each for another time, one device adds itself
/// after the other.
async fn keep_published(stanzas: Stanzas, account: BareJid, guard: Guard, lacking: Arc<Notify>) {
    loop {
        for pause in pauses(&guard.store().identity().public()) {
            match publish(&stanzas, &account, &guard).await {
                Ok(Look::Good) => lacking.notified().await,
                // Another may have written at the same moment, and servers do not tell us of it before
                // they know our capabilities.
                Ok(Look::Mended) => {}
                Err(why) => {
                    tracing::debug!(%account, %why, "this device is not published");
                    if !why.may_pass() {
                        return;
                    }
                }
            }
            // One look is enough for all that is announced in a burst.
            while timeout(pause, lacking.notified()).await.is_ok() {}
        }
        // The server is out of order, or there are too many devices, of which always one is left out.
        sleep(RESPITE).await;
    }
}

/// How long a device waits before each look at the list but the first: the bytes of its key make
/// these times differ from those of other devices.
fn pauses(device: &PublicKey) -> impl Iterator<Item = Duration> + use<> {
    let parts = (*device.as_bytes()).into_iter().take(LOOKS);
    parts.map(|part| PAUSE + PAUSE * u32::from(part) / u32::from(u8::MAX))
}

/// Adds this device to the list, and takes those out of it that were revoked here.
async fn publish(stanzas: &Stanzas, account: &BareJid, guard: &Guard) -> Result<Look, Unpublished> {
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
    if devices == listed {
        return Ok(Look::Good);
    }
    let publication = publication::publication(&devices);
    ask(stanzas, account, Question::Set, publication).await?;
    Ok(Look::Mended)
}

/// What a look at the list of the account came to.
enum Look {
    /// It was as it should be.
    Good,
    /// It was not, and was written anew.
    Mended,
}

/// Why a device could not be published.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Unpublished {
    /// Whether it may go better later. A server that keeps no lists does not begin to.
    fn may_pass(&self) -> bool {
        match self {
            // ejabberd says that there is no list if it has to make two at the same time.
            Self::Ask(AskError::Refused(why)) => {
                why.type_ == ErrorType::Wait
                    || matches!(
                        why.defined_condition,
                        DefinedCondition::ItemNotFound | DefinedCondition::InternalServerError
                    )
            }
            Self::Ask(AskError::TimedOut) | Self::Store(_) => true,
            Self::Ask(_) => false,
        }
    }
}

/// Whether there is no list.
fn is_absence(error: &AskError) -> bool {
    matches!(
        error,
        AskError::Refused(why) if why.defined_condition == DefinedCondition::ItemNotFound
    )
}

/// Asks for a contact's devices, unless its server tells of them by itself: at once, and when the one
/// that has come online had the time to publish itself.
async fn look_up(stanzas: Stanzas, contact: BareJid, heard: Arc<Heard>) {
    for pause in [PAUSE, SETTLING] {
        sleep(pause).await;
        let Ok(_turn) = heard.asking.acquire().await else {
            return;
        };
        if heard.was_told(&contact) {
            return;
        }
        match ask(&stanzas, &contact, Question::Get, publication::question()).await {
            Ok(list) => {
                let listed = list.map_or_else(Vec::new, |list| publication::answered(&list));
                heard.answered(contact.clone(), listed);
            }
            Err(error) if is_absence(&error) => heard.answered(contact.clone(), Vec::new()),
            // Perhaps it is not yet a contact for its server.
            Err(_) => {}
        }
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
    /// Whose devices their servers told of by themselves.
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
    /// A server tells of a list, and will of the next ones.
    fn told(&self, contact: BareJid, keys: Vec<PublicKey>) {
        let mut lists = self.lock();
        lists.told.insert(contact.clone());
        lists.fresh.insert(contact, keys);
        self.news.notify_one();
    }

    /// A question was answered. What the server has told meanwhile is newer.
    fn answered(&self, contact: BareJid, keys: Vec<PublicKey>) {
        let mut lists = self.lock();
        if !lists.told.contains(&contact) {
            lists.fresh.insert(contact, keys);
            self.news.notify_one();
        }
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

/// How often this device looks at the list of its account before it rests.
const LOOKS: usize = 6;

/// How long it rests then.
const RESPITE: Duration = Duration::from_secs(3600);

/// Time for a server, or for somebody who has just come online, to do it by itself. Far longer than
/// it takes to change a list.
const PAUSE: Duration = Duration::from_secs(1);

/// Time for all devices that come online together to have put themselves into their list.
const SETTLING: Duration = Duration::from_secs(8);

/// Contacts of whom is asked at a time.
const ASKING: usize = 8;

/// How long lists are gathered at first before they are kept.
const GATHERING: Duration = Duration::from_millis(200);

/// How long they are gathered at most.
const SELDOM: Duration = Duration::from_secs(60);
