//! A listening socket that fails.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

use rustix::net::{self, Shutdown};
use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tubes::{Address, Event, FailureKind, Offer};
use tubes_server::Server;

use crate::stage::{Family, Service, connect, echo, patiently, share_as};

crate::on_each_server_and_transport!(a_listening_socket_that_fails_ends_its_tube_and_nothing_else);

async fn a_listening_socket_that_fails_ends_its_tube_and_nothing_else(server: &Server) {
    let service = Service::listen(Family::Tcp).await.unwrap().serve(echo);
    let mut shared = share_as(server, &service.address, Family::Tcp).await;
    let mut program = shared.program().await;
    program.write_all(b"a").await.unwrap();
    assert_eq!(program.read_u8().await.unwrap(), b'a');

    break_listener(&shared.address);
    let failed = shared.fernand.tube_closed().await.unwrap();
    assert_eq!(failed.kind, FailureKind::Io);
    assert!(failed.message.contains("local socket failed"), "{failed}");
    // The offerer is told.
    let closed = shared.alice.tube_closed().await.unwrap();
    assert!(
        matches!(closed.kind, FailureKind::Closed | FailureKind::Declined),
        "{closed}"
    );

    let offer = Offer::new(
        shared.fernand.jid.clone(),
        "x-next",
        service.address.clone(),
    );
    shared.alice.tubes.offer(offer).await.unwrap();
    let next = shared.fernand.offered().await;
    let listen = "127.0.0.1:0".parse().unwrap();
    let accepting = shared
        .fernand
        .tubes
        .accept(next, listen, tubes::Access::Localhost);
    let address = patiently("the next tube is accepted", accepting)
        .await
        .unwrap();
    let mut program = connect(&address).await.unwrap();
    program.write_all(b"b").await.unwrap();
    assert_eq!(program.read_u8().await.unwrap(), b'b');
    // It can also offer one itself.
    let offer = Offer::new(shared.alice.jid.clone(), "x-back", service.address.clone());
    let back = shared.fernand.tubes.offer(offer).await.unwrap();
    assert!(shared.fernand.tubes.state().tubes.contains_key(&back));
    drop(program);
    let (_, of_fernand) = shared.leave().await;
    let offline = |event: &Event| matches!(event, Event::Offline { .. });
    assert!(!of_fernand.iter().any(offline), "{of_fernand:#?}");
}

/// Makes the listening socket at this address fail: to accept at one that was shut down is an
/// error for good (`EINVAL`).
fn break_listener(address: &Address) {
    let Address::Tcp { host, port } = address else {
        panic!("only sockets of TCP are found by their address");
    };
    let host: Ipv4Addr = host.parse().unwrap();
    // What the kernel tells in pieces may lack something when sockets come and go meanwhile.
    let inode = (0..LOOKS).find_map(|_| listener_at(host, *port)).unwrap();
    let number = descriptor_of(&inode).unwrap();
    let own = process::pidfd_open(process::getpid(), PidfdFlags::empty()).unwrap();
    // Of this one alone: another handle of another test's listener would keep that open.
    let listener = process::pidfd_getfd(own, number, PidfdGetfdFlags::empty()).unwrap();
    net::shutdown(listener, Shutdown::Both).unwrap();
}

/// What the socket that listens there is called by the kernel.
fn listener_at(host: Ipv4Addr, port: u16) -> Option<String> {
    let host = u32::from_ne_bytes(host.octets());
    let wanted = format!("{host:08X}:{port:04X}");
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
    sockets.lines().find_map(|socket| {
        let told: Vec<_> = socket.split_whitespace().collect();
        match told.as_slice() {
            [_, local, _, LISTENS, _, _, _, _, _, inode, ..] if *local == wanted => {
                Some(format!("socket:[{inode}]"))
            }
            _ => None,
        }
    })
}

/// This process's descriptor of what the kernel calls so.
fn descriptor_of(what: &str) -> Option<RawFd> {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    // Some are closed meanwhile, by other tests.
    let mut wanted = descriptors.filter(|descriptor| {
        fs::read_link(descriptor.path()).is_ok_and(|name| name.as_os_str() == what)
    });
    wanted.next()?.file_name().to_str()?.parse().ok()
}

/// The state of a socket that listens, in the kernel's table.
const LISTENS: &str = "0A";

/// How often the kernel's table is read at most.
const LOOKS: usize = 100;
