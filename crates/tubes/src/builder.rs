//! How an account is put together before it starts.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use directories::BaseDirs;
use tokio::task::spawn_blocking;
use tubes_actors::{Events, Limits, Start, StartError};
use tubes_ibb::Ibb;
use tubes_initiation::Si;
use tubes_protocol::ns;
use tubes_secure::{Encryption, Guard, TrustStore};
use tubes_session::Account;
use tubes_socks5::{Socks5, Way};
use tubes_transport::{Signalling, Transport};
use xmpp_parsers::jid::BareJid;

use crate::Tubes;

/// What an account starts with; from [`Tubes::builder`].
///
/// ```
/// use tubes::{Account, Encryption, Limits, Socks5, TransportName, Tubes};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tubes_server::{Server, ServerKind, Setup};
/// # let server = Server::start(ServerKind::Embedded, Setup::new()).await?;
/// # let (account, at) = (server.fresh_account("alice").await?, server.address());
/// # let account = Account::new(account.jid.into(), account.password)?
/// #     .with_server(&at.ip().to_string(), at.port())?
/// #     .with_roots_pem(server.ca().pem().as_bytes())?;
/// # let keys = tempfile::tempdir()?;
/// let (tubes, mut events) = Tubes::builder(account)
///     .transports([TransportName::Socks5Direct, TransportName::Ibb])
///     .socks5(Socks5::new().with_port(0))
///     .services(["x-chess"])
///     .limits(Limits::new().with_connections_per_contact(8))
///     .encryption(Encryption::Required)
///     .keys_in(keys.path())
///     .start()
///     .await?;
/// let first = events.next().await;
/// assert!(matches!(first, Some(tubes::Event::Online { .. })));
/// tubes.leave().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Builder {
    account: Account,
    names: Vec<TransportName>,
    socks5: Socks5,
    ladder: Option<Vec<Arc<dyn Transport>>>,
    more: Vec<Arc<dyn Signalling>>,
    services: Vec<String>,
    features: Vec<String>,
    files: Files,
    tubes: Offers,
    limits: Limits,
    encryption: Encryption,
    exceptions: Vec<(BareJid, Encryption)>,
    keys: Option<PathBuf>,
}

impl Builder {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            names: TransportName::ALL.to_vec(),
            socks5: Socks5::new(),
            ladder: None,
            more: Vec::new(),
            services: Vec::new(),
            features: Vec::new(),
            files: Files::Refused,
            tubes: Offers::Welcome,
            limits: Limits::default(),
            encryption: Encryption::default(),
            exceptions: Vec::new(),
            keys: None,
        }
    }

    /// The transports to use, best first, instead of all of them. The two of SOCKS5 are one method
    /// on the wire, which is tried where the first of them stands.
    pub fn transports(mut self, transports: impl IntoIterator<Item = TransportName>) -> Self {
        self.names = transports.into_iter().collect();
        self
    }

    /// SOCKS5 bytestreams with settings of your own: a port, proxies, who may learn addresses.
    /// Which ways they go is for [`transports`](Self::transports) to say. The accounts of a process
    /// share one listening socket if they are given clones of one value.
    pub fn socks5(mut self, socks5: Socks5) -> Self {
        self.socks5 = socks5;
        self
    }

    /// The transports to use, best first: of your own, instead of those that have names.
    pub fn ladder(mut self, transports: impl IntoIterator<Item = Arc<dyn Transport>>) -> Self {
        self.ladder = Some(transports.into_iter().collect());
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

    /// Says in disco#info that this client can do these things, too: those that the application does
    /// itself over a [shared session](Tubes::share_session).
    pub fn features<S: Into<String>>(mut self, features: impl IntoIterator<Item = S>) -> Self {
        self.features = features.into_iter().map(Into::into).collect();
        self
    }

    /// Takes files that contacts offer: the application hears of each, and
    /// [accepts](crate::FileTransfer::accept) or declines it. Contacts see it in disco#info. Without it they are
    /// refused.
    pub fn receive_files(mut self) -> Self {
        self.files = Files::Welcome;
        self
    }

    /// Does not say in disco#info that this client does stream tubes, so that contacts offer it none: for
    /// applications that take files alone.
    pub fn without_tubes(mut self) -> Self {
        self.tubes = Offers::Unwanted;
        self
    }

    /// How much to take on, from contacts and for programs, instead of the defaults. Accounts that are
    /// given clones of one value count their connections together.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether bytestreams are encrypted from end to end. They are, if it is not said otherwise, and
    /// who cannot is refused.
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Whether those with this contact are, or those in this room, whatever holds for others. In a room
    /// what is set for a contact counts only where it asks for more.
    pub fn encryption_with(mut self, contact: BareJid, encryption: Encryption) -> Self {
        self.exceptions.push((contact, encryption));
        self
    }

    /// The folder in which the keys of this device and of contacts are kept, instead of
    /// [`state_folder`]. Several accounts and processes may share one.
    pub fn keys_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keys = Some(folder.into());
        self
    }

    async fn guard(&self) -> Result<Guard, StartError> {
        let folder = self.keys.clone().or_else(state_folder);
        let folder = folder.ok_or(StartError::Homeless)?;
        let account = self.account.jid().to_bare();
        let opening = spawn_blocking(move || TrustStore::open(&folder, &account));
        let store = opening.await.map_err(io::Error::other)??;
        let exceptions = self.exceptions.iter().cloned();
        let guard = Guard::new(store, self.encryption);
        Ok(exceptions.fold(guard, |guard, (contact, encryption)| {
            guard.with_contact(contact, encryption)
        }))
    }

    /// Logs in.
    ///
    /// Must be called within a tokio runtime, to which all sockets will belong. Events are
    /// reported from here on. Dropping the future gives up.
    pub async fn start(self) -> Result<(Tubes, Events), StartError> {
        let guard = self.guard().await?;
        let named = || ladder(&self.names, self.socks5);
        let si: Arc<dyn Signalling> = Arc::new(Si::new(self.ladder.unwrap_or_else(named)));
        let files = match self.files {
            Files::Refused => None,
            Files::Welcome => Some(ns::FILE_TRANSFER.to_owned()),
        };
        let tubes = match self.tubes {
            Offers::Unwanted => None,
            Offers::Welcome => Some(ns::TUBES.to_owned()),
        };
        let start = Start {
            credentials: self.account,
            signallings: [si].into_iter().chain(self.more).collect(),
            services: self.services,
            features: self
                .features
                .into_iter()
                .chain(files)
                .chain(tubes)
                .collect(),
            limits: self.limits,
            guard,
        };
        // A login is tens of kilobytes, which every function that awaits this would carry along.
        let starting = Box::pin(tubes_actors::Account::start(start));
        let (account, events) = starting.await?;
        Ok((Tubes::new(account), events))
    }
}

/// What becomes of files that contacts offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Refused,
    Welcome,
}

/// Whether contacts are told that offers of tubes are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offers {
    Unwanted,
    Welcome,
}

/// Where the keys of this user's devices and contacts are kept: `$XDG_STATE_HOME/tubes`, or what the
/// system has in its place. None where there is no home.
///
/// ```
/// use tubes::state_folder;
///
/// // None where there is no home.
/// if let Some(folder) = state_folder() {
///     assert!(folder.ends_with("tubes"));
/// }
/// ```
pub fn state_folder() -> Option<PathBuf> {
    let folders = BaseDirs::new()?;
    let folder = folders
        .state_dir()
        .unwrap_or_else(|| folders.data_local_dir());
    Some(folder.join("tubes"))
}

/// The transports of these names, in their order.
fn ladder(names: &[TransportName], socks5: Socks5) -> Vec<Arc<dyn Transport>> {
    let ways = names.iter().filter_map(|name| name.way());
    let ways: Vec<_> = ways.filter(|way| socks5.allows(*way)).collect();
    let mut socks5 = socks5.with_ways(ways);
    if !names.contains(&TransportName::Ibb) {
        socks5 = socks5.with_flawed_proxies();
    }
    let mut socks5 = Some(socks5);
    let mut ladder: Vec<Arc<dyn Transport>> = Vec::new();
    for name in names {
        match name {
            TransportName::Ibb => ladder.push(Arc::new(Ibb::new())),
            TransportName::Socks5Direct | TransportName::Socks5Proxy => {
                if let Some(socks5) = socks5.take() {
                    ladder.push(Arc::new(socks5));
                }
            }
        }
    }
    ladder
}

/// A transport, by the name that people use.
///
/// ```
/// use tubes::{TransportName, socks5::Way};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let best = TransportName::ALL[0];
/// assert_eq!((best, best.to_string()), ("socks5-direct".parse()?, "socks5-direct".to_owned()));
/// assert_eq!(best.way(), Some(Way::Direct));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportName {
    /// In-Band Bytestreams (XEP-0047): through the servers, wherever stanzas go.
    Ibb,
    /// SOCKS5 bytestreams (XEP-0065): a TCP connection between the two sides.
    Socks5Direct,
    /// SOCKS5 bytestreams through a proxy.
    Socks5Proxy,
}

impl TransportName {
    /// All transports, best first.
    pub const ALL: &'static [Self] = &[Self::Socks5Direct, Self::Socks5Proxy, Self::Ibb];

    /// Which way of SOCKS5 bytestreams it is, if it is one.
    pub fn way(self) -> Option<Way> {
        match self {
            Self::Ibb => None,
            Self::Socks5Direct => Some(Way::Direct),
            Self::Socks5Proxy => Some(Way::Proxy),
        }
    }
}

impl fmt::Display for TransportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ibb => "ibb",
            Self::Socks5Direct => Way::Direct.label(),
            Self::Socks5Proxy => Way::Proxy.label(),
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
///
/// ```
/// use tubes::TransportName;
///
/// let why = "pigeons".parse::<TransportName>().unwrap_err();
/// assert!(why.to_string().starts_with("no transport is called `pigeons`; there is "));
/// ```
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
