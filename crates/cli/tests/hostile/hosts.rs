//! Who names hosts to be dialled, and means others than itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use crate::attacker::Attacker;
use crate::plan::{Plan, Standing};
use crate::withstanding::Sign;
use crate::words::{SOCKS5, Through, initiation, set};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_list_of_hosts_without_an_end_a_few_are_dialled() {
    // Nobody behind a host has the bytestream: each of them would be tried.
    let hosts = vec![own_address().to_string(); 400];
    let (dialled, strikes) = names_hosts(&[hosts]).await;
    eprintln!("{} dialled for {strikes} lists", dialled.len());
    assert!(dialled.len() >= strikes, "each is tried");
    assert!(dialled.len() <= strikes * HOSTS);
}

/// The last host of each list is one that may be dialled, and is: so it was the turn of the others, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_listens_on_the_loopback_interface_only_is_not_dialled_for_others() {
    let own = own_address();
    if own.is_loopback() {
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
    let own_last = |few: &[&str]| {
        let few = few.iter().map(ToString::to_string);
        few.chain([own.to_string()]).collect()
    };
    let lists: Vec<Vec<String>> = inward.chunks(FEW).map(own_last).collect();
    let (dialled, strikes) = names_hosts(&lists).await;
    assert_eq!(dialled, vec![own; strikes]);
}

/// With each strike a bytestream is asked for that is to be had at the hosts of the next list. Where a
/// listener there was dialled, and for how many strikes.
async fn names_hosts(lists: &[Vec<String>]) -> (Vec<IpAddr>, usize) {
    let plan = Plan::new(Standing::Occupant).by("socks5-direct,ibb");
    let scene = plan.with_heavy_strikes(32).set().await;
    let dialled = Dialled::anywhere().await;
    let port = dialled.port;
    let (alice, tube) = (scene.alice.clone(), scene.number);
    let carol = format!("{}/carol", scene.room.as_ref().unwrap());
    let streamhost =
        |host: &String| format!("<streamhost jid='{carol}' host='{host}' port='{port}'/>");
    let lists = lists
        .iter()
        .map(|hosts| hosts.iter().map(streamhost).collect());
    let lists: Vec<String> = lists.collect();
    let mut strikes = 0;
    let strike = async |carol: &mut Attacker, blow: u64| {
        strikes += 1;
        let sid = format!("hosts{blow}");
        let si = initiation(&sid, Through::Room, tube, &[SOCKS5]);
        carol.ask(&alice, "set", &si).await;
        let hosts = &lists[usize::try_from(blow).unwrap() % lists.len()];
        let query = format!("<query xmlns='{SOCKS5}' sid='{sid}' mode='tcp'>{hosts}</query>");
        carol.say(set(&alice, &sid, &query)).await;
        // All of them are tried by then.
        let failed = carol.hears(&[&format!("id='{sid}'")]).await;
        assert!(failed.contains("type='error'"), "{failed}");
    };
    let closed = Sign::Event("connection_closed", "unreachable");
    scene.withstands(closed, strike).await;
    (dialled.all(), strikes)
}

/// Listens on all addresses of the machine, and notes by which it is dialled.
pub(crate) struct Dialled {
    pub(crate) port: u16,
    by: Arc<Mutex<Vec<IpAddr>>>,
}

impl Dialled {
    pub(crate) async fn anywhere() -> Self {
        // Of both families, if there are both.
        let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let by = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&by);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let address = client.local_addr().unwrap().ip();
                note.lock().unwrap().push(address.to_canonical());
            }
        });
        Self { port, by }
    }

    pub(crate) fn all(&self) -> Vec<IpAddr> {
        self.by.lock().unwrap().clone()
    }
}

/// By which others would reach this machine. Nothing is sent to find that out.
pub(crate) fn own_address() -> IpAddr {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    match socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)) {
        Ok(()) => socket.local_addr().unwrap().ip(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Hosts in a list of which the last one may be dialled.
const FEW: usize = 3;

/// Of one list that many may be dialled.
const HOSTS: usize = 16;
