//! The accounts of a server or a client, and the tasks that follow what they report.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, oneshot};
use tokio::task::{JoinHandle, unconstrained};
use tubes_actors::state::Link;
use tubes_actors::{Event, Events, State, TubeId};
use xmpp_parsers::jid::BareJid;

use super::{Announced, Office};
use crate::Tubes;

/// Who has tubes in hand: the inside of a server or a client.
pub(crate) trait Keeper: Send + Sync + Sized + 'static {
    type Event: Announced;

    fn office(&self) -> &Office<Self::Event>;

    /// What an account reports, after the desk took notice of it.
    fn hear(self: &Arc<Self>, _account: &BareJid, _tubes: &Tubes, _event: &Event) {}

    /// What is the case with an account that is new, or of which something was missed.
    fn see(self: &Arc<Self>, _account: &BareJid, _tubes: &Tubes, _state: &State) {}
}

/// The accounts there are.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<BTreeMap<BareJid, Post>>);

/// An account, and who follows it.
#[derive(Debug)]
struct Post {
    tubes: Tubes,
    runtime: Handle,
    gate: Arc<RwLock<()>>,
    /// Dropping it is the word for the follower to end.
    stop: oneshot::Sender<()>,
    follower: JoinHandle<()>,
}

impl Post {
    fn has(&self, gate: &Arc<RwLock<()>>) -> bool {
        Arc::ptr_eq(&self.gate, gate)
    }
}

/// An account to work with. Nothing that it reports is heard meanwhile: whatever is begun with it is
/// known before its first event is heard.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) tubes: Tubes,
    _gate: OwnedRwLockReadGuard<()>,
}

/// Why an account was not added.
///
/// ```
/// use tubes::{AddError, StreamTubeServer, Tubes};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// Adds an account, if it was not done before.
/// async fn add(server: &StreamTubeServer, tubes: &Tubes) -> Result<(), AddError> {
///     match server.add(tubes).await {
///         Ok(_) | Err(AddError::Already) => Ok(()),
///         Err(other) => Err(other),
///     }
/// }
///
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let keys = tempfile::tempdir()?;
/// # let mut people = Vec::new();
/// # for name in ["alice", "fernand"] {
/// #     let (account, at) = (server.fresh_account(name).await?, server.address());
/// #     let account = tubes::Account::new(account.jid.into(), account.password)?
/// #         .with_server(&at.ip().to_string(), at.port())?
/// #         .with_roots_pem(server.ca().pem().as_bytes())?;
/// #     let builder = Tubes::builder(account).keys_in(keys.path());
/// #     people.push(builder.start().await?.0);
/// # }
/// # let (fernand, alice) = (people.pop().ok_or("two")?, people.pop().ok_or("two")?);
/// # drop(fernand);
/// let server = StreamTubeServer::builder().build();
/// add(&server, &alice).await?;
/// add(&server, &alice).await?;
/// server.close().await;
/// assert_eq!(add(&server, &alice).await, Err(AddError::Closed));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The account is there already, with this or another login.
    #[error("the account was added before: remove it first to add another login")]
    Already,
    /// What it should be added to was closed.
    #[error("closed: nothing is added any more")]
    Closed,
    /// The account is closed, or offline for good.
    #[error("the account is closed: start it again")]
    Gone,
}

impl Accounts {
    /// Those there are.
    pub(crate) fn jids(&self) -> Vec<BareJid> {
        self.posts().keys().cloned().collect()
    }

    /// The handle of an account, and the runtime that its tasks are on.
    pub(crate) fn find(&self, account: &BareJid) -> Option<(Tubes, Handle)> {
        let posts = self.posts();
        let post = posts.get(account)?;
        Some((post.tubes.clone(), post.runtime.clone()))
    }

    /// Takes an account to work with.
    pub(crate) async fn hold(&self, account: &BareJid) -> Option<Hold> {
        let (tubes, gate) = {
            let posts = self.posts();
            let post = posts.get(account)?;
            (post.tubes.clone(), Arc::clone(&post.gate))
        };
        let _gate = Arc::clone(&gate).read_owned().await;
        // It may have been removed meanwhile.
        let post_is_there = self
            .posts()
            .get(account)
            .is_some_and(|post| post.has(&gate));
        post_is_there.then_some(Hold { tubes, _gate })
    }

    /// Waits until all that is being begun with an account is begun.
    pub(crate) async fn settled(&self, account: &BareJid) {
        let gate = self.posts().get(account).map(|post| Arc::clone(&post.gate));
        if let Some(gate) = gate {
            drop(gate.write().await);
        }
    }

    /// Lets go of an account, unless it is there anew.
    fn forget(&self, account: &BareJid, gate: &Arc<RwLock<()>>) {
        let mut posts = self.posts();
        if posts.get(account).is_some_and(|post| post.has(gate)) {
            posts.remove(account);
        }
    }

    fn take(&self, account: &BareJid) -> Option<Post> {
        self.posts().remove(account)
    }

    fn posts(&self) -> MutexGuard<'_, BTreeMap<BareJid, Post>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds an account, and follows it from now on.
pub(crate) async fn add<K: Keeper>(keeper: &Arc<K>, tubes: &Tubes) -> Result<BareJid, AddError> {
    let login = tubes.login().await.map_err(|_| AddError::Gone)?;
    let account = login.jid.to_bare();
    let mut posts = keeper.office().accounts().posts();
    if keeper.office().desk().is_closed() {
        return Err(AddError::Closed);
    }
    let Entry::Vacant(vacant) = posts.entry(account.clone()) else {
        return Err(AddError::Already);
    };
    let (stop, stopped) = oneshot::channel();
    let gate = Arc::default();
    let runtime = Handle::current();
    let follower = Follower {
        keeper: Arc::clone(keeper),
        account: account.clone(),
        tubes: tubes.clone(),
        gate: Arc::clone(&gate),
    };
    let (state, events) = tubes.watch();
    if is_over(&state.link) {
        return Err(AddError::Gone);
    }
    keeper.see(&account, tubes, &state);
    let follower = runtime.spawn(follower.follow(events, stopped));
    vacant.insert(Post {
        tubes: tubes.clone(),
        runtime,
        gate,
        stop,
        follower,
    });
    Ok(account)
}

/// Closes the account's tubes and lets go of it; its handle, if it was there.
pub(crate) async fn remove<K: Keeper>(keeper: &Arc<K>, account: &BareJid) -> Option<Tubes> {
    let post = keeper.office().accounts().take(account)?;
    let tubes = post.tubes.clone();
    dismiss(keeper, account, post).await;
    Some(tubes)
}

/// Closes all tubes and lets go of all accounts.
pub(crate) async fn close<K: Keeper>(keeper: &Arc<K>) {
    for task in spawn_close(keeper) {
        // A runtime that is gone took all of it along.
        let _ = task.await;
    }
}

/// Begins to close all tubes; each account's on its own runtime.
pub(crate) fn spawn_close<K: Keeper>(keeper: &Arc<K>) -> Vec<JoinHandle<()>> {
    keeper.office().desk().close();
    let posts = std::mem::take(&mut *keeper.office().accounts().posts());
    let dismissing = posts.into_iter().map(|(account, post)| {
        let keeper = Arc::clone(keeper);
        let runtime = post.runtime.clone();
        runtime.spawn(async move { dismiss(&keeper, &account, post).await })
    });
    dismissing.collect()
}

async fn dismiss<K: Keeper>(keeper: &Arc<K>, account: &BareJid, post: Post) {
    // What is being begun is begun first, and seen.
    drop(post.gate.write().await);
    let in_hand = keeper.office().desk().state().tubes;
    let of_account = in_hand.values().filter(|tube| tube.account == *account);
    let closing: Vec<_> = of_account
        .map(|tube| post.runtime.spawn(close_tube(post.tubes.clone(), tube.id)))
        .collect();
    for closed in closing {
        let _ = closed.await;
    }
    drop(post.stop);
    let _ = post.follower.await;
}

async fn close_tube(tubes: Tubes, tube: TubeId) {
    tubes.close(tube).await;
}

/// Takes what an account reports to who is to know it.
struct Follower<K> {
    keeper: Arc<K>,
    account: BareJid,
    tubes: Tubes,
    gate: Arc<RwLock<()>>,
}

impl<K: Keeper> Follower<K> {
    /// Follows until the account is no more, or is not to be followed any more. What was reported
    /// until then is heard.
    async fn follow(self, mut events: Events, mut stopped: oneshot::Receiver<()>) {
        let mut link = Link::Starting;
        // An account that is offline for good still reports how its tubes end.
        while !is_over(&link) || self.keeper.office().desk().has_any_of(&self.account) {
            let event = tokio::select! {
                biased;
                // Not finding the time to look is no reason to stop.
                event = unconstrained(events.next()) => event,
                _ = &mut stopped => return,
            };
            // Whatever is being begun is known before its first event is heard.
            let _alone = self.gate.write().await;
            match event {
                None => break,
                Some(Event::Missed(_)) => {
                    let (state, later) = self.tubes.watch();
                    events = later;
                    self.keeper.office().desk().recover(&self.account, &state);
                    self.keeper.see(&self.account, &self.tubes, &state);
                    link = state.link;
                }
                Some(event) => {
                    self.keeper.office().desk().handle(&event);
                    self.keeper.hear(&self.account, &self.tubes, &event);
                    if let Event::Offline { reason, retry_in } = event {
                        link = Link::Offline { reason, retry_in };
                    }
                }
            }
        }
        self.keeper
            .office()
            .accounts()
            .forget(&self.account, &self.gate);
        self.keeper.office().desk().lost(&self.account);
    }
}

/// Whether an account comes back no more.
fn is_over(link: &Link) -> bool {
    matches!(link, Link::Offline { retry_in: None, .. } | Link::Closed)
}
