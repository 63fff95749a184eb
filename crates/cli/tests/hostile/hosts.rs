//! Who names hosts to be dialled, and means others than itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;

use crate::attacker::Attacker;
use crate::scene::{Plan, Standing};
use crate::withstanding::Sign;
use crate::words::{SOCKS5, Through, initiation, set};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_list_of_hosts_without_an_end_a_few_are_dialled() {
    // Nobody behind a host has the bytestream: each of them would be tried.
    let hosts = vec![own_address().to_string(); 400];
    let (dialled, strikes) = names_hosts(&hosts, "unreachable").await;
    eprintln!("{dialled} dialled for {strikes} lists");
    assert!(dialled <= strikes * HOSTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_listens_on_the_loopback_interface_only_is_not_dialled_for_others() {
    if own_address().is_loopback() {
        // A machine without a network reaches nobody else than itself.
        return;
    }
    let inward = [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
    ];
    let (dialled, _) = names_hosts(&inward.map(str::to_owned), "unreachable").await;
    assert_eq!(dialled, 0);
}

/// With each strike a bytestream is asked for that is to be had at these hosts. How often a listener there
/// was dialled, and for how many strikes.
async fn names_hosts(hosts: &[String], failure: &'static str) -> (u64, u64) {
    let scene = Plan::new(Standing::Occupant)
        .with_heavy_strikes(32)
        .set()
        .await;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialled = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&dialled);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let carol = format!("{}/carol", scene.room.as_ref().unwrap());
    let hosts: String = hosts
        .iter()
        .map(|host| format!("<streamhost jid='{carol}' host='{host}' port='{port}'/>"))
        .collect();
    let mut strikes = 0;
    let strike = async |carol: &mut Attacker, blow: u64| {
        strikes = blow + 1;
        let sid = format!("hosts{blow}");
        let si = initiation(&sid, Through::Room, tube, &[SOCKS5]);
        carol.ask(&alice, "set", &si).await;
        let query = format!("<query xmlns='{SOCKS5}' sid='{sid}' mode='tcp'>{hosts}</query>");
        carol.say(set(&alice, &sid, &query)).await;
    };
    let closed = Sign::Event("connection_closed", failure);
    scene.withstands(closed, strike).await;
    (dialled.load(Ordering::Relaxed), strikes)
}

/// By which others would reach this machine. Nothing is sent to find that out.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    match socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)) {
        Ok(()) => socket.local_addr().unwrap().ip(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Of one list that many may be dialled.
const HOSTS: u64 = 16;
