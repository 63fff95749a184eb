//! SOCKS5 bytestreams (XEP-0065): a TCP connection between the two sides, or through a proxy.
//!
//! ```text
//!   Socks5 ─► attempt: requester ── <query/>: hosts ──────────────► attempt: responder
//!               │  listener: waits for DST.ADDR ◄── dials ───── course, dial
//!               │  proxies: what there is, what is known of it        │
//!               └─ ◄─────────── <streamhost-used/> ───────────────────┘
//!                          Plain · Relayed
//! ```
//!
//! - [`Socks5`]: the transport (this file), and what it is told to do (`config.rs`)
//! - what is said in stanzas (`element.rs`), the name of a stream ([`Destination`]), what only its two
//!   sides know ([`Secret`]), and the SOCKS5 handshake ([`handshake`])
//! - the requester's and the responder's attempts (`attempt/`)
//! - the socket that is dialled, shared by all bytestreams (`listener.rs`), who has not said yet what it
//!   wants (`greetings.rs`), and the addresses it has (`own.rs`)
//! - which host is dialled when ([`Course`]), and the dialling (`dial.rs`)
//! - proxies: finding, trying and ranking them (`proxies/`)
//! - open streams: as XEP-0065 has them (`plain.rs`), and framed, between two of our own kind
//!   through a proxy ([`relayed`]); how they end (`parting.rs`)

mod attempt;
mod config;
mod conversation;
mod course;
mod destination;
mod dial;
mod element;
mod greetings;
pub mod handshake;
mod listener;
mod own;
mod parting;
mod plain;
mod proxies;
pub mod relayed;
mod secret;

pub use self::config::{Reveal, Socks5};
pub use self::course::{Course, Next, Reached};
pub use self::destination::Destination;
pub use self::element::{Malformed, NS, Query, Streamhost, Used, streamhosts};
pub use self::own::Loopback;
pub use self::proxies::{KnownProxy, Verdict};
pub use self::secret::Secret;

use async_trait::async_trait;
use tubes_transport::{Attempt, ConnectError, Plan, Role, Stanzas, Transport};
use xmpp_parsers::jid::FullJid;

/// The two ways of a SOCKS5 bytestream. On the wire they are one method.
///
/// ```
/// use tubes_socks5::{Socks5, Way};
///
/// assert_eq!(Way::Direct.label(), "socks5-direct");
/// let socks5 = Socks5::new().with_ways([Way::Proxy]);
/// assert!(socks5.allows(Way::Proxy) && !socks5.allows(Way::Direct));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The responder connects to the requester.
    Direct,
    /// Both connect to a proxy.
    Proxy,
}

impl Way {
    /// Its name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Direct => "socks5-direct",
            Self::Proxy => "socks5-proxy",
        }
    }
}

#[async_trait]
impl Transport for Socks5 {
    fn namespace(&self) -> &'static str {
        NS
    }

    async fn explore(&self, account: FullJid, stanzas: Stanzas) {
        if self.allows(Way::Proxy) {
            self.proxies().explore(self, &account, &stanzas).await;
        }
    }

    async fn prepare(&self, plan: Plan) -> Result<Box<dyn Attempt>, ConnectError> {
        match plan.role {
            Role::Requester => Ok(Box::new(attempt::Requester::prepare(self, plan).await?)),
            Role::Responder => Ok(Box::new(attempt::Responder::new(self.clone(), plan))),
        }
    }
}
