//! A Gabble offers a tube: it is asked for the bytestream, and dials.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tubes::{Event, FailureKind, FullJid, Limit};
use tubes_protocol::ns;
use tubes_server::Server;

use super::echoes;
use crate::stage::{
    BOTH, BURST, Host, Multiple, Offering, TUBE, at_end, dial, dial_in_turn, opened, patiently,
};

crate::on_each_server!(
    our_hosts_are_dialled_in_turn,
    what_it_says_before_its_answer_is_not_lost,
    its_end_is_the_end_of_both_directions,
    hosts_that_it_cannot_reach_are_fallen_back_from,
    a_wrong_hash_is_refused,
    strangers_who_take_its_place_are_told_of,
    a_claim_to_have_connected_is_checked,
    socks5_alone_will_do,
    socks5_alone_is_not_fallen_back_from,
    in_band_alone_will_do,
);

crate::in_rooms_too!(
    our_hosts_are_dialled_in_turn,
    what_it_says_before_its_answer_is_not_lost,
    its_end_is_the_end_of_both_directions,
    hosts_that_it_cannot_reach_are_fallen_back_from,
    a_wrong_hash_is_refused,
    a_claim_to_have_connected_is_checked,
    socks5_alone_will_do,
    socks5_alone_is_not_fallen_back_from,
    in_band_alone_will_do,
);

async fn our_hosts_are_dialled_in_turn(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    assert_few(&told.hosts, &our.at_alice);
    let (used, mut stream) = our.gabble.dials(&negotiation, told).await;
    assert_eq!(used, our.at_alice.as_str());
    assert_eq!(opened(&mut our.alice).await.0, "socks5-direct");
    echoes(&mut stream, &mut program).await;

    // The Gabble would take the program's end for that of both directions: it is held back for as
    // long as there may be an answer.
    let shut = Instant::now();
    program.shutdown().await.unwrap();
    stream.write_all(b"late").await.unwrap();
    let mut late = [0; 4];
    let reading = program.read_exact(&mut late);
    patiently("the answer arrives", reading).await.unwrap();
    assert_eq!(at_end(&mut stream).await, 0);
    println!("the program's end was held for {:?}", shut.elapsed());
    assert!(shut.elapsed() > Duration::from_millis(1500));
    drop(stream);
    assert_eq!(at_end(&mut program).await, 0);
    let closed = our.alice.connection_closed().await;
    assert_eq!(closed, (BURST, BURST + 4, None));
}

async fn strangers_who_take_its_place_are_told_of(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let place = (told.hosts[0].host.clone(), told.hosts[0].port);
    let mut strangers = Vec::new();
    for _ in 0..300 {
        strangers.push(TcpStream::connect(&place).await.unwrap());
    }
    let reached = our.alice.event(|event| match event {
        Event::LimitReached { limit, peer } => Some((*limit, peer.clone())),
        _ => None,
    });
    assert_eq!(reached.await, (Limit::Handshakes, None));
    let (_, mut stream) = our.gabble.dials(&negotiation, told).await;
    echoes(&mut stream, &mut program).await;
}

async fn what_it_says_before_its_answer_is_not_lost(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let dialling = dial_in_turn(&told.hosts, negotiation.hash());
    let (host, mut stream) = patiently("a host is reached", dialling).await.unwrap();
    stream.write_all(b"early").await.unwrap();
    told.uses(&host.jid);
    let mut early = [0; 5];
    let reading = program.read_exact(&mut early);
    patiently("it arrives", reading).await.unwrap();
    assert_eq!(&early, b"early");
    echoes(&mut stream, &mut program).await;
}

async fn its_end_is_the_end_of_both_directions(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let (_, mut stream) = our.gabble.dials(&negotiation, told).await;
    echoes(&mut stream, &mut program).await;
    drop(stream);
    assert_eq!(at_end(&mut program).await, 0);
    drop(program);
    assert_eq!(our.alice.connection_closed().await, (BURST, BURST, None));
}

async fn hosts_that_it_cannot_reach_are_fallen_back_from(server: &Server) {
    let mut our = Offering::on(server).await;
    let program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    told.finds_none();
    our.is_fallen_back_to(&negotiation, program).await;
    let (transport, failed) = opened(&mut our.alice).await;
    assert_eq!(transport, "ibb");
    assert!(failed >= 1);
}

async fn a_wrong_hash_is_refused(server: &Server) {
    let mut our = Offering::on(server).await;
    let program = our.program().await;
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let wrong = "0".repeat(40);
    for host in own(&told.hosts, &our.at_alice) {
        let dialling = dial(host, wrong.clone());
        assert!(patiently("it is refused", dialling).await.is_none());
    }
    told.finds_none();
    our.is_fallen_back_to(&negotiation, program).await;
}

async fn a_claim_to_have_connected_is_checked(server: &Server) {
    let mut our = Offering::on(server).await;
    for claimed in [our.at_alice.to_string(), "unheard.of".to_owned()] {
        let program = our.program().await;
        let negotiation = our.gabble.is_initiated(TUBE, Multiple::Yes, &BOTH).await;
        let told = our.gabble.is_told_hosts(&negotiation).await;
        told.uses(&claimed);
        our.is_fallen_back_to(&negotiation, program).await;
    }
}

async fn socks5_alone_will_do(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let methods = [ns::BYTESTREAMS];
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::No, &methods).await;
    let told = our.gabble.is_told_hosts(&negotiation).await;
    let (_, mut stream) = our.gabble.dials(&negotiation, told).await;
    echoes(&mut stream, &mut program).await;
}

async fn socks5_alone_is_not_fallen_back_from(server: &Server) {
    let mut our = Offering::on(server).await;
    let mut program = our.program().await;
    let methods = [ns::BYTESTREAMS];
    let negotiation = our.gabble.is_initiated(TUBE, Multiple::No, &methods).await;
    our.gabble.is_told_hosts(&negotiation).await.finds_none();
    let reading = program.read_u8();
    let broken = patiently("the connection breaks", reading).await;
    assert!(broken.is_err());
    let (sent, received, why) = our.alice.connection_closed().await;
    assert_eq!((sent, received), (0, 0));
    assert_eq!(why.unwrap().kind, FailureKind::Unreachable);
}

async fn in_band_alone_will_do(server: &Server) {
    let mut our = Offering::on(server).await;
    for multiple in [Multiple::No, Multiple::Yes] {
        let program = our.program().await;
        let negotiation = our.gabble.is_initiated(TUBE, multiple, &[ns::IBB]).await;
        our.is_fallen_back_to(&negotiation, program).await;
        assert_eq!(opened(&mut our.alice).await, ("ibb", 0));
    }
}

/// A Gabble takes ten seconds for each: no more than three of our own, ahead of any proxy.
fn assert_few(hosts: &[Host], at_alice: &FullJid) {
    let own = own(hosts, at_alice);
    assert!((1..=3).contains(&own.len()), "{hosts:?}");
    assert_eq!(hosts.get(..own.len()), Some(own), "{hosts:?}");
    let port = own.first().unwrap().port;
    assert!(own.iter().all(|host| host.port == port), "{hosts:?}");
}

/// Those at the beginning that are Alice's.
fn own<'a>(hosts: &'a [Host], at_alice: &FullJid) -> &'a [Host] {
    let others = hosts.iter().position(|host| host.jid != at_alice.as_str());
    hosts.get(..others.unwrap_or(hosts.len())).unwrap()
}
