//! Alice offers, Fernand accepts, each in a process of its own; Carol is up to no good.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::{MutexGuard, OnceCell};
use tokio::task::JoinSet;
use tubes_server::{Server, ServerKind, Setup};

use crate::attacker::Attacker;
use crate::plan::Plan;
use crate::program::{Account, Program, words};
use crate::vitals::Vitals;

/// What a test is made of.
pub(crate) struct Scene {
    pub(crate) server: &'static Server,
    /// Alice's, which offers an echo to Fernand or in the room; Fernand's, which uses it; and perhaps
    /// one more of Fernand's, which receives files of contacts.
    pub(crate) programs: Vec<Program>,
    /// Where Fernand's programs find the tube.
    pub(crate) tube: SocketAddr,
    /// Programs that come and go through it, if some do.
    pub(crate) visitors: JoinSet<()>,
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
    /// As what it was set.
    pub(crate) plan: Plan,
    pub(crate) accounts: [Account; 2],
    /// As long as it measures something, no other test does.
    pub(crate) alone: Option<MutexGuard<'static, ()>>,
}

/// Alice's process, and Fernand's, with a tube between them.
pub(crate) struct Pair {
    pub(crate) programs: Vec<Program>,
    pub(crate) tube: SocketAddr,
    /// Programs that come and go through it, if some do.
    pub(crate) visitors: JoinSet<()>,
    /// Of the tube.
    pub(crate) number: u64,
    /// Their JIDs.
    pub(crate) names: [String; 2],
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

    /// Starts the process that receives files, if there is to be one.
    pub(crate) async fn receive(&mut self) {
        let into = self.received();
        let Some(receive) = self.plan.receive(&into.to_string_lossy()) else {
            return;
        };
        std::fs::create_dir(&into).unwrap();
        let receive = self.at_fernands(&words(&receive), "tablet");
        let mut receiving = Program::start(&words(&receive));
        let online = receiving.event("online").await;
        self.tablet = Some(online["jid"].as_str().unwrap().to_owned());
        self.programs.push(receiving);
    }
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
