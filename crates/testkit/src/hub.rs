//! Sessions joined in memory, without a server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tubes_transport::{AskError, Gone, Inbound, Stanzas, Switchboard};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;

use crate::Fate;
use crate::carrier::carry;

/// Two or more [`Stanzas`] ends, joined as a server would join them.
///
/// Every end has a task that takes its outbox in order and waits where the receiver is full.
/// Dropping the last clone cuts all ends.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    _guard: Arc<Guard>,
}

impl Hub {
    /// A hub without ends. Wants a tokio runtime from [`join`](Self::join) on.
    pub fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let guard = Arc::new(Guard(Arc::clone(&shared)));
        Self {
            shared,
            _guard: guard,
        }
    }

    /// A hub with two ends.
    pub fn pair(a: FullJid, b: FullJid) -> (Stanzas, Stanzas, Self) {
        let hub = Self::new();
        let (a, b) = (hub.join(a), hub.join(b));
        (a, b, hub)
    }

    /// Adds an end; it replaces an earlier one of the same address.
    pub fn join(&self, jid: FullJid) -> Stanzas {
        let (stanzas, outbox, switchboard) = Stanzas::pair();
        let run = carry(Arc::clone(&self.shared), jid.clone(), outbox);
        let task = tokio::spawn(run).abort_handle();
        let end = End {
            switchboard,
            task,
            unclaimed: None,
        };
        if let Some(old) = self.shared.lock().ends.insert(jid.into(), end) {
            old.task.abort();
        }
        stanzas
    }

    /// Decides what befalls each stanza from now on. The stanza is shown whole, as `<iq/>` or
    /// `<message/>` with `from`, `to` and, for an IQ, `id` and `type`.
    pub fn set_filter(&self, filter: impl Fn(&Element) -> Fate + Send + Sync + 'static) {
        self.shared.lock().filter = Some(Arc::new(filter));
    }

    /// Takes what arrives at this end and no wire has claimed.
    ///
    /// Until this is called, and after the receiver is dropped, questions are refused
    /// `item-not-found` and messages vanish. The sender waits while the receiver is full.
    pub fn unclaimed(&self, jid: &FullJid) -> mpsc::Receiver<Inbound> {
        let (tx, rx) = mpsc::channel(UNCLAIMED);
        if let Some(end) = self.shared.lock().ends.get_mut(&Jid::from(jid.clone())) {
            end.unclaimed = Some(tx);
        }
        rx
    }

    /// Loses the sessions of all ends: questions fail with [`Gone::Session`], wires hang up.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Tells the other ends that this one went away: their wires to it end in [`Gone::Peer`],
    /// and so do their questions to it.
    pub fn hang_up(&self, jid: &FullJid) {
        self.shared.hang_up(&Jid::from(jid.clone()));
    }

    /// All that passed so far: who sent it, and the whole stanza as its receiver got it.
    pub fn transcript(&self) -> Vec<(FullJid, Element)> {
        self.shared.lock().transcript.clone()
    }

    /// How many questions wait for their answers; those that nobody waits for do not count.
    pub fn pending(&self) -> usize {
        let state = self.shared.lock();
        let pending = state.pending.values();
        pending.filter(|asked| !asked.reply.is_closed()).count()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        let mut state = self.lock();
        for (_, end) in state.ends.drain() {
            end.task.abort();
            end.switchboard.hang_up_all(Gone::Session);
        }
        // A dropped reply is read as a lost session.
        state.pending.clear();
    }

    /// Loses the session of one end, and tells the others that it went away.
    pub(crate) fn lose(&self, jid: &Jid) {
        let mut state = self.lock();
        if let Some(end) = state.ends.remove(jid) {
            end.task.abort();
            end.switchboard.hang_up_all(Gone::Session);
        }
        state.pending.retain(|(asker, _), _| asker != jid);
        drop(state);
        self.hang_up(jid);
    }

    fn hang_up(&self, jid: &Jid) {
        let mut state = self.lock();
        for (_, end) in state.ends.iter().filter(|(other, _)| *other != jid) {
            end.switchboard.hang_up(jid, Gone::Peer);
        }
        let lost: Vec<_> = state
            .pending
            .extract_if(|_, pending| pending.to == *jid)
            .collect();
        for (_, pending) in lost {
            let _ = pending.reply.send(Err(AskError::Gone(Gone::Peer)));
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) ends: HashMap<Jid, End>,
    pub(crate) pending: HashMap<(Jid, String), Pending>,
    pub(crate) drawn: u64,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) transcript: Vec<(FullJid, Element)>,
}

type Filter = dyn Fn(&Element) -> Fate + Send + Sync;

pub(crate) struct End {
    pub(crate) switchboard: Switchboard,
    task: AbortHandle,
    pub(crate) unclaimed: Option<mpsc::Sender<Inbound>>,
}

pub(crate) struct Pending {
    pub(crate) to: Jid,
    pub(crate) reply: oneshot::Sender<Result<Option<Element>, AskError>>,
}

struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Unclaimed stanzas that wait for the test; more than any test looks at.
const UNCLAIMED: usize = 64;
