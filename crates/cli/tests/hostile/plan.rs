//! How a scene is to be, and how it is set.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tubes_server::Server;

use crate::attacker::{Attacker, befriend};
use crate::honest::{come_and_go, echo};
use crate::measuring::is_measured;
use crate::program::{Account, Program, words};
use crate::scene::{Pair, Scene, server};

/// What Carol is to Alice and Fernand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Both have her in their rosters, and all see each other.
    Contact,
    /// All three are in a room, where the tube is offered to all of them. There Alice does without
    /// encryption, where the other side does.
    Occupant,
    /// Nobody knows her; she knows where they are.
    Stranger,
}

/// How a scene is to be.
pub(crate) struct Plan {
    pub(crate) standing: Standing,
    transport: &'static str,
    words: Vec<String>,
    /// Of the one that accepts.
    accepting: Vec<String>,
    /// Of one that receives files.
    receiving: Option<Vec<String>>,
    pub(crate) fierceness: Fierceness,
    /// Programs that come and go through the tube, and its twin's, all the time.
    visitors: usize,
    server: Option<&'static Server>,
    /// What Fernand's processes take for the server.
    through: Option<SocketAddr>,
}

/// How much Carol does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fierceness {
    /// How often she strikes as fast as she can.
    pub(crate) burst: u64,
    /// How often she strikes in a round, later.
    pub(crate) strikes: u32,
    /// How much longer such a round is than the shortest.
    longer: usize,
}

impl Plan {
    /// The honest tube is in-band, where it suffers from all that XMPP suffers from.
    pub(crate) fn new(standing: Standing) -> Self {
        Self {
            standing,
            transport: "ibb",
            words: Vec::new(),
            accepting: Vec::new(),
            receiving: None,
            fierceness: ONE_BY_ONE,
            visitors: 0,
            server: None,
            through: None,
        }
    }

    /// The honest tube is carried by this instead.
    pub(crate) fn by(mut self, transport: &'static str) -> Self {
        self.transport = transport;
        self
    }

    /// All processes are started with these words, too.
    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(ToString::to_string));
        self
    }

    /// Fernand's, which uses the tube, has these besides.
    pub(crate) fn accepting_with(mut self, words: &[&str]) -> Self {
        self.accepting.extend(words.iter().map(ToString::to_string));
        self
    }

    /// Another process of Fernand's receives files, with these words, into the folder of
    /// [`Scene::received`].
    pub(crate) fn receiving(mut self, words: &[&str]) -> Self {
        self.receiving = Some(words.iter().map(ToString::to_string).collect());
        self
    }

    /// A strike is many stanzas, which open something: Carol strikes so often at once, and then less often.
    pub(crate) fn with_heavy_strikes(mut self, burst: u64) -> Self {
        self.fierceness = Fierceness { burst, ..HEAVY };
        self
    }

    /// A strike is next to nothing: Carol strikes so often at once.
    pub(crate) fn with_light_strikes(mut self, burst: u64) -> Self {
        self.fierceness.burst = burst;
        self
    }

    /// So many programs come and go through the tube all the time, one after the other each, and none of
    /// them is served late.
    pub(crate) fn visited_by(mut self, visitors: usize) -> Self {
        self.visitors = visitors;
        self
    }

    /// All have their accounts there.
    pub(crate) fn on(mut self, server: &'static Server) -> Self {
        self.server = Some(server);
        self
    }

    /// Fernand's process takes whoever waits there for the server, and encrypts nothing towards it.
    pub(crate) fn through(mut self, address: SocketAddr) -> Self {
        self.through = Some(address);
        self.accepting_with(&["--tls", "none"])
    }

    /// The processes run, and the tube is there.
    pub(crate) async fn set(self) -> Scene {
        let alone = match is_measured() {
            true => Some(alone().await),
            false => None,
        };
        let accounts = self.accounts().await;
        let server = self.server().await;
        let made = server.fresh_account("carol").await.unwrap();
        let mut carol = Attacker::log_in(server, made.jid.as_str(), &made.password, "carol").await;
        carol.come_online().await;
        if self.standing == Standing::Contact {
            for account in &accounts {
                let mut desk = desk(server, account, "desk").await;
                desk.come_online().await;
                befriend(&mut desk, &mut carol).await;
            }
        }
        let Pair {
            programs,
            tube,
            visitors,
            number,
            names: [mut alice, mut fernand],
        } = self.pair(&accounts).await;
        let room = (self.standing == Standing::Occupant).then(|| room(server, &accounts));
        if let Some(room) = &room {
            carol.enter(room, "carol").await;
            (alice, fernand) = (format!("{room}/alice"), format!("{room}/fernand"));
        }
        let mut scene = Scene {
            server,
            programs,
            tube,
            visitors,
            alice,
            fernand,
            tablet: None,
            number,
            carol,
            password: made.password,
            room,
            plan: self,
            accounts,
            alone,
        };
        scene.receive().await;
        scene
    }

    /// Pieces of a round.
    pub(crate) fn round(&self) -> usize {
        let shortest = match self.transport {
            "ibb" => IN_BAND,
            _ => DIRECT,
        };
        shortest * self.fierceness.longer
    }

    /// Another two who are nobody's victims, in all else like those of the scene.
    pub(crate) async fn twin(&self) -> (Pair, [Account; 2]) {
        let accounts = self.accounts().await;
        (self.pair(&accounts).await, accounts)
    }

    async fn server(&self) -> &'static Server {
        match self.server {
            Some(server) => server,
            None => server().await,
        }
    }

    /// Fresh ones of Alice and Fernand.
    async fn accounts(&self) -> [Account; 2] {
        let server = self.server().await;
        let alice = Account::new(server, "alice").await;
        let mut fernand = Account::new(server, "fernand").await;
        if let Some(address) = self.through {
            fernand = fernand.through(address);
        }
        [
            alice.by(self.transport).with_resource("laptop"),
            fernand.by(self.transport).with_resource("phone"),
        ]
    }

    /// Alice offers, and Fernand has the tube.
    async fn pair(&self, accounts: &[Account; 2]) -> Pair {
        let room = room(self.server().await, accounts);
        let mut offering = Program::start(&words(&self.offer(accounts, &room).await));
        let alice = text(&offering.event("online").await["jid"]);
        if self.standing == Standing::Occupant {
            // Until then the room is not there for others.
            offering.event("tube_offered").await;
        }
        let mut accepting = Program::start(&words(&self.accept(accounts, &room)));
        let fernand = text(&accepting.event("online").await["jid"]);
        let number = accepting.event("tube_offered").await["tube"].as_u64();
        let tube = address(&accepting.event("listening").await);
        let mut visitors = JoinSet::new();
        (0..self.visitors).for_each(|_| drop(visitors.spawn(come_and_go(tube))));
        Pair {
            programs: vec![offering, accepting],
            tube,
            visitors,
            number: number.unwrap(),
            names: [alice, fernand],
        }
    }

    async fn offer(&self, [alice, fernand]: &[Account; 2], room: &str) -> Vec<String> {
        let echo = echo().await.to_string();
        let preferred = ["--encryption", "preferred"];
        let to = match self.standing {
            Standing::Occupant => [&["--room", room, "--nick", "alice"][..], &preferred].concat(),
            _ => vec!["--to", &fernand.jid],
        };
        let offer = ["offer", &echo, "--service", "x-echo"];
        alice.with(&[&offer[..], &to, &words(&self.words)].concat())
    }

    fn accept(&self, [alice, fernand]: &[Account; 2], room: &str) -> Vec<String> {
        let from = match self.standing {
            Standing::Occupant => vec!["--room", room, "--nick", "fernand"],
            _ => vec!["--from", &alice.jid],
        };
        let accept = ["accept", "--service", "x-echo", "--listen", "127.0.0.1:0"];
        let more = [words(&self.words), words(&self.accepting)].concat();
        fernand.with(&[&accept[..], &from, &more].concat())
    }

    /// How files are to be received, if they are.
    pub(crate) fn receive(&self, into: &str) -> Option<Vec<String>> {
        let more = self.receiving.as_ref()?;
        let receive = ["receive", "--accept-all", "--into", into].map(str::to_owned);
        Some([&receive[..], &self.words, more].concat())
    }
}

/// Another program of an account, which is the test's, and goes by this name.
pub(crate) async fn desk(server: &Server, account: &Account, name: &str) -> Attacker {
    let password = std::fs::read_to_string(account.file("password")).unwrap();
    Attacker::log_in(server, &account.jid, password.trim(), name).await
}

/// Tests that measure run one at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// One of their own, as far as they want one.
fn room(server: &Server, [alice, _]: &[Account; 2]) -> String {
    let node = alice.jid.split('@').next().unwrap();
    format!("{node}@{}", server.rooms())
}

/// Where programs find the tube, from a `listening` event.
fn address(listening: &Value) -> SocketAddr {
    let address = listening["address"].as_str().unwrap();
    address.strip_prefix("tcp:").unwrap().parse().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Strikes of one stanza: at once more than any limit allows, and then several times what servers let
/// through that limit what a client says.
const ONE_BY_ONE: Fierceness = Fierceness {
    burst: 512,
    strikes: 2,
    longer: 1,
};

/// Where each strike opens a connection, or more than one.
const HEAVY: Fierceness = Fierceness {
    burst: 0,
    strikes: 1,
    longer: 3,
};

/// Pieces of the shortest round: what takes some 40 ms where nobody else needs the processors. Where somebody
/// does, a round takes longer, and there are no more strikes in it: it is they that would weigh more.
const IN_BAND: usize = 6;
const DIRECT: usize = 256;
