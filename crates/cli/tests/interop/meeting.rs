//! Where two programs meet: a server, its proxy, and what is to carry the bytes.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tubes_server::{Account, Server, ServerKind};

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Ibb,
    Socks5Direct,
    Socks5Proxy,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Ibb, Self::Socks5Direct, Self::Socks5Proxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ibb => "ibb",
            Self::Socks5Direct => "socks5-direct",
            Self::Socks5Proxy => "socks5-proxy",
        }
    }
}

/// Where two programs meet.
pub(crate) struct Meeting {
    pub(crate) server: &'static Server,
    pub(crate) transport: Transport,
    proxy: SocketAddr,
    deadline: Duration,
    folder: TempDir,
}

impl Meeting {
    /// On the server that all tests share; none where it is not installed.
    pub(crate) async fn on(kind: ServerKind, transport: Transport) -> Option<Self> {
        if !kind.wanted().unwrap() {
            return None;
        }
        let server = Server::shared(kind).await.unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(CA), server.ca().pem()).unwrap();
        Some(Self {
            server,
            transport,
            proxy: server.proxy_address().expect("a shared server has a proxy"),
            deadline: DEADLINE,
            folder,
        })
    }

    /// Tells the programs that the proxy is here.
    pub(crate) fn with_proxy(self, proxy: SocketAddr) -> Self {
        Self { proxy, ..self }
    }

    /// How long each program waits for the other.
    pub(crate) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// An account that nobody else uses.
    pub(crate) async fn account(&self) -> Account {
        self.server.fresh_account("interop").await.unwrap()
    }

    /// How a driver logs in with this account, and what else it needs to know.
    pub(crate) fn options(&self, account: &Account) -> Vec<String> {
        let ca = self.folder.path().join(CA);
        let options = [
            ("--jid", account.jid.to_string()),
            ("--password", account.password.clone()),
            ("--server", self.server.address().to_string()),
            ("--ca", ca.to_string_lossy().into_owned()),
            (
                "--proxy",
                format!("proxy.{}={}", self.server.domain(), self.proxy),
            ),
            ("--transport", self.transport.name().to_owned()),
            ("--deadline", self.deadline.as_secs().to_string()),
        ];
        let options = options.into_iter();
        options
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }
}

/// The certificate to trust, in the meeting's folder.
const CA: &str = "ca.pem";

/// It counts from before a login, and the other program may have to be compiled meanwhile. A transfer takes
/// two seconds; what hangs is noticed by whoever reads the programs' lines.
const DEADLINE: Duration = Duration::from_secs(300);
