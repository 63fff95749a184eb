//! A running server of any kind, and its accounts.

use std::{fmt, io, net::SocketAddr, path::Path};

use tokio::{net::TcpSocket, sync::OnceCell};
use xmpp_parsers::jid::{BareJid, NodePart};

use crate::{
    AccountError, Ca, ServerKind, Setup, StartError, ca::Identity, ejabberd::Ejabberd,
    embedded::Embedded, probe, prosody::Prosody, rehearsal, setup::rooms_name,
    supervised::Supervised,
};

/// A running server. Dropping it stops it and removes all that it left; that may block for a
/// moment, [`Server::stop`] does the same without blocking.
#[derive(Debug)]
pub struct Server {
    domain: BareJid,
    rooms: BareJid,
    ca: Ca,
    running: Running,
    /// Keep the ports of a server that was killed.
    keepers: Vec<TcpSocket>,
}

impl Server {
    /// Starts a server and waits until clients can log in.
    ///
    /// It does not depend on the runtime it is started from, only on the process. A future that
    /// is dropped stops what it has started.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. A missing program is found out first.
    pub async fn start(kind: ServerKind, setup: Setup) -> Result<Self, StartError> {
        kind.available()?;
        let domain = BareJid::new(&setup.domain)
            .ok()
            .filter(|domain| domain.node().is_none())
            .ok_or_else(|| StartError::Domain(setup.domain.clone()))?;
        let rooms = rooms_name(&domain);
        let rooms = BareJid::new(&rooms).map_err(|_| StartError::Domain(rooms))?;
        let identity = Identity::new(domain.as_str())?;
        let running = match kind {
            ServerKind::Embedded => {
                Running::Embedded(Embedded::start(&setup, &domain, &rooms, &identity)?)
            }
            ServerKind::Prosody => {
                Running::Prosody(Prosody::start(&setup, &domain, &identity).await?)
            }
            ServerKind::Ejabberd => {
                Running::Ejabberd(Ejabberd::start(&setup, &domain, &identity).await?)
            }
        };
        let server = Self {
            domain,
            rooms,
            ca: identity.ca,
            running,
            keepers: Vec::new(),
        };
        for (name, password) in &setup.accounts {
            server.add_account(name, password).await?;
        }
        if server.process().is_some() {
            server.rehearse().await?;
        }
        Ok(server)
    }

    /// Makes the first login, so that nobody else has to wait while the server loads what it needs for one.
    async fn rehearse(&self) -> Result<(), StartError> {
        let account = self.fresh_account("rehearsal").await?;
        let login = async {
            let tls = probe::encrypted(&self.domain, &self.ca, self.address()).await?;
            let done = rehearsal::run(tls, &account).await;
            done.map_err(StartError::io("logging in for the first time"))
        };
        let within = probe::START;
        let done = tokio::time::timeout(within, login).await;
        done.unwrap_or_else(|_| {
            let (kind, log) = (self.kind(), self.log().unwrap_or_default());
            Err(StartError::TimedOut { kind, within, log })
        })
    }

    /// The one server of this kind that all tests of a process share, with a proxy. It lives as long as the
    /// process; every test makes accounts of its own with [`Server::fresh_account`].
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; the next call tries again.
    pub async fn shared(kind: ServerKind) -> Result<&'static Self, StartError> {
        static EMBEDDED: OnceCell<Server> = OnceCell::const_new();
        static PROSODY: OnceCell<Server> = OnceCell::const_new();
        static EJABBERD: OnceCell<Server> = OnceCell::const_new();
        let cell = match kind {
            ServerKind::Embedded => &EMBEDDED,
            ServerKind::Prosody => &PROSODY,
            ServerKind::Ejabberd => &EJABBERD,
        };
        cell.get_or_try_init(|| Self::start(kind, Setup::new().with_proxy()))
            .await
    }

    /// Which server this is.
    pub fn kind(&self) -> ServerKind {
        match self.running {
            Running::Embedded(_) => ServerKind::Embedded,
            Running::Prosody(_) => ServerKind::Prosody,
            Running::Ejabberd(_) => ServerKind::Ejabberd,
        }
    }

    /// The domain that it serves, and that its certificate is for.
    pub fn domain(&self) -> &BareJid {
        &self.domain
    }

    /// Its room service (XEP-0045): everybody may make rooms there, and none outlives the server.
    ///
    /// Nobody there is limited in how much he says, nor by [`Setup::with_stock_limits`] beyond what
    /// that does to his own stream.
    pub fn rooms(&self) -> &BareJid {
        &self.rooms
    }

    /// Where it waits for clients that then ask for TLS (RFC 6120 §5).
    pub fn address(&self) -> SocketAddr {
        match &self.running {
            Running::Embedded(server) => server.address(),
            Running::Prosody(server) => server.address(),
            Running::Ejabberd(server) => server.address(),
        }
    }

    /// Where it waits for clients that begin with TLS (XEP-0368).
    pub fn direct_tls_address(&self) -> SocketAddr {
        match &self.running {
            Running::Embedded(server) => server.direct_tls_address(),
            Running::Prosody(server) => server.direct_tls_address(),
            Running::Ejabberd(server) => server.direct_tls_address(),
        }
    }

    /// Where the proxy for bytestreams waits, if the server [has one](Setup::with_proxy).
    pub fn proxy_address(&self) -> Option<SocketAddr> {
        match &self.running {
            Running::Embedded(server) => server.proxy_address(),
            Running::Prosody(server) => server.proxy_address(),
            Running::Ejabberd(server) => server.proxy_address(),
        }
    }

    /// The root certificate that clients are to trust.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// Where a real server keeps its files. The folder goes with the server.
    pub fn folder(&self) -> Option<&Path> {
        Some(self.process()?.folder())
    }

    /// What a real server has logged: all of it, or the beginning and the end.
    pub fn log(&self) -> Option<String> {
        Some(self.process()?.log())
    }

    fn process(&self) -> Option<&Supervised> {
        match &self.running {
            Running::Embedded(_) => None,
            Running::Prosody(server) => Some(server.process()),
            Running::Ejabberd(server) => Some(server.process()),
        }
    }

    /// Makes an account, which can be used at once; a few milliseconds on every kind.
    ///
    /// # Errors
    ///
    /// See [`AccountError`]; a name that is taken is [`AccountError::Exists`].
    pub async fn add_account(&self, name: &str, password: &str) -> Result<Account, AccountError> {
        // Built from parts: an `@` or a `/` in a name would else be taken for a separator.
        let node =
            NodePart::new(name).map_err(|why| AccountError::Invalid(format!("{name}: {why}")))?;
        let password = stringprep::saslprep(password)
            .map_err(|why| AccountError::Invalid(format!("password of {name}: {why}")))?;
        if password.is_empty() {
            return Err(AccountError::Invalid(format!("{name} has no password")));
        }
        let jid = BareJid::from_parts(Some(&node), self.domain.domain());
        match &self.running {
            Running::Embedded(server) => server.add_account(&jid, &password)?,
            Running::Prosody(server) => server.add_account(&jid, node.as_str(), &password)?,
            Running::Ejabberd(server) => {
                server.add_account(&jid, node.as_str(), &password).await?;
            }
        }
        Ok(Account {
            jid,
            password: password.into_owned(),
        })
    }

    /// Makes an account that nobody else uses; its name begins with `name`.
    ///
    /// # Errors
    ///
    /// As [`Server::add_account`].
    pub async fn fresh_account(&self, name: &str) -> Result<Account, AccountError> {
        let name = format!("{name}-{:08x}", rand::random::<u32>());
        let password = format!("{:016x}", rand::random::<u64>());
        self.add_account(&name, &password).await
    }

    /// Makes the embedded server forget a room without a word to its occupants, as happens when
    /// a service fails, and says whether there was such a room. The others cannot: there is none.
    pub fn forget_room(&self, room: &BareJid) -> bool {
        match &self.running {
            Running::Embedded(server) => server.forget_room(room),
            Running::Prosody(_) | Running::Ejabberd(_) => false,
        }
    }

    /// Kills the server: nobody is told, connections break, those through its proxy too, and
    /// nobody listens any more until it is [restarted](Self::restart). Nothing happens to one
    /// that is dead already.
    ///
    /// Accounts and rosters stay. For their sake ejabberd is left alive until it has written them to its
    /// disk, which it does two seconds later, and for half a minute at most.
    ///
    /// # Errors
    ///
    /// When the process does not end within half a minute.
    pub async fn kill(&mut self) -> io::Result<()> {
        let addresses = match &self.running {
            Running::Embedded(server) => server.addresses(),
            Running::Prosody(server) => server.addresses(),
            Running::Ejabberd(server) => server.addresses(),
        };
        match &mut self.running {
            Running::Embedded(server) => server.kill(),
            Running::Prosody(server) => server.process_mut().kill().await?,
            Running::Ejabberd(server) => server.kill().await?,
        }
        if self.keepers.is_empty() {
            self.keepers = probe::keep(&addresses);
        }
        Ok(())
    }

    /// Starts the server again, on the same ports and with the same accounts, and waits until
    /// clients can log in. One that still runs is killed first.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; it may be tried again.
    pub async fn restart(&mut self) -> Result<(), StartError> {
        let kill = self.kill().await;
        kill.map_err(StartError::io("killing the server"))?;
        let (kind, domain, ca) = (self.kind(), &self.domain, &self.ca);
        match &mut self.running {
            Running::Embedded(server) => server.restart()?,
            Running::Prosody(server) => {
                let addresses = server.addresses();
                probe::restart(kind, domain, ca, server.process_mut(), &addresses).await?;
            }
            Running::Ejabberd(server) => {
                let addresses = server.addresses();
                probe::restart(kind, domain, ca, server.process_mut(), &addresses).await?;
            }
        }
        self.keepers.clear();
        Ok(())
    }

    /// Stops the server. When this returns there is no process and no folder of it any more.
    pub async fn stop(self) {
        let stopping = tokio::task::spawn_blocking(move || drop(self));
        // Only a panic could come back, and that has been reported where it happened.
        let _ = stopping.await;
    }
}

/// An account on a [`Server`].
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its bare JID.
    pub jid: BareJid,
    /// Its password, prepared as RFC 4013 has it.
    pub password: String,
}

/// Without the password: what is shown may end in a log.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Account");
        shown.field("jid", &self.jid).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Running {
    Embedded(Embedded),
    Prosody(Prosody),
    Ejabberd(Ejabberd),
}
