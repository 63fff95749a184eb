//! `tubes demo`: the main job on one machine, and the proof that it was done.

mod traffic;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tubes::{
    Access, Account, Address, BareJid, Direction, Event, Failure, Offer, Protection, TubeId, Tubes,
};
use tubes_server::{Server, Setup};

use self::traffic::{Service, Way, exchange};
use crate::args::{Demo, Global};
use crate::exit::{Kind, Stop};
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::output::{self, Output, Proof, Report};

pub(crate) async fn run(global: &Global, demo: Demo, interrupt: &Interrupt) -> Result<(), Stop> {
    let output = Output::new(global.output);
    // Server, accounts and tube live for this demo only: an interrupt may drop them all.
    tokio::select! {
        verdict = prove(output, &demo, global) => verdict,
        stop = interrupt.wait() => Err(stop),
    }
}

async fn prove(output: Output, demo: &Demo, global: &Global) -> Result<(), Stop> {
    let server = Server::start(demo.server_kind, Setup::new().with_proxy())
        .await
        .map_err(|why| no_server(&why))?;
    let at = server.address();
    row(output, "server", &format!("{} at {at}", demo.server_kind))?;

    // Programs read the events of one side, the one that accepts: two would mix up.
    // Both are gone afterwards, and so are their keys.
    let keys = tempfile::tempdir()?;
    let alice = log_in(&server, "alice", global, keys.path(), output.muted());
    let (alice, _) = alice.await?;
    let output_of_fernand = output.for_programs();
    let fernand = log_in(&server, "fernand", global, keys.path(), output_of_fernand);
    let (fernand, mut feed) = fernand.await?;
    alice.tubes.befriend(&fernand.jid).await;
    fernand.tubes.befriend(&alice.jid).await;

    let service = Service::listen().await?;
    let at = Address::from(service.address()?);
    row(
        output,
        "alice",
        &format!("{} shares the service at {at}", alice.jid),
    )?;
    let offer = Offer::new(fernand.jid.clone(), SERVICE, at);
    alice.tubes.offer(offer).await?;

    let tube = timeout(PATIENCE, offered(&mut feed, &alice.jid))
        .await
        .map_err(|_| Stop::failed(Kind::TimedOut, "the offer did not arrive"))??;
    let any_port = Address::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    let at = fernand
        .tubes
        .accept(tube, any_port, Access::Localhost)
        .await?;
    row(
        output,
        "fernand",
        &format!("{} finds it at {at}", fernand.jid),
    )?;

    let proven = use_it(&mut feed, output, service, &at, demo.size).await;
    fernand.tubes.leave().await;
    // The ends of the connection and of the tube are events, too.
    let told = feed.drain().await;
    alice.tubes.leave().await;
    server.stop().await;
    proven.and(told)?;
    output.remark("What one end sent is what the other end received, both ways.")
}

/// Carries the bytes, and reports what both ends made of them.
async fn use_it(
    feed: &mut Feed,
    output: Output,
    service: Service,
    at: &Address,
    size: u64,
) -> Result<(), Stop> {
    let mut transport = String::new();
    let mut failure = None;
    let done = {
        let mut traffic = pin!(exchange(service, socket_address(at)?, size));
        loop {
            tokio::select! {
                // What was carried was opened before; that comes first.
                biased;
                event = feed.next() => match event? {
                    Event::ConnectionOpened { transport: by, setup, protection, .. } => {
                        transport = by.to_owned();
                        let ms = output::milliseconds(setup);
                        let how = match protection {
                            Protection::Plain => "not encrypted from end to end",
                            _ => "encrypted from end to end",
                        };
                        row(output, "transport", &format!("{by}, {how}, set up in {ms:.1} ms"))?;
                    }
                    Event::ConnectionClosed { error: Some(why), .. } => failure = Some(why),
                    _ => {}
                },
                done = &mut traffic => break done,
            }
        }
    };
    let [up, down] = done.map_err(|why| broken(failure, &why))?;
    let mut equal = true;
    for (direction, way) in [(Direction::Out, up), (Direction::In, down)] {
        let proof = proof(direction, way, &transport);
        equal &= proof.holds() && proof.bytes == size;
        output.report(&Report::Proof(proof))?;
    }
    if !equal {
        return Err(Stop::failed(Kind::Io, "what arrived is not what was sent"));
    }
    Ok(())
}

/// One of the two accounts.
struct Friend {
    tubes: Tubes,
    jid: BareJid,
}

async fn log_in(
    server: &Server,
    name: &str,
    global: &Global,
    keys: &Path,
    output: Output,
) -> Result<(Friend, Feed), Stop> {
    let password = format!("{:032x}", rand::random::<u128>());
    let made = server
        .add_account(name, &password)
        .await
        .map_err(|why| no_server(&why))?;
    let at = server.address();
    let account = Account::new(made.jid.clone().into(), made.password)
        .and_then(|account| account.with_server(&at.ip().to_string(), at.port()))
        .and_then(|account| account.with_roots_pem(server.ca().pem().as_bytes()))
        .map_err(|why| no_server(&why))?;
    let encryption = global.encryption.map(Into::into).unwrap_or_default();
    let mut builder = Tubes::builder(account).keys_in(keys).encryption(encryption);
    if let Some(transports) = &global.transports {
        builder = builder.transports(transports.iter().copied().map(Into::into));
    }
    let (tubes, events) = builder.start().await?;
    let feed = Feed::new(tubes.clone(), events, output);
    let friend = Friend {
        tubes,
        jid: made.jid,
    };
    Ok((friend, feed))
}

fn no_server(why: &dyn Display) -> Stop {
    // A server that fails has its log in the error: more than one line.
    let line = why.to_string().lines().collect::<Vec<_>>().join(" | ");
    Stop::failed(Kind::Unreachable, format!("no server to try with: {line}"))
}

async fn offered(feed: &mut Feed, from: &BareJid) -> Result<TubeId, Stop> {
    loop {
        match feed.next().await? {
            Event::TubeOffered {
                tube,
                peer,
                direction: Direction::In,
                ..
            } if peer.to_bare() == *from => return Ok(tube),
            _ => {}
        }
    }
}

fn proof(direction: Direction, way: Way, transport: &str) -> Proof {
    Proof {
        direction: direction.into(),
        bytes: way.received.bytes,
        sent_sha256: way.sent.sha256,
        received_sha256: way.received.sha256,
        transport: transport.to_owned(),
        seconds: way.took.as_secs_f64(),
    }
}

/// The tube knows better than the sockets why it broke.
fn broken(failure: Option<Failure>, error: &io::Error) -> Stop {
    match failure {
        Some(failure) => failure.into(),
        None => Stop::failed(
            Kind::Io,
            format!("the connection through the tube broke: {error}"),
        ),
    }
}

fn socket_address(at: &Address) -> Result<SocketAddr, Stop> {
    match at {
        Address::Tcp { host, port } => host.parse().ok().map(|ip| SocketAddr::new(ip, *port)),
        _ => None,
    }
    .ok_or_else(|| {
        Stop::failed(
            Kind::Io,
            format!("the tube listens at {at}, which is no TCP port"),
        )
    })
}

/// A line of the table that people read.
fn row(output: Output, what: &str, text: &str) -> Result<(), Stop> {
    output.remark(&format!("{what:<10} {text}"))
}

/// The name by which the demo's service is offered.
const SERVICE: &str = "demo";

/// On one machine an offer arrives at once, unless that is busy: the server has only just started.
const PATIENCE: Duration = Duration::from_secs(120);
