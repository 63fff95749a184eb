//! Every fault at every step of a tube's life, over real servers and each transport.
//!
//! The sessions are not encrypted, so that the links can pick single stanzas. Many pairs meet
//! their faults at the same time: most of what they do is to wait.

mod pair;
mod step;

use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tubes::TransportName;
use tubes_server::{Server, ServerKind, Setup};
use tubes_testkit::{Fate, Step};

use crate::stage::set_up;
use pair::{Pair, Whose};
use step::certain;

/// Makes a test for each kind of server.
macro_rules! on_each_server_in_clear {
    ($transport:ident: $($name:ident: $fates:expr;)+) => {
        on_each_server_in_clear!(embedded Embedded, $transport: $($name: $fates;)+);
        on_each_server_in_clear!(prosody Prosody, $transport: $($name: $fates;)+);
        on_each_server_in_clear!(ejabberd Ejabberd, $transport: $($name: $fates;)+);
    };
    ($module:ident $kind:ident, $transport:ident: $($name:ident: $fates:expr;)+) => {
        mod $module { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
            meet(ServerKind::$kind, TransportName::$transport, $fates).await;
        })+ }
    };
}

on_each_server_in_clear! { Ibb:
    a_connection_is_cut_at_a_stanza: [Fate::Cut, Fate::CutAfter];
    a_stanza_ends_its_receivers_session: [Fate::Garble];
    a_stanza_is_late_or_lost: [Fate::Delay(Duration::from_secs(2)), Fate::Drop];
    a_stanza_comes_twice_or_is_overtaken: [Fate::Duplicate, Fate::HoldBack];
    a_stanza_comes_with_something_else_in_it: [replaced()];
}

mod socks5_direct {
    use super::*;
    on_each_server_in_clear! { Socks5Direct: anything_befalls_a_stanza: every_fate(); }
}

mod socks5_proxy {
    use super::*;
    on_each_server_in_clear! { Socks5Proxy: anything_befalls_a_stanza: every_fate(); }
}

fn every_fate() -> [Fate; 8] {
    [
        Fate::Cut,
        Fate::CutAfter,
        Fate::Delay(Duration::from_secs(2)),
        Fate::Drop,
        Fate::Duplicate,
        Fate::Garble,
        Fate::HoldBack,
        replaced(),
    ]
}

fn replaced() -> Fate {
    Fate::Replace("<other xmlns='urn:example:other'/>".parse().unwrap())
}

async fn meet(kind: ServerKind, transport: TransportName, fates: impl IntoIterator<Item = Fate>) {
    set_up();
    if !kind.wanted().unwrap() {
        return;
    }
    let server = in_clear(kind).await;
    let mut meetings = JoinSet::new();
    for fate in fates {
        for ladder in ladders(transport) {
            for whose in [Whose::Alices, Whose::Fernands] {
                // Each lost connection makes the next pause before reconnecting longer.
                for steps in certain(transport, whose).chunks(2) {
                    meetings.spawn(meet_at(server, ladder, fate.clone(), whose, steps));
                }
            }
        }
    }
    while let Some(met) = meetings.join_next().await {
        met.unwrap();
    }
}

/// What carries bytes: this transport alone, and with another one to fall back to.
fn ladders(transport: TransportName) -> &'static [&'static [TransportName]] {
    use TransportName::{Ibb, Socks5Direct, Socks5Proxy};
    match transport {
        Socks5Direct => &[&[Socks5Direct], &[Socks5Direct, Ibb]],
        Socks5Proxy => &[&[Socks5Proxy], &[Socks5Proxy, Ibb]],
        _ => &[&[Ibb]],
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
    let setup = Setup::new().with_proxy().without_required_encryption();
    let starting = || async { Server::start(kind, setup).await.unwrap() };
    cell.get_or_init(starting).await
}

async fn meet_at(
    server: &Server,
    ladder: &'static [TransportName],
    fate: Fate,
    whose: Whose,
    steps: &'static [Step],
) {
    let mut pair = Pair::on(server, ladder).await;
    for step in steps {
        let kind = server.kind();
        let cell = format!("{fate:?} at {step:?} on {whose:?} link, {kind}, over {ladder:?}");
        pair.meet(*step, fate.clone(), whose, &cell).await;
    }
    pair.leave().await;
}
