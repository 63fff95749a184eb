//! How an account is put together before it starts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tubes_actors::{Events, Start, StartError};
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_session::Account;
use tubes_transport::{Signalling, Transport};

use crate::Tubes;

/// What an account starts with; from [`Tubes::builder`].
#[derive(Debug)]
pub struct Builder {
    account: Account,
    ladder: Vec<Arc<dyn Transport>>,
    more: Vec<Arc<dyn Signalling>>,
    services: Vec<String>,
}

impl Builder {
    pub(crate) fn new(account: Account) -> Self {
        let all = TransportName::ALL.iter();
        Self {
            account,
            ladder: all.map(|name| name.transport()).collect(),
            more: Vec::new(),
            services: Vec::new(),
        }
    }

    /// The transports to use, best first, instead of all of them.
    pub fn transports(self, transports: impl IntoIterator<Item = TransportName>) -> Self {
        let named = transports.into_iter();
        self.ladder(named.map(TransportName::transport))
    }

    /// The transports to use, best first: of your own, or with settings of your own.
    pub fn ladder(mut self, transports: impl IntoIterator<Item = Arc<dyn Transport>>) -> Self {
        self.ladder = transports.into_iter().collect();
        self
    }

    /// A further way to agree on transports, beside Stream Initiation. Bytestreams are asked
    /// for with Stream Initiation; proposals are taken by either.
    pub fn signalling(mut self, signalling: Arc<dyn Signalling>) -> Self {
        self.more.push(signalling);
        self
    }

    /// Services for which offers are welcome. Contacts see it in disco#info; they may offer
    /// others all the same.
    pub fn services<S: Into<String>>(mut self, services: impl IntoIterator<Item = S>) -> Self {
        self.services = services.into_iter().map(Into::into).collect();
        self
    }

    /// Logs in.
    ///
    /// Must be called within a tokio runtime, to which all sockets will belong. Events are
    /// reported from here on. Dropping the future gives up.
    pub async fn start(self) -> Result<(Tubes, Events), StartError> {
        let si: Arc<dyn Signalling> = Arc::new(Si::new(self.ladder));
        let start = Start {
            credentials: self.account,
            signallings: [si].into_iter().chain(self.more).collect(),
            services: self.services,
        };
        // A login is tens of kilobytes, which every function that awaits this would carry along.
        let starting = Box::pin(tubes_actors::Account::start(start));
        let (account, events) = starting.await?;
        Ok((Tubes::new(account), events))
    }
}

/// A transport, by the name that people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportName {
    /// In-Band Bytestreams (XEP-0047): through the servers, wherever stanzas go.
    Ibb,
}

impl TransportName {
    /// All transports, best first.
    pub const ALL: &'static [Self] = &[Self::Ibb];

    fn transport(self) -> Arc<dyn Transport> {
        match self {
            Self::Ibb => Arc::new(Ibb::new()),
        }
    }
}

impl fmt::Display for TransportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ibb => "ibb",
        })
    }
}

impl FromStr for TransportName {
    type Err = UnknownTransport;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|known| known.to_string() == name);
        known
            .copied()
            .ok_or_else(|| UnknownTransport(name.to_owned()))
    }
}

/// No transport has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no transport is called `{0}`; there is {names}", names = names())]
pub struct UnknownTransport(String);

fn names() -> String {
    TransportName::ALL
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn starting_takes_little_of_the_stack_of_whoever_waits_for_it() {
        let account = Account::new("alice@example.org".parse().unwrap(), "secret".to_owned());
        let starting = Tubes::builder(account.unwrap()).start();
        assert!(size_of_val(&starting) < 4096, "{}", size_of_val(&starting));
    }
}
