//! Alice offers, Fernand accepts, each in a process of its own; Carol is up to no good.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tubes_server::{Server, ServerKind, Setup};

use crate::attacker::{Attacker, befriend};
use crate::honest::echo;
use crate::program::{Account, Program, words};
use crate::vitals::Vitals;

/// What a test is made of. It has the machine for itself as long as it has this.
pub(crate) struct Scene {
    pub(crate) server: &'static Server,
    /// Alice's, which offers an echo to Fernand or in the room; Fernand's, which uses it; and perhaps
    /// one more of Fernand's, which receives files of contacts.
    pub(crate) programs: Vec<Program>,
    /// Where Fernand's programs find the tube.
    pub(crate) tube: SocketAddr,
    /// By which name Alice's process is reached: in a room, the name there.
    pub(crate) alice: String,
    /// The same of Fernand's that uses the tube.
    pub(crate) fernand: String,
    /// The same of the one that receives files, if there is one.
    pub(crate) tablet: Option<String>,
    /// The number of Alice's tube.
    pub(crate) number: u64,
    pub(crate) carol: Attacker,
    /// With what Carol logs in again.
    pub(crate) password: String,
    /// The room that all of them are in.
    pub(crate) room: Option<String>,
    pub(crate) fierceness: Fierceness,
    accounts: [Account; 2],
    _alone: MutexGuard<'static, ()>,
}

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
    standing: Standing,
    transport: &'static str,
    words: Vec<String>,
    /// Of the one that accepts.
    accepting: Vec<String>,
    /// Of one that receives files.
    receiving: Option<Vec<String>>,
    fierceness: Fierceness,
    server: Option<&'static Server>,
    /// What Fernand's processes take for the server.
    through: Option<SocketAddr>,
}

/// How much Carol does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fierceness {
    /// How often she strikes as fast as she can.
    pub(crate) burst: u64,
    /// From one strike to the next, later.
    pub(crate) pace: Duration,
}

impl Plan {
    pub(crate) fn new(standing: Standing) -> Self {
        Self {
            standing,
            transport: match standing {
                // For Carol's own connections.
                Standing::Occupant => "socks5-direct,ibb",
                _ => "socks5-direct",
            },
            words: Vec::new(),
            accepting: Vec::new(),
            receiving: None,
            fierceness: ONE_BY_ONE,
            server: None,
            through: None,
        }
    }

    /// The honest tube is carried by this instead of direct connections.
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
        let pace = HEAVY;
        self.fierceness = Fierceness { burst, pace };
        self
    }

    /// A strike is next to nothing: Carol strikes so often at once.
    pub(crate) fn with_light_strikes(mut self, burst: u64) -> Self {
        self.fierceness.burst = burst;
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
        let alone = alone().await;
        let server = match self.server {
            Some(server) => server,
            None => server().await,
        };
        let alice = Account::new(server, "alice").await;
        let mut fernand = Account::new(server, "fernand").await;
        if let Some(address) = self.through {
            fernand = fernand.through(address);
        }
        let accounts = [
            alice.by(self.transport).with_resource("laptop"),
            fernand.by(self.transport).with_resource("phone"),
        ];
        let made = server.fresh_account("carol").await.unwrap();
        let mut carol = Attacker::log_in(server, made.jid.as_str(), &made.password, "carol").await;
        carol.come_online().await;
        if self.standing == Standing::Contact {
            for account in &accounts {
                let mut desk = desk(server, account).await;
                befriend(&mut desk, &mut carol).await;
            }
        }
        let room = format!("{}@{}", node(&accounts[0].jid), server.rooms());
        let mut offering = Program::start(&words(&self.offer(&accounts, &room).await));
        let alice = text(&offering.event("online").await["jid"]);
        if self.standing == Standing::Occupant {
            // Until then the room is not there for others.
            offering.event("tube_offered").await;
        }
        let mut accepting = Program::start(&words(&self.accept(&accounts, &room)));
        let fernand = text(&accepting.event("online").await["jid"]);
        let number = accepting.event("tube_offered").await["tube"].as_u64();
        let tube = address(&accepting.event("listening").await);
        let mut scene = Scene {
            server,
            programs: vec![offering, accepting],
            tube,
            alice,
            fernand,
            tablet: None,
            number: number.unwrap(),
            carol,
            password: made.password,
            room: None,
            fierceness: self.fierceness,
            accounts,
            _alone: alone,
        };
        if self.standing == Standing::Occupant {
            scene.carol.enter(&room, "carol").await;
            scene.alice = format!("{room}/alice");
            scene.fernand = format!("{room}/fernand");
            scene.room = Some(room);
        }
        self.receive(&mut scene).await;
        scene
    }

    async fn offer(&self, [alice, fernand]: &[Account; 2], room: &str) -> Vec<String> {
        let echo = echo().await.to_string();
        let to = match self.standing {
            Standing::Occupant => {
                vec![
                    "--room",
                    room,
                    "--nick",
                    "alice",
                    "--encryption",
                    "preferred",
                ]
            }
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

    async fn receive(&self, scene: &mut Scene) {
        let Some(more) = &self.receiving else {
            return;
        };
        let into = scene.received();
        std::fs::create_dir(&into).unwrap();
        let into = into.to_string_lossy();
        let receive = ["receive", "--accept-all", "--into", &into];
        let receive = [&receive[..], &words(&self.words), &words(more)].concat();
        let receive = scene.at_fernands(&receive, "tablet");
        let mut receiving = Program::start(&words(&receive));
        let tablet = text(&receiving.event("online").await["jid"]);
        scene.tablet = Some(tablet);
        scene.programs.push(receiving);
    }
}

impl Scene {
    /// The processes.
    pub(crate) fn vitals(&self) -> Vec<Vitals> {
        let pids = self.programs.iter().map(Program::pid);
        pids.map(Vitals::of).collect()
    }

    /// By which names the processes are reached.
    pub(crate) fn names(&self) -> Vec<String> {
        let tablet = self.tablet.iter();
        let all = [&self.alice, &self.fernand].into_iter().chain(tablet);
        all.cloned().collect()
    }

    /// `command` as another program of Fernand's, of this name.
    pub(crate) fn at_fernands(&self, command: &[&str], resource: &str) -> Vec<String> {
        let [_, fernand] = &self.accounts;
        let mut command = fernand.with(command);
        for word in &mut command {
            *word = word.replace("/phone", &format!("/{resource}"));
        }
        command
    }

    /// Where files are received, in a folder in which there is little else.
    pub(crate) fn received(&self) -> PathBuf {
        self.accounts[1].file("received")
    }
}

/// Another program of an account, which is the test's.
async fn desk(server: &Server, account: &Account) -> Attacker {
    let password = std::fs::read_to_string(account.file("password")).unwrap();
    let mut desk = Attacker::log_in(server, &account.jid, password.trim(), "desk").await;
    desk.come_online().await;
    desk
}

/// The server that all tests share, where clients may log in as simply as can be.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    let start = || embedded(Setup::new().with_proxy());
    SERVER.get_or_init(start).await
}

/// Another one, which has no proxy.
pub(crate) async fn server_without_proxy() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER.get_or_init(|| embedded(Setup::new())).await
}

async fn embedded(setup: Setup) -> Server {
    let setup = setup.with_plain().without_required_encryption();
    Server::start(ServerKind::Embedded, setup).await.unwrap()
}

/// Tests that measure run one at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Where programs find the tube, from a `listening` event.
fn address(listening: &Value) -> SocketAddr {
    let address = listening["address"].as_str().unwrap();
    address.strip_prefix("tcp:").unwrap().parse().unwrap()
}

fn node(jid: &str) -> &str {
    jid.split('@').next().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Strikes of one stanza: at once more than any limit allows, and then several times what servers let
/// through that limit what a client says.
const ONE_BY_ONE: Fierceness = Fierceness {
    burst: 512,
    pace: Duration::from_millis(20),
};

/// The pace where each strike opens a connection, or more than one.
const HEAVY: Duration = Duration::from_millis(200);
