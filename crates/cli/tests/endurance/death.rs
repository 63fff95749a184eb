//! Processes that are killed in the middle of their work.

use std::io::{ErrorKind, Result};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tubes_server::ServerKind;

use crate::program::{PATIENCE, Program, piped, words};
use crate::stage::{Shared, address, content, pass};

crate::on_each_server!(
    a_killed_offer_that_returns_breaks_connections_and_shares_anew,
    a_killed_accept_that_returns_breaks_connections_and_shares_anew,
    whoever_is_killed_and_stays_away_breaks_connections,
    whoever_is_killed_breaks_connections_that_do_not_need_the_session,
    connect_ends_when_the_offer_is_killed,
    a_killed_offer_ends_the_connections_over_unix_sockets,
);

async fn a_killed_offer_that_returns_breaks_connections_and_shares_anew(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    let (program, served) = shared.connection().await;
    let busy = Busy::with(program, served).await;
    kill(&shared.offering);
    shared.offer_again();
    busy.breaks(kind).await;
    closed_in_error(&mut shared.accepting).await;
    // The port stays the same.
    let listening = shared.accepting.event("listening").await;
    assert_eq!(address(&listening), shared.tube);
    works(shared).await;
}

async fn a_killed_accept_that_returns_breaks_connections_and_shares_anew(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    let (program, served) = shared.connection().await;
    let busy = Busy::with(served, program).await;
    kill(&shared.accepting);
    shared.accept_again("127.0.0.1:0");
    busy.breaks(kind).await;
    closed_in_error(&mut shared.offering).await;
    shared.tube = address(&shared.accepting.event("listening").await);
    works(shared).await;
}

async fn whoever_is_killed_and_stays_away_breaks_connections(kind: ServerKind) {
    // Side by side, because servers that hope for the dead make both last.
    tokio::join!(
        killed_offer_stays_away(kind),
        killed_accept_stays_away(kind)
    );
}

async fn killed_offer_stays_away(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    offer_is_killed(&mut shared, kind).await;
    shared.offer_again();
    shared.accepting.event("listening").await;
    works(shared).await;
}

async fn killed_accept_stays_away(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    accept_is_killed(&mut shared, kind).await;
    shared.accept_again("127.0.0.1:0");
    shared.tube = address(&shared.accepting.event("listening").await);
    works(shared).await;
}

async fn whoever_is_killed_breaks_connections_that_do_not_need_the_session(kind: ServerKind) {
    for transport in ["socks5-direct", "socks5-proxy"] {
        let Some(mut shared) = Shared::over(kind, transport).await else {
            return;
        };
        offer_is_killed(&mut shared, kind).await;
        let Some(mut shared) = Shared::over(kind, transport).await else {
            return;
        };
        accept_is_killed(&mut shared, kind).await;
    }
}

/// Alice's process dies, and Fernand's program and process are told.
async fn offer_is_killed(shared: &mut Shared, kind: ServerKind) {
    let (program, served) = shared.connection().await;
    let busy = Busy::with(program, served).await;
    kill(&shared.offering);
    busy.breaks(kind).await;
    closed_in_error(&mut shared.accepting).await;
}

/// Fernand's process dies, and Alice's service and process are told.
async fn accept_is_killed(shared: &mut Shared, kind: ServerKind) {
    let (program, served) = shared.connection().await;
    let busy = Busy::with(served, program).await;
    kill(&shared.accepting);
    busy.breaks(kind).await;
    closed_in_error(&mut shared.offering).await;
}

async fn connect_ends_when_the_offer_is_killed(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    shared.accepting.signal(Signal::TERM);
    // The next one has its name: Alice is to hear of the end of this one before.
    assert_eq!(shared.accepting.exit().await, Some(0));
    let connect = shared
        .fernand
        .with(&["connect", &shared.alice.jid, "x-test", "--wait", "60"]);
    let (mut child, mut stdin, mut stdout) = piped(&words(&connect));
    let served = timeout(PATIENCE, shared.service.accept()).await;
    let (mut served, _) = served.expect("a connection").unwrap();
    let said = content(1, 1000);
    stdin.write_all(&said).await.unwrap();
    let mut heard = vec![0; said.len()];
    served.read_exact(&mut heard).await.unwrap();
    kill(&shared.offering);
    shared.offer_again();
    let mut rest = Vec::new();
    let end = timeout(BOUND, stdout.read_to_end(&mut rest)).await;
    assert_eq!(end.expect("an end").unwrap(), 0);
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert_eq!(status.unwrap().code(), Some(69));
}

async fn a_killed_offer_ends_the_connections_over_unix_sockets(kind: ServerKind) {
    let Some(mut shared) = Shared::on(kind).await else {
        return;
    };
    kill(&shared.accepting);
    let socket = shared.fernand.file("socket");
    let listen = format!("unix:{}", socket.display());
    shared.accept_again(&listen);
    shared.accepting.event("listening").await;
    let mut program = UnixStream::connect(&socket).await.unwrap();
    let served = timeout(PATIENCE, shared.service.accept()).await;
    let (mut served, _) = served.expect("a connection").unwrap();
    let said = content(1, 1000);
    program.write_all(&said).await.unwrap();
    let mut heard = vec![0; said.len()];
    served.read_exact(&mut heard).await.unwrap();
    kill(&shared.offering);
    shared.offer_again();
    let end = timeout(BOUND, program.read(&mut heard)).await;
    assert!(!matches!(end.expect("an end"), Ok(1..)));
    closed_in_error(&mut shared.accepting).await;
}

/// A connection with something on its way in both directions, for ever: however fast it goes, it is not
/// over before somebody dies.
struct Busy {
    survivor: tokio::task::JoinHandle<Result<u64>>,
}

impl Busy {
    /// `survivor` is the end whose process will live. A good part is through when this returns.
    async fn with(survivor: TcpStream, victim: TcpStream) -> Self {
        let (mut survivor_reader, survivor_writer) = survivor.into_split();
        let (mut victim_reader, victim_writer) = victim.into_split();
        for mut writer in [survivor_writer, victim_writer] {
            tokio::spawn(async move {
                let content = content(3, PART);
                while writer.write_all(&content).await.is_ok() {}
            });
        }
        // What becomes of the victim's program is the kernel's business.
        tokio::spawn(
            async move { tokio::io::copy(&mut victim_reader, &mut tokio::io::sink()).await },
        );
        let mut part = vec![0; PART];
        let reading = timeout(PATIENCE, survivor_reader.read_exact(&mut part)).await;
        reading.expect("a part of it").unwrap();
        assert!(part == content(3, PART), "it came damaged");
        Self {
            survivor: tokio::spawn(async move {
                tokio::io::copy(&mut survivor_reader, &mut tokio::io::sink()).await
            }),
        }
    }

    /// The survivor's program is told that this was not all.
    async fn breaks(self, kind: ServerKind) {
        let begun = Instant::now();
        let end = timeout(BOUND, self.survivor).await;
        let error = end.expect("an end").unwrap().expect_err("no proper end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        eprintln!("the program was told on {kind} after {:?}", begun.elapsed());
    }
}

fn kill(program: &Program) {
    program.signal(Signal::KILL);
}

async fn closed_in_error(program: &mut Program) {
    let closed = program.event("connection_closed").await;
    assert!(closed["error"]["kind"].is_string(), "{closed}");
}

/// The tube carries a new connection.
async fn works(shared: Shared) {
    let (mut program, mut served) = shared.connection().await;
    let said = content(4, 20_000);
    let echo = async {
        let mut heard = vec![0; said.len()];
        served.read_exact(&mut heard).await?;
        served.write_all(&heard).await
    };
    let (echoed, ()) = tokio::join!(echo, pass(&mut program, &said));
    echoed.unwrap();
    drop((program, served));
}

/// Got before the end comes.
const PART: usize = 4 * 1024 * 1024;

/// How long it may take until a sudden death is noticed. A server may keep the session of the
/// dead for minutes; then it takes a minute of silence, ten seconds until that is looked for,
/// and half a minute for an answer to a ping.
const BOUND: Duration = Duration::from_secs(180);
