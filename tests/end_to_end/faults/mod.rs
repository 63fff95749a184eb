//! Every fault at every step of a tube's life, over real servers.
//!
//! The sessions are not encrypted, so that the links can pick single stanzas. Many pairs meet
//! their faults at the same time: most of what they do is to wait.

mod pair;
mod step;

use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tubes_server::{Server, ServerKind, Setup};
use tubes_testkit::{Fate, Step};

use crate::stage::{log, patiently};
use pair::{Pair, Whose};
use step::CERTAIN;

/// Makes a test for each kind of server.
macro_rules! on_each_server_in_clear {
    ($($name:ident: $fates:expr;)+) => {
        mod embedded { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            meet(ServerKind::Embedded, $fates).await;
        })+ }
        mod prosody { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            meet(ServerKind::Prosody, $fates).await;
        })+ }
        mod ejabberd { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            meet(ServerKind::Ejabberd, $fates).await;
        })+ }
    };
}

on_each_server_in_clear! {
    a_connection_is_cut_at_a_stanza: [Fate::Cut, Fate::CutAfter];
    a_stanza_ends_its_receivers_session: [Fate::Garble];
    a_stanza_is_late_or_lost: [Fate::Delay(Duration::from_secs(2)), Fate::Drop];
    a_stanza_comes_twice_or_is_overtaken: [Fate::Duplicate, Fate::HoldBack];
    a_stanza_comes_with_something_else_in_it:
        [Fate::Replace("<other xmlns='urn:example:other'/>".parse().unwrap())];
}

async fn meet(kind: ServerKind, fates: impl IntoIterator<Item = Fate>) {
    log();
    if !kind.wanted().unwrap() {
        return;
    }
    let server = patiently("the server starts", in_clear(kind)).await;
    let mut meetings = JoinSet::new();
    for fate in fates {
        for whose in [Whose::Alices, Whose::Fernands] {
            // Each lost connection makes the next pause before reconnecting longer.
            for steps in CERTAIN.chunks(3) {
                meetings.spawn(meet_at(server, fate.clone(), whose, steps));
            }
        }
    }
    while let Some(met) = meetings.join_next().await {
        met.unwrap();
    }
}

/// The server of this kind that all these tests share; as long as the process.
async fn in_clear(kind: ServerKind) -> &'static Server {
    static EMBEDDED: OnceCell<Server> = OnceCell::const_new();
    static PROSODY: OnceCell<Server> = OnceCell::const_new();
    static EJABBERD: OnceCell<Server> = OnceCell::const_new();
    let cell = match kind {
        ServerKind::Embedded => &EMBEDDED,
        ServerKind::Prosody => &PROSODY,
        ServerKind::Ejabberd => &EJABBERD,
    };
    let setup = Setup::new().without_required_encryption();
    let starting = || async { Server::start(kind, setup).await.unwrap() };
    cell.get_or_init(starting).await
}

async fn meet_at(server: &Server, fate: Fate, whose: Whose, steps: &'static [Step]) {
    let mut pair = Pair::on(server).await;
    for step in steps {
        let cell = format!("{fate:?} at {step:?} on {whose:?} link, {}", server.kind());
        pair.meet(*step, fate.clone(), whose, &cell).await;
    }
    pair.leave().await;
}
