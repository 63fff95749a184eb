//! Proxies that lie: what carries the bytes otherwise, or what is said of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::honest::is_served;
use crate::liar::{Liar, Lie};
use crate::outliving::Deed;
use crate::plan::{Plan, Standing};
use crate::program::PATIENCE;
use crate::scene::{Scene, server_without_proxy};
use crate::withstanding::Sign;

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_never_says_a_word_is_done_without() {
    falls_back(Lie::Silence).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_speaks_no_socks5_is_done_without() {
    falls_back(Lie::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hangs_up_is_done_without() {
    falls_back(Lie::HangsUp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_one_byte_at_a_time_is_done_without() {
    falls_back(Lie::ByteByByte).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_never_activates_is_done_without() {
    falls_back(Lie::NeverActivates).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_floods_before_it_activates_costs_little() {
    let (liar, scene) = with_a_liar(Lie::Floods).await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            // Whether the flood comes before the end of a trial or in a stream, no program hears it.
            hears_nothing_else(tube).await;
            scene.programs[1].event("connection_closed").await;
            assert_ne!(liar.visits(), 0);
            liar.relent();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_says_instead_reaches_no_program() {
    breaks_off(Lie::OtherBytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_cuts_off_is_not_taken_for_the_whole() {
    breaks_off(Lie::CutsOff).await;
}

/// The proxy is of no use, and the next transport is tried soon enough.
async fn falls_back(lie: Lie) {
    let (liar, scene) = with_a_liar(lie).await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            let begun = Instant::now();
            is_served(tube).await;
            eprintln!("served after {:?}", begun.elapsed());
            assert!(begun.elapsed() <= SOON, "{:?}", begun.elapsed());
            let opened = scene.programs[1].event("connection_opened").await;
            assert_eq!(opened["transport"], "ibb", "{opened}");
            eprintln!("{}", opened["fell_back_from"]);
            assert_ne!(liar.visits(), 0);
        })
        .await;
}

/// The proxy is a good one when it is tried, and then not.
async fn breaks_off(lie: Lie) {
    let (liar, scene) = with_a_liar(lie).await;
    let tube = scene.tube;
    scene
        .outlives(Sign::Awaited, Deed::Breaks, async |scene: &mut Scene| {
            liar.is_trusted().await;
            hears_nothing_else(tube).await;
            for program in &mut scene.programs {
                let closed = program.event("connection_closed").await;
                eprintln!("{closed}");
                assert!(closed["error"]["message"].is_string(), "{closed}");
            }
            liar.relent();
        })
        .await;
}

/// A program says more than is let through. It hears its own words only, and no proper end before the last.
async fn hears_nothing_else(tube: std::net::SocketAddr) {
    let mut program = TcpStream::connect(tube).await.unwrap();
    let said: Vec<u8> = (0..SAID).map(|at| (at % 251) as u8).collect();
    // It may break off while this is said.
    let _ = program.write_all(&said).await;
    let _ = program.shutdown().await;
    let (mut heard, mut bytes) = (Vec::new(), vec![0; SAID]);
    let ended = loop {
        let read = timeout(PATIENCE, program.read(&mut bytes)).await;
        match read.expect("an end") {
            Ok(0) => break Ok(()),
            Ok(length) => heard.extend_from_slice(&bytes[..length]),
            Err(why) => break Err(why),
        }
    };
    assert!(said.starts_with(&heard));
    assert_eq!(ended.is_ok(), heard.len() == said.len(), "{ended:?}");
}

/// Both have named a proxy, and know no other one. They dial no loopback address for one another.
async fn with_a_liar(lie: Lie) -> (Liar, Scene) {
    let server = server_without_proxy().await;
    let liar = Liar::who(lie, server).await;
    let plan = Plan::new(Standing::Stranger).on(server);
    let plan = plan.by("socks5-proxy,ibb");
    let named = plan.with(&["--socks5-proxy", &liar.jid]);
    (liar, named.set().await)
}

/// When the next transport carries at the latest, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Bytes that a program says.
const SAID: usize = 256 * 1024;
