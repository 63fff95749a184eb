//! Alice and Fernand, and how bytes go from one to the other.

use std::net::{Ipv4Addr, SocketAddr};

use tubes::{
    Access, Account, Address, BareJid, Direction, Encryption, Event, Events, Offer, TransportName,
    Tubes,
};
use tubes_server::{Server, ServerKind};

/// How bytes are carried.
#[derive(Clone, Copy)]
pub struct Way {
    pub transport: TransportName,
    pub encryption: Encryption,
}

/// Plain and encrypted side by side.
pub const WAYS: [Way; 6] = {
    use Encryption::{Off, Required};
    use TransportName::{Ibb, Socks5Direct, Socks5Proxy};
    const fn way(transport: TransportName, encryption: Encryption) -> Way {
        Way {
            transport,
            encryption,
        }
    }
    [
        way(Socks5Direct, Off),
        way(Socks5Direct, Required),
        way(Socks5Proxy, Off),
        way(Socks5Proxy, Required),
        way(Ibb, Off),
        way(Ibb, Required),
    ]
};

impl Way {
    /// What it is called on a server.
    pub fn name(self, kind: ServerKind) -> String {
        let encryption = match self.encryption {
            Encryption::Off => "plain",
            _ => "encrypted",
        };
        format!("{}/{encryption}/{kind}", self.transport)
    }
}

/// Two contacts. Fernand has what Alice offers, and takes her files.
pub struct Pair {
    pub alice: Tubes,
    pub fernand: Tubes,
    pub fernand_jid: BareJid,
    pub fernand_events: Events,
}

impl Pair {
    pub async fn new(server: &Server, way: Way) -> Self {
        let (alice, alice_jid, _) = log_in(server, "alice", way).await;
        let (fernand, fernand_jid, fernand_events) = log_in(server, "fernand", way).await;
        alice.befriend(&fernand_jid).await;
        fernand.befriend(&alice_jid).await;
        Self {
            alice,
            fernand,
            fernand_jid,
            fernand_events,
        }
    }

    /// A tube to a service of Alice's: where Fernand's programs reach it.
    pub async fn tube(&mut self, service: Address) -> SocketAddr {
        let offer = Offer::new(self.fernand_jid.clone(), "x-bench", service);
        self.alice.offer(offer).await.unwrap();
        let tube = loop {
            if let Event::TubeOffered {
                tube,
                direction: Direction::In,
                ..
            } = self.fernand_events.next().await.unwrap()
            {
                break tube;
            }
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        let accepted = self.fernand.accept(tube, listen, Access::Localhost).await;
        let address = accepted.unwrap().to_string();
        address.trim_start_matches("tcp:").parse().unwrap()
    }

    pub async fn close(self) {
        self.alice.leave().await;
        self.fernand.leave().await;
    }
}

async fn log_in(server: &Server, name: &str, way: Way) -> (Tubes, BareJid, Events) {
    let account = server.fresh_account(name).await.unwrap();
    let address = server.address();
    let credentials = Account::new(account.jid.clone().into(), account.password)
        .and_then(|account| account.with_server(&address.ip().to_string(), address.port()))
        .and_then(|account| account.with_roots_pem(server.ca().pem().as_bytes()))
        .unwrap();
    let (tubes, events) = Tubes::builder(credentials)
        .transports([way.transport])
        .keys_in(concat!(env!("CARGO_TARGET_TMPDIR"), "/keys"))
        .encryption(way.encryption)
        .receive_files()
        .start()
        .await
        .unwrap();
    (tubes, account.jid, events)
}
