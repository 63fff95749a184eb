//! Two machines and a server.
//!
//! ```text
//!   alice ── 10.64.1.0/24 ── server ── 10.64.2.0/24 ── fernand
//!     └───────────── the cable: 10.64.3.0/24, or fd64::/64 ──┘
//! ```
//!
//! The server passes nothing on from one machine to the other but what goes through it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tubes_server::{Server, ServerKind, Setup};

use crate::namespace::{self, Namespace};
use crate::program::Account;

/// What the cable between the two machines carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cable {
    V4,
    /// IPv6 alone.
    V6,
}

/// The namespaces, and what runs in that of the server.
pub(crate) struct Network {
    pub(crate) alice: Machine,
    pub(crate) fernand: Machine,
    pub(crate) server: Arc<Server>,
    pub(crate) at_server: Namespace,
}

/// A machine, and the account of whoever sits there.
pub(crate) struct Machine {
    pub(crate) namespace: Namespace,
    pub(crate) account: Account,
}

impl Network {
    /// Around the embedded server; none where there are no namespaces.
    pub(crate) async fn with(cable: Cable) -> Option<Self> {
        Self::around(ServerKind::Embedded, cable).await
    }

    /// None where there are no namespaces, or no such server.
    pub(crate) async fn around(kind: ServerKind, cable: Cable) -> Option<Self> {
        if !namespace::wanted() || !kind.wanted().unwrap() {
            return None;
        }
        let [server, alice, fernand] = [Namespace::new(), Namespace::new(), Namespace::new()];
        server.run(&format!("ip address add {SERVER}/32 dev lo"));
        for (machine, net) in [(&alice, 1), (&fernand, 2)] {
            let (there, pid) = (format!("machine{net}"), machine.pid());
            server.run(&format!(
                "ip link add {there} type veth peer name server netns {pid}"
            ));
            bring_up(&server, &there, &format!("10.64.{net}.1/24"));
            bring_up(machine, "server", &format!("10.64.{net}.2/24"));
            machine.run(&format!("ip route add {SERVER} via 10.64.{net}.1"));
        }
        alice.run(&format!(
            "ip link add {CABLE} type veth peer name {CABLE} netns {}",
            fernand.pid()
        ));
        let ends = match cable {
            Cable::V4 => ["10.64.3.1/24", "10.64.3.2/24"],
            // Nobody has the same address, and looking for one who does takes a second.
            Cable::V6 => ["fd64::1/64 nodad", "fd64::2/64 nodad"],
        };
        for (machine, address) in [&alice, &fernand].into_iter().zip(ends) {
            bring_up(machine, CABLE, address);
        }
        for machine in [&alice, &fernand] {
            until_up(machine, CABLE);
        }
        if cable == Cable::V6 {
            // Whoever speaks first over a new cable waits a second for the other to be found.
            let found = alice.inside(|| TcpStream::connect("[fd64::2]:9"));
            found.await.expect_err("nobody listens there");
        }
        let started = server.inside(move || async move {
            let setup = Setup::new().with_host(SERVER).with_proxy();
            let server = Arc::new(Server::start(kind, setup).await.unwrap());
            let alice = Account::new(&server, "alice").await;
            let fernand = Account::new(&server, "fernand").await;
            (server, alice, fernand)
        });
        let (running, of_alice, of_fernand) = started.await;
        let machine = |namespace, account| Machine { namespace, account };
        Some(Self {
            alice: machine(alice, of_alice),
            fernand: machine(fernand, of_fernand),
            server: running,
            at_server: server,
        })
    }
}

fn bring_up(namespace: &Namespace, interface: &str, address: &str) {
    namespace.run(&format!("ip address add dev {interface} {address}"));
    namespace.run(&format!("ip link set {interface} up"));
}

/// The kernel notices a moment later that both ends of a cable are there.
fn until_up(namespace: &Namespace, interface: &str) {
    let begun = Instant::now();
    let state = format!("ip -oneline link show dev {interface}");
    while !namespace.run(&state).contains("state UP") {
        assert!(begun.elapsed() < CARRIER, "{interface} does not come up");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// For both ends to be noticed.
const CARRIER: Duration = Duration::from_secs(60);

/// What the cable is called at both ends.
pub(crate) const CABLE: &str = "cable";

/// Of no net that the machines are in.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
