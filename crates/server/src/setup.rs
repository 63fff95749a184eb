//! How a server is to be: its domain, its address, its accounts, its limits, its proxy.

use std::{fmt, net::Ipv4Addr};

use xmpp_parsers::jid::BareJid;

/// How a server is to be.
#[derive(Clone)]
pub struct Setup {
    pub(crate) domain: String,
    pub(crate) host: Ipv4Addr,
    pub(crate) accounts: Vec<(String, String)>,
    pub(crate) stock_limits: bool,
    pub(crate) plain: bool,
    pub(crate) stanza_size: usize,
    pub(crate) encryption: Encryption,
    pub(crate) proxy: bool,
    pub(crate) large_reads: bool,
}

/// Whether a client may do without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Offered,
    Required,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            domain: DOMAIN.to_owned(),
            host: Ipv4Addr::LOCALHOST,
            accounts: Vec::new(),
            stock_limits: false,
            plain: false,
            stanza_size: STANZA_SIZE,
            encryption: Encryption::Required,
            proxy: false,
            large_reads: false,
        }
    }
}

/// Without the passwords: what is shown may end in a log.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.accounts.iter().map(|(name, _)| name).collect();
        f.debug_struct("Setup")
            .field("domain", &self.domain)
            .field("host", &self.host)
            .field("accounts", &names)
            .field("stock_limits", &self.stock_limits)
            .field("plain", &self.plain)
            .field("stanza_size", &self.stanza_size)
            .field("encryption", &self.encryption)
            .field("proxy", &self.proxy)
            .field("large_reads", &self.large_reads)
            .finish()
    }
}

impl Setup {
    /// A server for `tubes.test` without accounts and without rate limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves this domain instead of `tubes.test`.
    #[must_use]
    pub fn with_domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// Listens at this address of the machine instead of 127.0.0.1, and has its proxy announce it.
    #[must_use]
    pub fn with_host(mut self, host: Ipv4Addr) -> Self {
        self.host = host;
        self
    }

    /// Begins with one more account.
    #[must_use]
    pub fn with_account(mut self, name: &str, password: &str) -> Self {
        self.accounts.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Begins with these accounts, too: `(local part, password)`.
    #[must_use]
    pub fn with_accounts(mut self, accounts: &[(&str, &str)]) -> Self {
        for (name, password) in accounts {
            self = self.with_account(name, password);
        }
        self
    }

    /// Leaves the rate limits on that Debian's configuration comes with: Prosody 10 kB/s with
    /// 2 s of burst, ejabberd 3000 B/s with a burst of 20,000 B. The embedded server has none.
    #[must_use]
    pub fn with_stock_limits(mut self) -> Self {
        self.stock_limits = true;
        self
    }

    /// Offers the mechanism PLAIN beside SCRAM; under TLS only, except that ejabberd offers it
    /// to all who are let in.
    #[must_use]
    pub fn with_plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Lets clients in that do not ask for TLS, so that what they say can be looked at and
    /// interfered with. It is still offered.
    #[must_use]
    pub fn without_required_encryption(mut self) -> Self {
        self.encryption = Encryption::Offered;
        self
    }

    /// Ends the stream of a client that sends a stanza of more than so many bytes, instead of
    /// the 262,144 that all three servers have by default.
    #[must_use]
    pub fn with_stanza_size(mut self, bytes: usize) -> Self {
        self.stanza_size = bytes;
        self
    }

    /// Has Prosody read 64 KiB from a client at a time, instead of 4096 bytes
    /// (`network_default_read_size`); changes nothing in the others.
    ///
    /// A session of Prosody 0.12.3 that lost its connection when half a stanza was read can be
    /// resumed, and is deaf from then on: it goes on with the parser of the lost connection. A busy
    /// server that reads 4096 bytes at a time may be in that state whenever a connection breaks.
    #[must_use]
    pub fn with_large_reads(mut self) -> Self {
        self.large_reads = true;
        self
    }

    /// Offers a proxy for SOCKS5 bytestreams (XEP-0065 §6) at `proxy.` and the domain, on a port
    /// of its own: [`Server::proxy_address`](crate::Server::proxy_address).
    ///
    /// None of the three limits its rate. Prosody's withholds the end of a burst: of more than
    /// 4096 bytes that it reads at once, the rest waits until more comes or the sender closes.
    #[must_use]
    pub fn with_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }
}

/// What the proxy of a domain is called.
pub(crate) fn proxy_name(domain: &BareJid) -> String {
    format!("proxy.{domain}")
}

/// What the room service of a domain is called (XEP-0045).
pub(crate) fn rooms_name(domain: &BareJid) -> String {
    format!("rooms.{domain}")
}

/// A domain that no resolver will ever know (RFC 6761 §6.2).
const DOMAIN: &str = "tubes.test";

/// What Prosody and ejabberd take out of the box.
const STANZA_SIZE: usize = 262_144;
