//! The session's end: to whom goes what others say.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;

use crate::ask::Reply;
use crate::budget::{Budget, Share};
use crate::excess::{Bound, Excess, Excesses};
use crate::outbox::Outbox;
use crate::over::Over;
use crate::quota::Quotas;
use crate::{Answered, Ask, Gone, Inbound, Stanzas, StreamId};

impl Stanzas {
    /// Makes the two ends: one to speak, and the session's, to send and to route.
    pub fn pair() -> (Self, Outbox, Switchboard) {
        let (control, control_rx) = mpsc::channel(CONTROL);
        let (bulk, bulk_rx) = mpsc::channel(BULK);
        let (answers, answers_rx) = mpsc::channel(WITHHELD);
        let excesses = Excesses::default();
        let switchboard = Switchboard {
            claims: Arc::default(),
            rooms: Arc::default(),
            answers,
            quotas: Quotas::default(),
            budget: Budget::new(excesses.clone()),
            excesses,
        };
        let outbox = Outbox {
            answers: answers_rx,
            control: control_rx,
            bulk: bulk_rx,
        };
        (
            Self {
                control,
                bulk,
                switchboard: switchboard.clone(),
            },
            outbox,
            switchboard,
        )
    }
}

/// Who has claimed which stream of whom.
#[derive(Clone, Debug)]
pub struct Switchboard {
    claims: Arc<Mutex<Claims>>,
    rooms: Arc<Mutex<HashSet<BareJid>>>,
    answers: mpsc::Sender<Answered>,
    quotas: Quotas,
    budget: Budget,
    pub(crate) excesses: Excesses,
}

impl Switchboard {
    /// Counts what is held for somebody in this room apart from what is held for others there: nobody is
    /// to use up what all have.
    pub fn attend(&self, room: BareJid) {
        self.rooms().insert(room);
    }

    /// The room is one no more.
    pub fn forsake(&self, room: &BareJid) {
        self.rooms().remove(room);
    }

    /// Turns an IQ request into an [`Ask`] by reserving the place of its answer.
    ///
    /// Hands the payload back when too many answers are being withheld, from the same contact or in
    /// all: then the caller refuses on the spot (`resource-constraint`).
    pub fn ask(&self, from: Jid, id: String, payload: Element) -> Result<Ask, Element> {
        let holder = self.holder(&from);
        let place = self.quotas.take(holder.clone());
        let permit = self.answers.clone().try_reserve_owned();
        let (Some(_place), Ok(permit)) = (place, permit) else {
            self.excesses.note(Excess {
                bound: Bound::Answers,
                who: Some(holder),
            });
            return Err(payload);
        };
        Ok(Ask::new(from, payload, Reply { id, permit, _place }))
    }

    /// The next that wanted more than there may be. Cancel safe.
    pub async fn excess(&self) -> Excess {
        self.excesses.next().await
    }

    /// Gives what `from` said to whoever claimed its stream, or back.
    ///
    /// Never waits. A wire that holds too much already is cut, and ends in [`Gone::Overflow`].
    pub fn route(&self, from: &Jid, inbound: Inbound) -> Result<(), Box<Inbound>> {
        let Some(sid) = inbound.payload().attr("sid") else {
            return Err(Box::new(inbound));
        };
        let key = (from.clone(), StreamId::from(sid));
        let mut claims = self.lock();
        let Some(line) = claims.lines.get(&key) else {
            return Err(Box::new(inbound));
        };
        // The stanza answers itself when dropped.
        if line.is_full() {
            claims.cut(&key);
            return Ok(());
        }
        if !line.hold(weigh(inbound.payload())) {
            claims.hang_up(&key, Gone::Overflow);
            return Ok(());
        }
        match line.inbox.try_send(Box::new(inbound)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                claims.cut(&key);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(inbound)) => Err(inbound),
        }
    }

    /// Who has a wire to this side.
    pub fn peers(&self) -> HashSet<Jid> {
        let claims = self.lock();
        claims.lines.keys().map(|(peer, _)| peer.clone()).collect()
    }

    pub(crate) fn was_on_the_way(&self, from: &Jid, stream: &StreamId) -> bool {
        self.lock().over.was_on_the_way(from, stream)
    }

    /// Ends every wire to this full JID.
    pub fn hang_up(&self, peer: &Jid, why: Gone) {
        let mut claims = self.lock();
        let keys = claims.lines.keys().filter(|(jid, _)| jid == peer);
        let keys: Vec<_> = keys.cloned().collect();
        for key in keys {
            claims.hang_up(&key, why.clone());
        }
    }

    /// Ends every wire.
    pub fn hang_up_all(&self, why: Gone) {
        let mut claims = self.lock();
        let keys: Vec<_> = claims.lines.keys().cloned().collect();
        for key in keys {
            claims.hang_up(&key, why.clone());
        }
    }

    pub(crate) fn claim(&self, peer: Jid, stream: StreamId) -> Option<Claim> {
        let (inbox, rx) = mpsc::channel(INBOX);
        let held = Arc::new(Mutex::new(self.budget.share(self.holder(&peer))));
        let (end, why) = oneshot::channel();
        let key = (peer, stream);
        match self.lock().lines.entry(key.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(vacant) => vacant.insert(Line {
                inbox: inbox.clone(),
                held: Arc::clone(&held),
                end,
            }),
        };
        let release = Some(Release {
            claims: Arc::clone(&self.claims),
            inbox,
        });
        Some(Claim {
            key,
            inbox: rx,
            held,
            why,
            release,
        })
    }

    /// As whom somebody counts: the contact, or the occupant of a room.
    fn holder(&self, who: &Jid) -> Jid {
        match self.rooms().contains(&who.to_bare()) {
            true => who.clone(),
            false => who.to_bare().into(),
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashSet<BareJid>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wire's place in the switchboard; gives it up when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    key: (Jid, StreamId),
    /// Boxed: a channel has room for tens of them from its beginning.
    inbox: mpsc::Receiver<Box<Inbound>>,
    /// Bytes in the inbox, about.
    held: Held,
    why: oneshot::Receiver<Gone>,
    release: Option<Release>,
}

impl Claim {
    pub(crate) fn peer(&self) -> &Jid {
        &self.key.0
    }

    pub(crate) fn stream(&self) -> &StreamId {
        &self.key.1
    }

    /// Of the peer's budget, nothing yet.
    pub(crate) fn share(&self) -> Share {
        share(&self.held).another()
    }

    pub(crate) async fn recv(&mut self) -> Result<Inbound, Gone> {
        let inbound = self.take().await?;
        share(&self.held).shrink(weigh(inbound.payload()));
        Ok(inbound)
    }

    async fn take(&mut self) -> Result<Inbound, Gone> {
        // What arrived before the end is still delivered: the reason is looked at last.
        tokio::select! {
            biased;
            Some(inbound) = self.inbox.recv() => Ok(*inbound),
            why = &mut self.why, if !self.why.is_terminated() => {
                self.release = None;
                match self.inbox.try_recv() {
                    Ok(inbound) => Ok(*inbound),
                    Err(_) => Err(why.unwrap_or(Gone::Closed)),
                }
            }
            else => Err(Gone::Closed),
        }
    }

    /// A claim of the same name that holds nothing.
    pub(crate) fn closed(&self) -> Self {
        let held = Arc::new(Mutex::new(self.share()));
        let (_, inbox) = mpsc::channel(1);
        let (_, why) = oneshot::channel();
        Self {
            key: self.key.clone(),
            inbox,
            held,
            why,
            release: None,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(release) = self.release.take() else {
            return;
        };
        let mut claims = release
            .claims
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The place may have been cut and claimed anew meanwhile.
        let line = claims.lines.get(&self.key);
        if line.is_some_and(|line| line.inbox.same_channel(&release.inbox)) {
            claims.remove(&self.key);
        }
    }
}

#[derive(Debug)]
struct Release {
    claims: Arc<Mutex<Claims>>,
    inbox: mpsc::Sender<Box<Inbound>>,
}

#[derive(Debug)]
struct Line {
    inbox: mpsc::Sender<Box<Inbound>>,
    held: Held,
    end: oneshot::Sender<Gone>,
}

impl Line {
    fn end(self, why: Gone) {
        // A wire that was just dropped needs no reason.
        let _ = self.end.send(why);
    }

    /// Whether its inbox holds as much as one may.
    fn is_full(&self) -> bool {
        share(&self.held).held() > HELD
    }

    /// Counts so many bytes that are about to be put into the inbox, or says that there is no room for them beside
    /// what others hold.
    fn hold(&self, bytes: usize) -> bool {
        share(&self.held).grow(bytes).is_ok()
    }
}

/// What the inbox holds.
type Held = Arc<Mutex<Share>>;

#[derive(Debug, Default)]
struct Claims {
    lines: HashMap<(Jid, StreamId), Line>,
    over: Over,
}

impl Claims {
    fn remove(&mut self, key: &(Jid, StreamId)) -> Option<Line> {
        let line = self.lines.remove(key)?;
        self.over.note(&key.0, &key.1);
        Some(line)
    }

    fn hang_up(&mut self, key: &(Jid, StreamId), why: Gone) {
        if let Some(line) = self.remove(key) {
            line.end(why);
        }
    }

    /// Whoever says too much is not excused for what it says next.
    fn cut(&mut self, key: &(Jid, StreamId)) {
        if let Some(line) = self.lines.remove(key) {
            line.end(Gone::Overflow);
        }
    }
}

fn share(held: &Held) -> MutexGuard<'_, Share> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// About how many bytes an element takes up.
fn weigh(element: &Element) -> usize {
    let attrs = element.attrs().into_iter();
    let own = attrs.map(|((_, name), value)| name.len() + value.len());
    let texts = element.texts().map(str::len);
    let names = element.name().len() + element.ns().len();
    let inner = element.children().map(weigh).sum::<usize>();
    own.chain(texts).sum::<usize>() + names + inner + ELEMENT
}

/// Questions and messages that wait for the session; they are few and short.
const CONTROL: usize = 64;

/// Blocks of data that wait for the session, over all bytestreams. Small, so that what is said
/// on the control lane is soon said, and a bytestream fills its own window first.
const BULK: usize = 16;

/// Questions of peers that may stay unanswered at a time; in-band bytestreams withhold
/// acknowledgements as back-pressure. Each costs a few hundred bytes.
const WITHHELD: usize = 64 * 1024;

/// Stanzas that one wire holds unread. Drivers read at once, so this fills only under a flood.
const INBOX: usize = 256;

/// Bytes that one wire holds unread.
const HELD: usize = 512 * 1024;

/// What an element costs beside what stands in it.
const ELEMENT: usize = 256;
