//! Who wanted more than there may be.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xmpp_parsers::jid::Jid;

/// Of what there was no more, and who wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub bound: Bound,
    /// Who; nobody that this side knows, if none.
    pub who: Option<Jid>,
}

/// Of what there may be no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// Answers that wait, of one contact or in all.
    Answers,
    /// Connections to this side that have not said yet which bytestream they are for.
    Handshakes,
    /// Bytes that wait to be read, of one contact or in all.
    Unread,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers that wait",
            Self::Handshakes => "connections that have not said what they want",
            Self::Unread => "bytes that wait to be read",
        })
    }
}

/// What the session is to report; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excesses(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<VecDeque<Excess>>,
    news: Notify,
}

impl Excesses {
    /// Notes an excess, unless it waits to be reported already: whoever goes beyond a bound does so often.
    pub(crate) fn note(&self, excess: Excess) {
        let mut waiting = self.waiting();
        if waiting.len() < WAITING && !waiting.contains(&excess) {
            waiting.push_back(excess);
            drop(waiting);
            self.0.news.notify_one();
        }
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&self) -> Excess {
        loop {
            let next = self.waiting().pop_front();
            match next {
                Some(excess) => return excess,
                None => self.0.news.notified().await,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Excess>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Excesses that wait to be reported. People learn enough of the first of them.
const WAITING: usize = 32;
